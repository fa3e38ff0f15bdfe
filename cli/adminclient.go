package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"audiences/api/admin"
	"audiences/config"
)

// What the operator's commands have in common: they ask a relay that runs, over its
// adminAddress, and print what it answers.

// usualAdminAddress is the one of a relay that was told nothing else.
const usualAdminAddress = "127.0.0.1:3010"

// Variables of the environment. The token of a user of the adminAddress, where one is
// needed, is in a variable or a file: a flag would show it to everybody on the machine.
const (
	adminAddressVariable = "AUDIENCES_ADMIN_ADDRESS"
	adminTokenVariable   = "AUDIENCES_ADMIN_TOKEN"
	adminTokenFile       = adminTokenVariable + "_FILE"
	adminCAVariable      = "AUDIENCES_ADMIN_CA"
)

// adminPatience bounds a command. The relay answers most in milliseconds; what concerns
// very many segments it gives up after 50 seconds.
const adminPatience = time.Minute

// adminClient asks one relay.
type adminClient struct {
	address   string
	tokenFile string
	authority string // file with the certificates to trust; "": the system's
	config    string // file with the relay's configuration; "": none
	json      bool   // print what the relay answers as it is
	stdout    io.Writer

	watch   interval     // 0: print once
	follows bool         // what is printed next goes on with what was printed
	own     *tls.Config  // of the relay of config; nil: there is none, or it has no TLS there
	http    *http.Client // nil until the relay is asked for the first time
}

// bind gives a command the flags of all of these.
func (a *adminClient) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&a.address, "address", "", "the relay's adminAddress, `host:port`, with https:// in front where adminTls is on; "+adminAddressVariable+", else that of --config, else "+usualAdminAddress)
	flags.StringVar(&a.tokenFile, "token-file", os.Getenv(adminTokenFile), "a `file` with the token of a user; "+adminTokenFile+", or the token itself in "+adminTokenVariable)
	flags.StringVar(&a.authority, "ca", os.Getenv(adminCAVariable), "a PEM `file` with the certificates to trust over https; "+adminCAVariable)
	flags.StringVar(&a.config, "config", "", "the relay's configuration, a `file` that says where its adminAddress is and which certificate it serves")
	flags.BoolVar(&a.json, "json", false, "print the relay's answer, which is JSON, for programs")
}

// get asks for a path below the JSON API. With json set it also prints the answer as it is,
// and printed is true: the command has no more to print, but its exit code still tells what
// the answer says.
func (a *adminClient) get(ctx context.Context, path string, query url.Values, into any) (printed bool, err error) {
	return a.ask(ctx, http.MethodGet, path+"?"+query.Encode(), nil, into)
}

// post is get for what has a body.
func (a *adminClient) post(ctx context.Context, path string, body, into any) (printed bool, err error) {
	text, err := json.Marshal(body)
	if err != nil {
		return false, fmt.Errorf("ask the relay: %w", err)
	}
	return a.ask(ctx, http.MethodPost, path, text, into)
}

func (a *adminClient) ask(ctx context.Context, method, path string, body []byte, into any) (printed bool, err error) {
	if !a.json {
		return false, a.exchange(ctx, method, path, body, decoding(into))
	}
	var text bytes.Buffer
	err = a.exchange(ctx, method, path, body, func(answer io.Reader) error {
		_, err := io.Copy(a.stdout, io.TeeReader(answer, &text))
		return err
	})
	if err != nil {
		return true, err
	}
	return true, decoding(into)(&text)
}

// decoding reads an answer that is JSON.
func decoding(into any) func(io.Reader) error {
	return func(answer io.Reader) error {
		if err := json.NewDecoder(answer).Decode(into); err != nil {
			return fmt.Errorf("read the relay's answer: %w", err)
		}
		return nil
	}
}

