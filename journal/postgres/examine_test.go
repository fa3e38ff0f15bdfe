//go:build e2e

package postgres

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"audiences/audience"
	"audiences/journal/vault"
	"audiences/placement"
	server "audiences/sandbox/postgres"
)

// examined are the findings as lines, and the worst mark.
func examined(t *testing.T, e Examination) (lines string, worst Mark) {
	t.Helper()
	for _, f := range Examine(t.Context(), e).Findings {
		lines += fmt.Sprintf("%d %s\n", f.Mark, f.Text)
		worst = max(worst, f.Mark)
		if strings.Contains(f.Text, "\n") {
			t.Errorf("more than a line: %q", f.Text)
		}
	}
	return lines, worst
}

// exec runs statements as the superuser in the cluster's database.
func (c *cluster) exec(statements string) {
	c.Helper()
	conn := c.superuser()
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(c.Context(), statements, pgx.QueryExecModeSimpleProtocol); err != nil {
		c.Fatalf("%s: %v", statements, err)
	}
}

func (c *cluster) superuser() *pgx.Conn {
	c.Helper()
	conn, err := pgx.Connect(c.Context(), shared.AdminURLOf(c.name()))
	if err != nil {
		c.Fatal(err)
	}
	return conn
}

// name is the database's.
func (c *cluster) name() string {
	u, err := url.Parse(c.url)
	if err != nil {
		c.Fatal(err)
	}
	return strings.TrimPrefix(u.Path, "/")
}

// TestExamineForetellsOpen: where it has no fault Open succeeds, and where it has one Open
// fails; and it changes nothing.
func TestExamineForetellsOpen(t *testing.T) {
	other, _ := vault.Make()
	for _, c := range []struct {
		what  string
		begun bool   // a node was there before
		spoil string // by the superuser
		key   *vault.Vault
		fault bool
		says  string
	}{
		{"an empty database", false, ``, nil, false, "the first start makes them"},
		{"after a start", true, ``, nil, false, "format 1, in the schema public"},
		{"another key", true, ``, &other, true, "all nodes need the same"},
		{"a format of a newer program", true, `UPDATE meta SET format = 2`, nil, false, "of a newer program"},
		{"a format that is too new", true, `UPDATE meta SET format = 3`, nil, true, "use a newer program"},
		{"no schema", false, `ALTER ROLE relay IN DATABASE %s SET search_path = nowhere`, nil, true, "search_path"},
		{"a schema of others", false, `ALTER SCHEMA public OWNER TO postgres; REVOKE CREATE ON SCHEMA public FROM PUBLIC, relay, pg_database_owner`, nil, true, "GRANT CREATE"},
		{"no more right to create", true, `ALTER SCHEMA public OWNER TO postgres; REVOKE CREATE ON SCHEMA public FROM PUBLIC, relay, pg_database_owner`, nil, true, "GRANT CREATE"},
		{"a table of others", false, `CREATE TABLE segment (id int)`, nil, true, "of no relay"},
		{"a meta of others", false, `CREATE TABLE meta (id int); GRANT ALL ON meta TO relay`, nil, true, "meta"},
		{"a right is missing", true, `ALTER TABLE slot OWNER TO postgres; REVOKE ALL ON slot FROM relay; GRANT SELECT ON slot TO relay`, nil, true, "lacks INSERT, UPDATE, DELETE on slot"},
		{"receipts of another owner", true, `ALTER TABLE receipt OWNER TO postgres; GRANT ALL ON receipt TO relay`, nil, false, "a start after today fails"},
		{"nothing can be written", true, `ALTER ROLE relay IN DATABASE %s SET default_transaction_read_only = on`, nil, true, "read_only"},
		{"a role whose commits wait for nothing", true, `ALTER ROLE relay IN DATABASE %s SET synchronous_commit = off`, nil, false, "format 1"}, // a node says otherwise
	} {
		t.Run(c.what, func(t *testing.T) {
			cl := newCluster(t)
			if c.begun {
				if err := cl.node().Close(); err != nil {
					t.Fatal(err)
				}
			}
			if c.spoil != "" {
				cl.exec(strings.ReplaceAll(c.spoil, "%s", cl.name()))
			}
			if c.key != nil {
				cl.key = *c.key
			}
			before := cl.contents()
			lines, worst := examined(t, Examination{URL: cl.url, KeyCheck: cl.key.Check(), Receipts: true})
			if fault := worst == Fault; fault != c.fault || !strings.Contains(lines, c.says) {
				t.Errorf("fault %v, want %v and %q:\n%s", fault, c.fault, c.says, lines)
			}
			equal(t, "what is in it", cl.contents(), before)
			j, err := Open(t.Context(), Options{URL: cl.url, Vault: cl.key, ReceiptsMaxAge: 24 * time.Hour, Logger: zerolog.Nop()})
			if err == nil {
				_, err = j.Beat(t.Context(), claimAll)
				_ = j.Close()
			}
			if failed := err != nil; failed != c.fault {
				t.Errorf("a start: %v\n%s", err, lines)
			}
		})
	}
}

// contents are the tables with their owners and pages, and what meta says.
func (c *cluster) contents() string {
	c.Helper()
	conn := c.superuser()
	defer func() { _ = conn.Close(context.Background()) }()
	var all string
	err := conn.QueryRow(c.Context(), `SELECT coalesce(string_agg(format('%s %s %s', c.oid::regclass, c.relowner, pg_relation_size(c.oid)), E'\n' ORDER BY c.oid), '')
		FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace`).Scan(&all)
	if err != nil {
		c.Fatal(err)
	}
	return all
}

