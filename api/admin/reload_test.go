package admin

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"audiences/api/admin/access"
	"audiences/status"
)

func reloads(context.Context, string) (status.Reload, error) {
	return status.Reload{Taken: []string{"logLevel"}, NeedRestart: []string{}, Warnings: []string{}}, nil
}

// TestReload: an operator's wish is passed on with the name, and a fault is told with 422.
func TestReload(t *testing.T) {
	var asked []string
	var fault error
	handler := New(Options{Relay: busy(), Access: access.Options{Users: users()}, Reload: func(ctx context.Context, who string) (status.Reload, error) {
		asked = append(asked, who)
		done, _ := reloads(ctx, who)
		return done, fault
	}}).http.Handler
	ask := func(token string, code int, words string) {
		t.Helper()
		if got, text := call(t, handler, "POST", apiPath+"/reload", "", token); got != code || !strings.Contains(text, words) {
			t.Errorf("%d %s", got, text)
		}
	}
	ask(lookToken, 403, "")
	ask(actToken, 200, `"taken":["logLevel"],"needRestart":[]`)
	fault = &status.ConfigurationFault{Err: errors.New("prot: unknown")}
	ask(actToken, 422, "all stays as it was: prot: unknown")
	if len(asked) != 2 || asked[0] == "" {
		t.Errorf("asked by %q", asked)
	}
	if code, _ := call(t, New(Options{Relay: busy(), Access: access.Options{Local: true}}).http.Handler, "POST", apiPath+"/reload", "", ""); code != 501 {
		t.Errorf("of a relay that cannot: %d", code)
	}
}

// TestTake: names and users are those that were taken last, and what counts as fresh goes
// by the interval.
func TestTake(t *testing.T) {
	server := New(Options{Relay: busy(), Access: access.Options{Users: users()}, FlushInterval: time.Second})
	ask := func(token string, code int, words string) {
		t.Helper()
		if got, text := call(t, server.http.Handler, "GET", apiPath+"/tenants", "", token); got != code || !strings.Contains(text, words) {
			t.Errorf("%d %s", got, text)
		}
	}
	ask(lookToken, 200, printA)
	var kept []access.User
	for _, u := range users() {
		if u.Token != lookToken {
			kept = append(kept, u)
		}
	}
	server.Take(Changing{Names: map[string]string{printA: "acme-prod"}, FlushInterval: time.Minute, Users: kept})
	ask(lookToken, 401, "")
	ask(actToken, 200, "acme-prod")
	if server.fresh() != 130*time.Second {
		t.Errorf("fresh for %v", server.fresh())
	}
}
