package keyfile

import (
	"bytes"
	"context"
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// renewal is a watched key file in a bubble.
type renewal struct {
	t        *testing.T
	path     string
	record   string
	source   *Source
	registry *prometheus.Registry
	log      logged
}

// logged is what a Source logs, for two goroutines.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// watch starts a Source with a new certificate for the days, until the test ends.
func watch(t *testing.T, days int) *renewal {
	t.Helper()
	dir := t.TempDir()
	r := &renewal{t: t, path: filepath.Join(dir, "key.jks"), record: filepath.Join(dir, "certificates"), registry: prometheus.NewRegistry()}
	r.write(newKeyFile(t, days))
	return r.open()
}

func (r *renewal) open() *renewal {
	r.t.Helper()
	var err error
	r.source, err = Open(SourceOptions{Path: r.path, Options: Options{Password: "password"}, Record: r.record,
		Logger: zerolog.New(&r.log), Registerer: r.registry})
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(r.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.source.Watch(ctx)
	}()
	r.t.Cleanup(func() { stop(); <-done })
	return r
}

func newKeyFile(t *testing.T, days int) []byte {
	t.Helper()
	var file bytes.Buffer
	if err := Generate(&file, GenerateOptions{ValidFor: time.Duration(days) * 24 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func (r *renewal) write(data []byte) {
	r.t.Helper()
	if err := os.WriteFile(r.path, data, 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// served is the certificate of the next handshake.
func (r *renewal) served() *x509.Certificate {
	r.t.Helper()
	cert, err := r.source.GetCertificate(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return cert.Leaf
}

// after waits and returns what is served then.
func (r *renewal) after(d time.Duration) *x509.Certificate {
	r.t.Helper()
	time.Sleep(d) // of the bubble
	synctest.Wait()
	return r.served()
}

func (r *renewal) gauge(name string) float64 {
	r.t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	r.t.Fatalf("no metric %s", name)
	return 0
}

// warnings is how many lines Watch has logged that warn.
func (r *renewal) warnings() int { return strings.Count(r.log.String(), `"level":"warn"`) }

// isRecorded is what a health check goes by.
func (r *renewal) isRecorded(c *x509.Certificate) bool { return WasServed(r.record, r.path, c.Raw) }

// TestRenewal: a new file is served when two looks have found the same, at the
// second look after it was written, and health checks know both certificates.
func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := watch(t, 100)
		old := r.after(time.Second)
		if WasServed(r.record, r.path+"2", old.Raw) || WasServed(r.record+"2", r.path, old.Raw) || !r.isRecorded(old) {
			t.Error("what is served from the start is not recorded")
		}
		if got := r.gauge("audiences_certificate_expires_timestamp_seconds"); got != float64(old.NotAfter.Unix()) {
			t.Errorf("ends at %f", got)
		}
		next := newKeyFile(t, 200)
		r.write(next) // at 1 s; looks are at 2 s and 4 s
		if !r.after(2 * time.Second).Equal(old) {
			t.Error("served at 3 s, after one look")
		}
		renewed := r.after(time.Second)
		if renewed.Equal(old) {
			t.Fatal("not served at 4 s")
		}
		if !r.isRecorded(old) || !r.isRecorded(renewed) {
			t.Error("the record lacks one of the two")
		}
		if got := r.gauge("audiences_certificate_expires_timestamp_seconds"); got != float64(renewed.NotAfter.Unix()) {
			t.Errorf("ends at %f", got)
		}
		r.write(newKeyFile(t, 300))
		if third := r.after(4 * time.Second); third.Equal(renewed) || !r.isRecorded(third) || !r.isRecorded(renewed) || r.isRecorded(old) {
			t.Error("the record is to have the last two")
		}
		if n := r.warnings(); n != 0 {
			t.Errorf("%d warnings\n%s", n, r.log.String())
		}
	})
}

// TestRenewalThatChangesNothing: the same certificate in a file written anew.
func TestRenewalThatChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := watch(t, 100)
		old := r.served()
		data, err := os.ReadFile(r.path)
		if err != nil {
			t.Fatal(err)
		}
		r.write([]byte("not this"))
		r.after(4 * time.Second)
		r.write(data)
		if !r.after(4*time.Second).Equal(old) || r.gauge("audiences_key_file_refused") != 0 {
			t.Error("not back")
		}
	})
}

// TestRenewalThroughLinks: the way Kubernetes does it, where the file's own name
// never changes and its time may go back.
func TestRenewalThroughLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		r := &renewal{t: t, path: filepath.Join(dir, "key.jks"), record: filepath.Join(dir, "certificates"), registry: prometheus.NewRegistry()}
		for i, name := range []string{"one", "two"} {
			if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, name, "key.jks")
			if err := os.WriteFile(file, newKeyFile(t, 100), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(file, time.Time{}, time.Unix(int64(1000-i), 0)); err != nil {
				t.Fatal(err)
			}
		}
		link := func(target, name string) {
			if err := os.Symlink(target, filepath.Join(dir, "new")); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(dir, "new"), name); err != nil {
				t.Fatal(err)
			}
		}
		link("one", filepath.Join(dir, "..data"))
		link("..data/key.jks", r.path)
		r.open()
		old := r.served()
		link("two", filepath.Join(dir, "..data"))
		if r.after(4 * time.Second).Equal(old) {
			t.Error("the file behind the links is not served")
		}
	})
}

