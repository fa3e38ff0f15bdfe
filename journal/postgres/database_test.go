//go:build e2e

package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"audiences/audience"
	"audiences/journal"
)

// life goes through all that happens to a key, on a database that is set otherwise.
func (c *cluster) life(j *Journal) {
	c.Helper()
	s := segment(tenant("token"), "s")
	version := c.accept(j, s, audience.Add, "1 2 3 ü")
	c.settle(j, s, covered("1", version), journal.Receipt{At: time.Now(), Verb: audience.Add, Call: 7})
	c.park(j, s, audience.Add, covered("2", version), "wäre")
	equal(c, "pending and parked", c.pending(j, s)+" "+c.parked(j, s), "+3 +ü +2:wäre")
	found := wait(c, func(done func(journal.Found)) { j.Find(journal.Find{Segment: s, Key: keys("1")[0], Done: done}) })
	if len(found.Sightings) != 1 || time.Since(found.Sightings[0].At).Abs() > time.Minute {
		c.Errorf("%d sightings", len(found.Sightings))
	}
}

// shown is what a setting is on the line of the posts.
func (c *cluster) shown(j *Journal, setting string) (value string) {
	c.Helper()
	err := j.accept.do(c.Context(), func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `SELECT current_setting($1)`, setting).Scan(&value)
	})
	if err != nil {
		c.Fatal(err)
	}
	return value
}

// TestSettingsOfTheDatabase do not count: what is answered is on the disk (I1), and who waits
// for a row is not refused for it.
func TestSettingsOfTheDatabase(t *testing.T) {
	c := newCluster(t)
	name, statements := sql[string](c, `SELECT current_database()`), ""
	for setting, value := range map[string]string{"synchronous_commit": "off", "default_transaction_isolation": "'serializable'", "timezone": "'Asia/Kathmandu'",
		"DateStyle": "'SQL, DMY'", "IntervalStyle": "'postgres_verbose'", "statement_timeout": "1", "lock_timeout": "1", "bytea_output": "'escape'"} {
		statements += "ALTER ROLE relay IN DATABASE " + name + " SET " + setting + " = " + value + ";"
	}
	if _, err := shared.SQL(t.Context(), statements); err != nil {
		t.Fatal(err)
	}
	j := c.owner()
	equal(t, "synchronous_commit", c.shown(j, "synchronous_commit"), "on")
	equal(t, "isolation", c.shown(j, "transaction_isolation"), "read committed")
	c.life(j)
}

// TestOtherEncodings: neither encoding nor order of texts of the database matter.
func TestOtherEncodings(t *testing.T) {
	c := newCluster(t)
	url, err := shared.NewDatabase(t.Context(), "TEMPLATE template0 ENCODING 'LATIN1' LOCALE_PROVIDER icu ICU_LOCALE 'de-u-co-phonebk' LOCALE 'C'")
	if err != nil {
		t.Fatal(err)
	}
	c.url = url
	c.life(c.owner())
}

// with is the database's URL with a parameter more, or another user.
func (c *cluster) with(user *url.Userinfo, name, value string) string {
	u, err := url.Parse(c.url)
	if err != nil {
		c.Fatal(err)
	}
	if user != nil {
		u.User = user
	}
	if name != "" {
		q := u.Query()
		q.Set(name, value)
		u.RawQuery = q.Encode()
	}
	return u.String()
}

// TestSchemaOfItsOwn: two journals may live in one database, each in a schema.
func TestSchemaOfItsOwn(t *testing.T) {
	c := newCluster(t)
	one := c.owner()
	c.accept(one, segment(tenant("token"), "s"), audience.Add, "9")
	direct := c.url
	c.url = c.with(nil, "search_path", "elsewhere")
	if _, err := Open(t.Context(), Options{URL: c.url, Vault: c.key}); err == nil || !strings.Contains(err.Error(), "search_path") {
		t.Errorf("a schema that is not there: %v", err)
	}
	conn, err := pgx.Connect(t.Context(), direct)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), `CREATE SCHEMA elsewhere`); err != nil {
		t.Fatal(err)
	}
	c.life(c.owner())
	equal(t, "of the first one", c.pending(one, segment(tenant("token"), "s")), "+9")
}

