package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// What the operator's commands have in common: they ask a relay that runs, over its
// adminAddress, and print what it answers.

// usualAdminAddress is the one of a relay that was told nothing else.
const usualAdminAddress = "127.0.0.1:3010"

// adminToken is the variable that holds the token of a user of the adminAddress, where
// one is needed. A flag would show it to everybody on the machine.
const adminToken = "AUDIENCES_ADMIN_TOKEN"

// adminPatience bounds a command; the relay answers in milliseconds.
const adminPatience = 30 * time.Second

// adminClient asks one relay.
type adminClient struct {
	address string
	json    bool // print what the relay answers as it is
	stdout  io.Writer
}

// bind gives a command the flags of all of these.
func (a *adminClient) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.address, "address", cmp.Or(os.Getenv("AUDIENCES_ADMIN_ADDRESS"), usualAdminAddress), "the relay's adminAddress, `host:port`, with https:// in front where adminTls is on; the token of a user is taken from "+adminToken)
	cmd.Flags().BoolVar(&a.json, "json", false, "print the relay's answer, which is JSON, for programs")
}

// get asks for a path below the JSON API. With json set it prints the answer, and done
// is true.
func (a *adminClient) get(ctx context.Context, path string, query url.Values, into any) (done bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, adminPatience)
	defer cancel()
	at := url.URL{Scheme: "http", Host: reachable(a.address), Path: "/admin/api/v1/" + path, RawQuery: query.Encode()}
	if host, secure := strings.CutPrefix(a.address, "https://"); secure {
		at.Scheme, at.Host = "https", host
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return false, fmt.Errorf("ask the relay: %w", err)
	}
	if token := os.Getenv(adminToken); token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false, fmt.Errorf("ask the relay: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		words, _ := io.ReadAll(io.LimitReader(response.Body, 1000)) // what there is of them helps
		return false, fmt.Errorf("the relay at %s answered %s: %s", a.address, response.Status, strings.TrimSpace(string(words)))
	}
	if a.json {
		_, err := io.Copy(a.stdout, response.Body)
		return true, err
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return false, fmt.Errorf("read the relay's answer: %w", err)
	}
	return false, nil
}

// reachable is where a relay on this machine answers that listens on all addresses.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return address
}