// TestExamineUnreachable: what keeps from a database is told in one line, without the login.
func TestExamineUnreachable(t *testing.T) {
	good, err := url.Parse(shared.URL())
	if err != nil {
		t.Fatal(err)
	}
	password, _ := good.User.Password()
	for what, c := range map[string]struct {
		change func(*url.URL)
		says   string
	}{
		"a wrong password":     {func(u *url.URL) { u.User = url.UserPassword("relay", password+"x") }, "the login is refused"},
		"no such user":         {func(u *url.URL) { u.User = url.UserPassword("sekrit", password) }, "the login is refused"},
		"no such database":     {func(u *url.URL) { u.Path = "/none" }, "no database of that name"},
		"nobody at the port":   {func(u *url.URL) { u.Host = "127.0.0.1:1" }, "connection refused"},
		"no such host":         {func(u *url.URL) { u.Host = "no.such.host.invalid" }, "no address for no.such.host.invalid"},
		"a server without TLS": {func(u *url.URL) { u.RawQuery = "sslmode=verify-full" }, "TLS"},
		"a mode of the driver": {func(u *url.URL) { u.RawQuery += "&default_query_exec_mode=exec" }, "cache_describe"},
		"no URL":               {func(u *url.URL) { u.RawQuery = "sslmode=" + password }, "no URL"},
	} {
		u := *good
		c.change(&u)
		lines, _ := examined(t, Examination{URL: u.String()})
		if !strings.HasPrefix(lines, fmt.Sprint(int(Fault))) || strings.Count(lines, "\n") != 1 || !strings.Contains(lines, c.says) {
			t.Errorf("%s:\n%s", what, lines)
		}
		if strings.Contains(lines, password) || strings.Contains(lines, "sekrit") {
			t.Errorf("%s: the login shows:\n%s", what, lines)
		}
	}
}

// TestExamineServers: what a server's settings and its standbys mean for what was answered.
func TestExamineServers(t *testing.T) {
	ctx := t.Context()
	primary, err := server.Start(ctx, server.Options{Settings: map[string]string{"autovacuum": "off", "max_connections": "12", "full_page_writes": "off", "max_prepared_transactions": "1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = primary.Stop() })
	e := Examination{URL: primary.URL(), Lease: 3 * time.Second}
	says := func(e Examination, words ...string) {
		t.Helper()
		lines, _ := examined(t, e)
		for _, word := range words {
			if !strings.Contains(lines, word) {
				t.Errorf("no word of %q in\n%s", word, lines)
			}
		}
	}
	says(e, "0 PostgreSQL 1", "fsync is off", "full_page_writes is off", "autovacuum is off", "1 no standby follows", "9 of 9 connections are free", "the median of 5")
	says(Examination{URL: e.URL, Lease: time.Microsecond}, "a sixth of leaseTime")

	for range 4 {
		conn, err := pgx.Connect(ctx, e.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(context.Background()) }()
	}
	says(e, "2 5 of 9 connections are free")

	follower, err := primary.Standby(ctx, server.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = follower.Stop() })
	says(e, "standbys follow: ", "pg_monitor")
	admin := Examination{URL: primary.AdminURL()}
	says(admin, "0 commits wait for the standby ")
	says(Examination{URL: follower.AdminURL()}, "3 PostgreSQL", "is a standby")
	both := strings.Replace(primary.URL(), primary.Addr(), follower.Addr()+","+primary.Addr(), 1)
	says(Examination{URL: both}, "is a standby")
	says(Examination{URL: both + "&target_session_attrs=read-write"}, "0 PostgreSQL", "no standby")
	says(Examination{URL: admin.URL + "&synchronous_commit=local"}, "2 commits do not wait for the synchronous standby")
	says(Examination{URL: admin.URL + "&synchronous_commit=off"}, "2 commits do not wait for the synchronous standby", "2 synchronous_commit is off")
	for _, statement := range []string{"ALTER SYSTEM SET synchronous_standby_names = ''", "SELECT pg_reload_conf()"} {
		if _, err := primary.SQL(ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the setting is in use", func() bool {
		lines, _ := examined(t, admin)
		return strings.Contains(lines, "2 commits wait for no standby: at a failover to ")
	})
	says(e, "2 commits wait for no standby: at a failover to ")
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for began := time.Now(); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > 30*time.Second {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// TestExamineNodes: those that are at work are named, and no others.
func TestExamineNodes(t *testing.T) {
	c := newCluster(t)
	one := c.node(func(o *Options) { o.Name, o.Version = "one", "1" })
	two := c.node(func(o *Options) { o.Name, o.Version = "two", "2" })
	c.beat(one, claimAll)
	c.beat(two, claimAll)
	e := Examination{URL: c.url, KeyCheck: c.key.Check()}
	if got := Examine(t.Context(), e).Nodes; !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("%q", got)
	}
	if lines, _ := examined(t, e); !strings.Contains(lines, "programs differ: 1, 2") {
		t.Error(lines)
	}
	if err := two.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := Examine(t.Context(), e).Nodes; !slices.Equal(got, []string{"one"}) {
		t.Errorf("%q", got)
	}
}

var claimAll = placement.Beat{Lease: time.Hour, Claim: audience.AllSlots()}
