package cli

import (
	"net/http"
	"os"

	"github.com/rs/zerolog"

	"audiences/config"
)

// egress is the way to Split that the environment makes calls take, for the log.
type egress struct {
	proxy     string // host and port; "": none
	authority string // file or directory of the certificates that are trusted; "": the system's
}

// egressOf asks as the client's transport does. What a proxy's address has of a login is
// left out.
func egressOf(cfg config.Config) (e egress) {
	if request, err := http.NewRequest(http.MethodPost, cfg.SplitAPIURL, nil); err == nil {
		if proxy, err := http.ProxyFromEnvironment(request); err == nil && proxy != nil {
			e.proxy = proxy.Host
		}
	}
	if e.authority = os.Getenv("SSL_CERT_FILE"); e.authority == "" {
		e.authority = os.Getenv("SSL_CERT_DIR")
	}
	return e
}

// MarshalZerologObject writes what there is.
func (e egress) MarshalZerologObject(event *zerolog.Event) {
	if e.proxy != "" {
		event.Str("proxy", e.proxy)
	}
	if e.authority != "" {
		event.Str("trustedCertificates", e.authority)
	}
}