// TestBrokenRenewal: what cannot be loaded changes nothing, is said once a change,
// shows in the metric, and is tried again when it changes.
func TestBrokenRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := watch(t, 100)
		old, whole := r.served(), newKeyFile(t, 200)
		for i, broken := range []func(){
			func() { r.write(whole[:300]) },
			func() { r.write(nil) },
			func() { _ = os.Remove(r.path) },
			func() { r.write([]byte("something else")) },
		} {
			broken()
			if !r.after(time.Minute).Equal(old) {
				t.Fatalf("%d: another certificate is served", i)
			}
			if n := r.warnings(); n != i+1 {
				t.Errorf("%d: %d warnings in all after a minute\n%s", i, n, r.log.String())
			}
			if r.gauge("audiences_key_file_refused") != 1 || !r.isRecorded(old) {
				t.Errorf("%d: not shown as refused, or the record has lost what is served", i)
			}
		}
		r.write(whole)
		if r.after(4*time.Second).Equal(old) || r.gauge("audiences_key_file_refused") != 0 {
			t.Error("the good file after the broken ones is not served")
		}
	})
}

// TestHalfWrittenRenewal: a PEM file whose chain is still being written is whole
// at each look and must not be taken before it rests.
func TestHalfWrittenRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		r := &renewal{t: t, path: filepath.Join(dir, "key.pem"), registry: prometheus.NewRegistry()}
		first := fixture(t, "pem-ed25519.pem")
		r.write(first)
		r.open()
		old := r.served()
		whole := fixture(t, "pem-sec1.pem") // leaf, intermediate, key
		for n := 1; n < 8; n++ {
			r.write(append(bytes.Repeat([]byte("\n"), n), whole...))
			if !r.after(2 * time.Second).Equal(old) {
				t.Fatalf("taken at look %d, while it changes", n)
			}
		}
		r.write(whole)
		if r.after(4*time.Second).Equal(old) || len(r.source.Entry().Certificate.Certificate) != 2 {
			t.Error("not taken whole at its rest")
		}
	})
}

// TestEntryTakesOver: one store with two entries; when the first ends, the second
// is served, though nothing is written.
func TestEntryTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		r := &renewal{t: t, path: filepath.Join(dir, "key.pem"), record: filepath.Join(dir, "certificates"), registry: prometheus.NewRegistry()}
		start := time.Now()
		r.write(append(pemOf(t, start.Add(-time.Hour), start.Add(time.Hour)), pemOf(t, start.Add(time.Hour-time.Minute), start.Add(1000*time.Hour))...))
		r.open()
		old := r.served()
		if !old.NotAfter.Equal(start.Add(time.Hour)) {
			t.Fatalf("%s is served", old.NotAfter)
		}
		if !r.after(time.Hour - time.Minute - time.Second).Equal(old) {
			t.Error("the second is served before its time")
		}
		// Both are valid from here on, and the second ends last.
		if now := r.after(3 * time.Second); now.Equal(old) || !r.isRecorded(now) {
			t.Error("the second is not served")
		}
	})
}

