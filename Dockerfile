# The image of the relay: one static binary and the CA certificates that calls
# to Split are verified with. Nothing in it can be logged into.
#
#   docker build --build-arg VERSION=1.2.3 --build-arg REVISION=$(git rev-parse HEAD) -t audiences .
#   docker run -d --name audiences --read-only -p 5010:5010 \
#     -v audiences-journal:/var/lib/audiences -v "$PWD/etc:/etc/audiences:ro" audiences
#
# The mounted directory holds audiences.config and the key file that it names;
# uid 65532 must be able to read both. Only syntax that the classic builder
# knows as well: no RUN --mount, no COPY --chmod.

FROM golang:1.26-bookworm AS build
WORKDIR /src
# Modules first: their layer stays good for as long as go.mod and go.sum do.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
ARG REVISION=
RUN CGO_ENABLED=0 go build -trimpath -pgo=audiences.pgo -ldflags "-s -w -X main.version=$VERSION -X main.revision=$REVISION -X audiences/config.defaultJournalDir=/var/lib/audiences" -o /out/audiences . \
 && mkdir -m 0700 /out/journal

FROM scratch
ARG VERSION=
ARG REVISION=
LABEL org.opencontainers.image.title="audiences" \
      org.opencontainers.image.description="A relay from mParticle audiences to Split segments" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/audiences /audiences
COPY LICENSE /LICENSE
# Made here with its owner, because a new named volume takes both from the image.
# The binary was told that this is its journalDir, where nothing else says so.
COPY --from=build --chown=65532:65532 /out/journal /var/lib/audiences
VOLUME /var/lib/audiences
USER 65532:65532
EXPOSE 5010
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3 \
  CMD ["/audiences", "healthcheck", "/etc/audiences/audiences.config"]
ENTRYPOINT ["/audiences"]
CMD ["serve", "/etc/audiences/audiences.config"]
