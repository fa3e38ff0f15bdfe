package keyfile

import (
	"bytes"
	"context"
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// TestCertificateByName: the host name of a client's hello chooses among the key files; each
// of them is renewed, and has its own metrics and warnings.
func TestCertificateByName(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		write := func(name string, days int, hosts ...string) string {
			var file bytes.Buffer
			if err := Generate(&file, GenerateOptions{Hosts: hosts, ValidFor: time.Duration(days) * day}); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
		one, two, three := write("one", 90, "one.example"), write("two", 90, "two.example", "*.two.example", "both.example"), write("three", 5, "three.example", "both.example")
		four := write("four", 90, "both.example", "three.example")
		registry, log := prometheus.NewRegistry(), &logged{}
		sources, err := OpenSources(SourceOptions{Path: one, Options: Options{Password: "password"}, Logger: zerolog.New(log), Registerer: registry}, []string{two, three, four})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go sources.Watch(ctx)
		synctest.Wait()
		for name, want := range map[string]int{
			"": 0, "one.example": 0, "two.example": 1, "TWO.example": 1, "a.two.example": 1, "a.b.two.example": 0, "three.example": 2,
			"both.example": 1, "other.example": 0, LeafAlone: 0,
		} {
			served, err := sources.GetCertificate(&tls.ClientHelloInfo{ServerName: name})
			if err != nil || !served.Leaf.Equal(sources[want].Entry().Certificate.Leaf) {
				t.Errorf("%q: %v, %v; want that of file %d", name, served.Leaf.DNSNames, err, want)
			}
		}
		if warned := strings.Count(log.String(), `"level":"warn"`); warned != 1 || !strings.Contains(log.String(), "expires on") {
			t.Errorf("%d warnings, want one of the file that ends:\n%s", warned, log)
		}
		families, err := registry.Gather()
		if err != nil || len(families) != 2 {
			t.Fatal(families, err)
		}
		for _, family := range families {
			if len(family.Metric) != len(sources) {
				t.Errorf("%s: %d series", family.GetName(), len(family.Metric))
			}
		}
		before := sources[2].Entry().Certificate.Leaf
		write("three", 90, "three.example")
		time.Sleep(2 * lookEvery)
		synctest.Wait()
		served, err := sources.GetCertificate(&tls.ClientHelloInfo{ServerName: "three.example"})
		if err != nil || served.Leaf.Equal(before) {
			t.Error("a further file is not renewed", err)
		}
		if troubles := sources.Troubles(); len(troubles) != 0 {
			t.Errorf("with weeks to go: %q", troubles)
		}
		cancel()
		synctest.Wait()
		write("three", 5, "three.example")
		late, err := TryAll([]string{one, two, three, four}, Options{Password: "password"})
		if err != nil {
			t.Fatal(err)
		}
		sources.Take(late)
		if troubles := sources.Troubles(); len(troubles) != 1 || !strings.Contains(troubles[0], three+" expires on ") {
			t.Errorf("with days to go: %q", troubles)
		}
		time.Sleep(6 * day)
		if troubles := sources.Troubles(); len(troubles) != 1 || !strings.Contains(troubles[0], three+" expired on ") {
			t.Errorf("after the end: %q", troubles)
		}
		if served, err := sources.GetCertificate(&tls.ClientHelloInfo{ServerName: "three.example"}); err != nil || !served.Leaf.Equal(sources[3].Entry().Certificate.Leaf) {
			t.Error("one that has ended is served, and another names the host", err)
		}
	})
}

func TestSourcesThatCannotBe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "one")
	if err := os.WriteFile(path, newKeyFile(t, 90), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSources(SourceOptions{Path: path, Options: Options{Password: "password"}}, []string{path + "x"}); err == nil || !strings.Contains(err.Error(), path+"x") {
		t.Errorf("%v", err)
	}
}
