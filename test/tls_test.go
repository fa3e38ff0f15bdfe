package test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"audiences/sandbox"
	"audiences/test/harness"
)

// TestHandshakesThatCannotBe: a caller whose TLS we cannot serve is counted under
// what is wrong with it, and the log says what to change, in few lines however often
// it tries.
func TestHandshakesThatCannotBe(t *testing.T) {
	t.Parallel()
	p := harness.NewSite(t, sandbox.Options{}, nil).Start()
	dotted := bytes.Replace(firstFlight(t, &tls.Config{InsecureSkipVerify: true, ServerName: "relay.example.comX"}), []byte("comX"), []byte("com."), 1)
	old := firstFlight(t, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	const times = 10
	for reason, hello := range map[string][]byte{"dotted_name": dotted, "old_version": old, "plain_http": []byte("GET /ping HTTP/1.1\r\nHost: h\r\n\r\n")} {
		for range times {
			conn, err := net.DialTimeout("tcp", p.HTTPS, harness.Patience)
			if err != nil {
				t.Fatal(err)
			}
			if err := conn.SetDeadline(time.Now().Add(harness.Patience)); err != nil {
				t.Fatal(err)
			}
			writeAll(t, conn, string(hello))
			if _, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "timeout") {
				t.Errorf("%s: not answered: %v", reason, err)
			}
			_ = conn.Close()
		}
		want := fmt.Sprintf("audiences_handshakes_failed_total{port=\"https\",reason=%q} %d\n", reason, times)
		harness.Eventually(t, harness.Patience, want, func() bool {
			a, err := p.AdminGet("/metrics")
			return err == nil && strings.Contains(a.Body, want)
		})
		if n := strings.Count(p.Log(), `"reason":"`+reason+`"`); n == 0 || n >= times { // one at once, one every ten seconds that this takes
			t.Errorf("%s: %d lines in the log", reason, n)
		}
	}
	p.MustPost(harness.Change{Segment: "sWell", Keys: []string{"1"}})
}

// firstFlight is what a client of this configuration sends first. To send it as it
// is makes the server do all its work of a handshake, and costs the client nothing.
func firstFlight(t *testing.T, config *tls.Config) []byte {
	t.Helper()
	flight, err := recordFlight(config)
	if err != nil {
		t.Fatal(err)
	}
	return flight
}

func recordFlight(config *tls.Config) ([]byte, error) {
	client, server := net.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = tls.Client(client, config).HandshakeContext(ctx) // which nobody answers
	}()
	buffer := make([]byte, 1<<16)
	n, err := server.Read(buffer)
	cancel()
	_ = server.Close()
	<-ended
	return bytes.Clone(buffer[:n]), err
}