// exchange asks the relay once and has its answer read.
func (a *adminClient) exchange(ctx context.Context, method, path string, body []byte, read func(io.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, adminPatience)
	defer cancel()
	if err := a.prepare(); err != nil {
		return err
	}
	request, err := a.request(ctx, method, path, body)
	if err != nil {
		return fmt.Errorf("ask the relay: %w", err)
	}
	end := waiting("The relay is at it")
	response, err := a.http.Do(request)
	end()
	if err != nil {
		return fmt.Errorf("ask the relay: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return a.refused(response)
	}
	return read(response.Body)
}

// prepare finds out where the relay is and whom to trust, before it is asked for the first
// time. A command that asks again and again goes on with the connection that it has.
func (a *adminClient) prepare() error {
	if a.http != nil {
		return nil
	}
	if err := a.configure(); err != nil {
		return err
	}
	client, err := a.client()
	a.http = client
	return err
}

// configure takes the address from the flag, the environment or the configuration, in this
// order, and from the latter the certificate to trust.
func (a *adminClient) configure() error {
	environ := os.Environ()
	if set := os.Getenv(adminAddressVariable); strings.Contains(set, "://") {
		// Commands take more than the relay, for which the variable stands in place of
		// adminAddress.
		a.address = cmp.Or(a.address, set)
		environ = slices.DeleteFunc(environ, func(pair string) bool { return strings.HasPrefix(pair, adminAddressVariable+"=") })
	}
	if a.config == "" {
		a.address = cmp.Or(a.address, os.Getenv(adminAddressVariable), usualAdminAddress)
		return nil
	}
	cfg, err := config.Load(a.config, environ)
	if err != nil {
		return err
	}
	if cfg.AdminTLS {
		a.own = ownCertificate(cfg)
	}
	switch {
	case a.address != "":
	case cfg.AdminAddress == "":
		return fmt.Errorf("ask the relay: adminAddress is off in %s", a.config)
	case cfg.AdminTLS:
		a.address = "https://" + reachable(cfg.AdminAddress)
	default:
		a.address = cfg.AdminAddress
	}
	return nil
}

func (a *adminClient) request(ctx context.Context, method, path string, body []byte) (*http.Request, error) {
	base := strings.TrimSuffix(a.address, "/")
	if !strings.Contains(base, "://") {
		base = "http://" + reachable(base)
	}
	request, err := http.NewRequestWithContext(ctx, method, base+"/admin/api/v1/"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	token, err := a.token()
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return request, err
}

// token is that of a user; "": none.
func (a *adminClient) token() (string, error) {
	if a.tokenFile == "" {
		return os.Getenv(adminTokenVariable), nil
	}
	text, err := os.ReadFile(a.tokenFile)
	return strings.TrimSpace(string(text)), err
}

// client trusts the certificates of the file alone, if there is one.
func (a *adminClient) client() (*http.Client, error) {
	switch {
	case a.authority != "":
	case a.own != nil:
		return &http.Client{Transport: &http.Transport{TLSClientConfig: a.own}}, nil
	default:
		return http.DefaultClient, nil
	}
	trust, err := trusting(a.authority)
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: trust}}, nil
}

// trusting trusts the certificates of a file alone.
func trusting(path string) (*tls.Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read certificates to trust: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read certificates to trust: %s has none in PEM form", path)
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}

// refused is the relay's own reason.
func (a *adminClient) refused(response *http.Response) error {
	words, _ := io.ReadAll(io.LimitReader(response.Body, 10_000)) // what there is of them helps
	var problem admin.Problem
	foreign := json.Unmarshal(words, &problem) != nil || problem.Error == ""
	if foreign {
		problem.Error = fmt.Sprintf("%s: %.300s", response.Status, strings.TrimSpace(string(words)))
	}
	return refusal{fmt.Sprintf("the relay at %s: %s", a.address, problem.Error), response.StatusCode, foreign}
}

// refusal is what the relay answered in place of doing it.
type refusal struct {
	words   string
	status  int
	foreign bool // it is not the JSON API that answered, such as where HTTPS is spoken
}

func (r refusal) Error() string { return r.words }

// reachable is where a relay on this machine answers that listens on all addresses.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return address
}