// TestWarningsGoOn: that the certificate ends is said again when that comes nearer.
func TestWarningsGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := watch(t, 1)
		for _, c := range []struct {
			wait time.Duration
			want int
		}{{0, 1}, {time.Minute, 2}, {23 * time.Hour, 2}, {2 * time.Hour, 3}} {
			if r.after(c.wait); r.warnings() != c.want {
				t.Errorf("%d warnings %s later, want %d", r.warnings(), c.wait, c.want)
			}
		}
	})
}

// TestUrgency: a certificate is warned of 30, 7 and 1 days before its end, and each day
// from it on.
func TestUrgency(t *testing.T) {
	data := newKeyFile(t, 60)
	entry, err := Parse(data, Options{Password: "password"})
	if err != nil {
		t.Fatal(err)
	}
	ends := entry.Certificate.Leaf.NotAfter
	var warned []int
	for left, before := 50, 0; left >= -3; left-- {
		now := urgency(entry, ends.Add(-time.Duration(left)*day+time.Second))
		if now > before {
			warned = append(warned, left)
		}
		if now < before || now > before+1 {
			t.Errorf("%d days before the end: from %d to %d", left, before, now)
		}
		before = now
	}
	if want := []int{30, 7, 1, 0, -1, -2, -3}; !slices.Equal(warned, want) {
		t.Errorf("warned %v days before the end, want %v", warned, want)
	}
}

// TestRecordCannotBeWritten: the certificate is served all the same.
func TestRecordCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := watch(t, 100)
		old := r.after(time.Second)
		r.source.options.Record = filepath.Join(t.TempDir(), "absent", "certificates")
		r.write(newKeyFile(t, 200))
		if r.after(4 * time.Second).Equal(old) {
			t.Error("not served")
		}
	})
}

// TestOpenRefuses what Load refuses.
func TestOpenRefuses(t *testing.T) {
	for _, path := range []string{"testdata/absent", "testdata/jks-truncated.jks"} {
		if _, err := Open(SourceOptions{Path: path}); err == nil {
			t.Errorf("%s was opened", path)
		}
	}
}

// TestTake: another file, or other passwords, are served at once and looked after from then
// on, and the file before is not; one that is not good is no candidate.
func TestTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := watch(t, 100)
		old := r.after(time.Second)
		before := r.path
		var sealed bytes.Buffer
		if err := Generate(&sealed, GenerateOptions{ValidFor: 200 * 24 * time.Hour, Password: "another"}); err != nil {
			t.Fatal(err)
		}
		r.write(sealed.Bytes()) // with another password: it cannot be loaded yet
		if !r.after(10*time.Second).Equal(old) || r.gauge("audiences_key_file_refused") != 1 {
			t.Fatal("loaded with the password of before")
		}
		if _, err := Try(r.path, Options{Password: "wrong"}); err == nil || strings.Contains(err.Error(), "another") {
			t.Errorf("%v", err)
		}
		take := func(path, password string) {
			t.Helper()
			good, err := Try(path, Options{Password: password})
			if err != nil {
				t.Fatal(err)
			}
			r.source.Take(good)
		}
		take(r.path, "another")
		if renewed := r.served(); renewed.Equal(old) || r.gauge("audiences_key_file_refused") != 0 || !r.isRecorded(renewed) {
			t.Error("the other password is not taken")
		}
		r.path += "2"
		r.write(newKeyFile(t, 300))
		take(r.path, "password")
		other := r.served()
		if !r.isRecorded(other) {
			t.Error("a health check does not know the other file")
		}
		if err := os.WriteFile(before, newKeyFile(t, 400), 0o600); err != nil {
			t.Fatal(err)
		}
		if !r.after(10 * time.Second).Equal(other) {
			t.Error("the file before is served again")
		}
		r.write(newKeyFile(t, 500))
		if r.after(10 * time.Second).Equal(other) {
			t.Error("a renewal of the other file is not served")
		}
	})
}
