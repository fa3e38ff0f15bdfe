package main

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
	"time"

	"audiences/api/keyfile"
	"audiences/config"
)

// healthTimeout bounds the whole check; the image's HEALTHCHECK allows more.
const healthTimeout = 3 * time.Second

// healthcheck asks the relay of a configuration, on this machine, for /ping.
func healthcheck(ctx context.Context, args []string, stdout, _ io.Writer) error {
	path, err := oneArgument("healthcheck", args)
	if err != nil {
		return err
	}
	cfg, err := config.Load(path, os.Environ())
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: healthTimeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   ownCertificate(cfg),
	}}
	url := "https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(cfg.Port)) + "/ping"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("check health: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("check health: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64))
	if err != nil || response.StatusCode != http.StatusOK || string(body) != "pong" {
		return fmt.Errorf("check health: status %d instead of a pong", response.StatusCode)
	}
	_, err = fmt.Fprintln(stdout, "pong")
	return err
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
