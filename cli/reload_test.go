package cli

import (
	"slices"
	"testing"
	"time"

	"audiences/config"
)

// TestReloadCompares: what may change is taken, all else waits, and users wait with the address
// that they come in on: with TLS that is not there yet their passwords would be sent in clear.
func TestReloadCompares(t *testing.T) {
	users := []config.AdminUser{{Name: "a"}}
	for _, c := range []struct {
		to                 config.Config
		taken, needRestart []string
	}{
		{config.Config{}, nil, nil},
		{config.Config{LogLevel: "debug", IdleTimeout: time.Hour}, []string{"logLevel"}, []string{"idleTimeout"}},
		{config.Config{AdminUsers: users}, []string{"adminUsers"}, nil},
		{config.Config{AdminUsers: users, AdminTLS: true}, nil, []string{"adminTls", "adminUsers"}},
		{config.Config{AdminUsers: users, AdminAddress: "[::]:3010"}, nil, []string{"adminAddress", "adminUsers"}},
	} {
		r := &reloader{service: &service{}}
		if what := r.compare(c.to); !slices.Equal(what.Taken, c.taken) || !slices.Equal(what.NeedRestart, c.needRestart) {
			t.Errorf("%+v", what)
		}
	}
}

// TestReloadWarnsOnce: of what is warned of already nothing is said again.
func TestReloadWarnsOnce(t *testing.T) {
	r := &reloader{service: &service{files: descriptors{calls: 100, connections: leastComfort}}}
	r.current.Warnings = []string{"old"}
	what := r.compare(config.Config{Warnings: []string{"old", "new"}, MaxConcurrentCalls: 200})
	if len(what.Warnings) != 2 || what.Warnings[0] != "new" {
		t.Errorf("%q", what.Warnings)
	}
}
