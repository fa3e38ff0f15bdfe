package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"audiences/api/keyfile"
	"audiences/config"
)

// healthTimeout bounds the whole check; the image's HEALTHCHECK allows more.
const healthTimeout = 3 * time.Second

func healthcheckCommand(p process) *cobra.Command {
	return &cobra.Command{
		Use:   "healthcheck CONFIG",
		Short: "ask the relay of that configuration for /ping; exit code 0 if it answers",
		Long: `Asks the relay of that configuration, on this machine, for /ping. It trusts the
certificate that the relay says it serves and the key file's, and no other. Where
the configuration has a clientCaFile, it asks adminAddress for /livez instead.

  audiences healthcheck audiences.config

Exit codes: 0 it answered, 1 it did not, 2 the configuration is wrong.
`,
		Args: configuration,
		RunE: func(cmd *cobra.Command, args []string) error { return healthcheck(cmd.Context(), args[0], p.stdout) },
	}
}

// healthcheck asks the relay of a configuration, on this machine, whether it answers.
func healthcheck(ctx context.Context, path string, stdout io.Writer) error {
	cfg, err := config.Load(path, os.Environ())
	if err != nil {
		return err
	}
	answer, err := ping(ctx, cfg)
	if err != nil {
		return fmt.Errorf("check health: %w", err)
	}
	_, err = fmt.Fprintln(stdout, answer)
	return err
}

// ping asks the relay of a configuration, and nobody who has another certificate.
func ping(ctx context.Context, cfg config.Config) (answer string, err error) {
	client := &http.Client{Timeout: healthTimeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   ownCertificate(cfg),
	}}
	url, want := probe(cfg)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64))
	if err != nil || response.StatusCode != http.StatusOK || strings.TrimSpace(string(body)) != want {
		return "", fmt.Errorf("status %d instead of %q", response.StatusCode, want)
	}
	return want, nil
}

// probe is whom to ask, and the answer of a relay that is well. Where callers need a
// certificate, the port has no answer for who has none.
func probe(cfg config.Config) (url, answer string) {
	switch {
	case cfg.ClientCAFile == "":
		return "https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(cfg.Port)) + "/ping", "pong"
	case cfg.AdminTLS:
		return "https://" + reachable(cfg.AdminAddress) + "/livez", "alive"
	}
	return "http://" + reachable(cfg.AdminAddress) + "/livez", "alive"
}

// ownCertificate trusts what the relay says it serves, and the key file's
// certificate, and no authority: the name in it is that of the outside world, not
// 127.0.0.1, and it may well be self-signed. The record comes first: the key file
// may be broken, or take a second to open. The chain above it, which may hold what
// cannot be parsed here, is not asked for.
func ownCertificate(cfg config.Config) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         keyfile.LeafAlone,
		InsecureSkipVerify: true, // #nosec G402 -- VerifyConnection below is stricter
		VerifyConnection: func(state tls.ConnectionState) error {
			served := state.PeerCertificates[0].Raw
			if keyfile.WasServed(servedRecord(cfg), cfg.KeyFile, served) {
				return nil
			}
			entry, err := keyfile.Load(cfg.KeyFile, keyOptions(cfg))
			if err != nil {
				return err
			}
			if !bytes.Equal(served, entry.Certificate.Leaf.Raw) {
				return errors.New("another certificate is served than the relay's and the key file's")
			}
			return nil
		},
	}
}