// TestRights: who may not make the tables is told what is missing; who need not, is not asked.
func TestRights(t *testing.T) {
	c := newCluster(t)
	name := sql[string](c, `SELECT current_database()`)
	if _, err := shared.SQL(t.Context(), "CREATE ROLE weak_"+name+" LOGIN PASSWORD 'weak'"); err != nil {
		t.Fatal(err)
	}
	weak := c.with(url.UserPassword("weak_"+name, "weak"), "", "")
	if _, err := Open(t.Context(), Options{URL: weak, Vault: c.key}); err == nil || !strings.Contains(err.Error(), "CREATE") || strings.Contains(err.Error(), "'weak'") {
		t.Errorf("without rights: %v", err)
	}
	c.node()
	if _, err := Open(t.Context(), Options{URL: weak, Vault: c.key}); err == nil || !strings.Contains(err.Error(), "own the journal's tables") {
		t.Errorf("with the tables of somebody else: %v", err)
	}
	conn, err := pgx.Connect(t.Context(), c.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO weak_`+name); err != nil {
		t.Fatal(err)
	}
	j, err := Open(t.Context(), Options{URL: weak, Vault: c.key}) // it keeps no receipts
	if err != nil {
		t.Fatal(err)
	}
	_ = j.Close()
}

// TestPooler: behind one that drops the settings of a connection nothing bounds how long a
// change waits (F1), so it is refused, with a sentence.
func TestPooler(t *testing.T) {
	c := newCluster(t)
	u, err := url.Parse(c.url)
	if err != nil {
		t.Fatal(err)
	}
	database := u.Host
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go func() {
		for {
			relay, err := listener.Accept()
			if err != nil {
				return
			}
			go pool(relay, database)
		}
	}()
	u.Host = listener.Addr().String()
	if _, err := Open(t.Context(), Options{URL: u.String(), Vault: c.key}); err == nil || !strings.Contains(err.Error(), "pooler") {
		t.Errorf("%v", err)
	}
}

// pool connects somebody, and leaves out all parameters of the connection but user and
// database.
func pool(relay net.Conn, database string) {
	defer func() { _ = relay.Close() }()
	var length [4]byte
	if _, err := io.ReadFull(relay, length[:]); err != nil {
		return
	}
	packet := make([]byte, binary.BigEndian.Uint32(length[:])-4)
	if _, err := io.ReadFull(relay, packet); err != nil {
		return
	}
	words := strings.Split(string(packet[4:]), "\x00")
	kept := string(packet[:4])
	for i := 0; i+1 < len(words); i += 2 {
		if words[i] == "user" || words[i] == "database" {
			kept += words[i] + "\x00" + words[i+1] + "\x00"
		}
	}
	kept += "\x00"
	server, err := net.Dial("tcp", database)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	_, _ = server.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(kept)+4)), kept...))
	go func() { _, _ = io.Copy(server, relay) }()
	_, _ = io.Copy(relay, server)
}

// TestLargePosts: a post is taken however many keys it has.
func TestLargePosts(t *testing.T) {
	c := newCluster(t)
	j := c.owner()
	s := segment(tenant("token"), "s")
	for _, n := range []int{mostRows, 100_000, 300_000} {
		var p audience.Packer
		for key := range n {
			p.Put(audience.NumericKey(int64(key)))
		}
		done, began := make(chan error, 1), time.Now()
		j.Append(journal.Append{Tenant: s.Tenant, Done: func(err error) { done <- err }, Changes: []journal.Change{{Segment: s, Verb: audience.Add, Keys: p.Keys()}}})
		if err := <-done; err != nil {
			t.Fatalf("%d keys: %v", n, err)
		}
		t.Logf("%d keys: %v", n, time.Since(began))
		equal(t, "rows", sql[int64](c, `SELECT count(*) FROM pending`), int64(n))
	}
	equal(t, "statement_timeout", c.shown(j, "statement_timeout"), "1s")
}

// TestLargePostIsAlone is F1: a post that has more time than others takes none of them along,
// whose callers may have given up by then.
func TestLargePostIsAlone(t *testing.T) {
	c := newCluster(t)
	j := c.owner()
	s := segment(tenant("token"), "s")
	c.accept(j, s, audience.Add, "9")
	release := c.hold(`UPDATE pending SET verb = verb`)
	_, under := put(j, s, audience.Add, "9")
	c.until("a group is under way", func() bool {
		j.intake.mu.Lock()
		defer j.intake.mu.Unlock()
		return j.intake.under != nil
	})
	answers := []chan error{under}
	for _, texts := range []string{"1", numbered(0, mostRows+1), "2", numbered(0, mostRows-1), "3 4"} {
		_, done := put(j, s, audience.Add, texts)
		answers = append(answers, done)
	}
	j.intake.mu.Lock()
	var posts, rows []int
	for _, g := range j.intake.waiting {
		posts, rows = append(posts, g.posts), append(rows, len(g.rows))
	}
	j.intake.mu.Unlock()
	release()
	for _, done := range answers {
		<-done // the machine may be too slow for some
	}
	equal(t, "posts of the groups", fmt.Sprint(posts), "[1 1 2 1]")
	equal(t, "their keys", fmt.Sprint(rows), fmt.Sprint([]int{1, mostRows + 1, mostRows - 1, 2}))
}
