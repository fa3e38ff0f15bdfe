package api

import (
	"crypto/tls"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
)

// TestKeyExchange: who offers the post-quantum key exchange gets it unless Classical
// is set, and who does not gets on either way, at once.
func TestKeyExchange(t *testing.T) {
	modern, node := []tls.CurveID(nil), []tls.CurveID{tls.X25519, tls.CurveP256}
	for _, c := range []struct {
		classical bool
		offers    []tls.CurveID
		version   uint16
		want      tls.CurveID
	}{
		{false, modern, tls.VersionTLS13, tls.X25519MLKEM768},
		{false, node, tls.VersionTLS13, tls.X25519},
		{false, node, tls.VersionTLS12, tls.X25519},
		{false, []tls.CurveID{tls.CurveP256}, tls.VersionTLS13, tls.CurveP256},
		{true, modern, tls.VersionTLS13, tls.X25519},
		{true, node, tls.VersionTLS13, tls.X25519},
		{true, []tls.CurveID{tls.CurveP521}, tls.VersionTLS12, tls.CurveP521},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := start(t, Options{Classical: c.classical})
				plain, err := f.pipes.dial(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = plain.Close() }()
				conn := tls.Client(plain, &tls.Config{InsecureSkipVerify: true, CurvePreferences: c.offers, MaxVersion: c.version})
				if err := conn.Handshake(); err != nil {
					t.Fatal(err)
				}
				if state := conn.ConnectionState(); state.CurveID != c.want || state.HelloRetryRequest {
					t.Errorf("%v, asked again: %v; want %v", state.CurveID, state.HelloRetryRequest, c.want)
				}
			})
		})
	}
}

// BenchmarkHandshake is a handshake with a P-256 certificate, both sides of it, by
// key exchange.
func BenchmarkHandshake(b *testing.B) {
	server := &tls.Config{Certificates: []tls.Certificate{certificate()}, SessionTicketsDisabled: true}
	for _, curve := range []tls.CurveID{tls.X25519, tls.CurveP256, tls.X25519MLKEM768} {
		b.Run(curve.String(), func(b *testing.B) {
			client := &tls.Config{InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{curve}}
			for b.Loop() {
				near, far := net.Pipe()
				go func() { _ = tls.Server(far, server).Handshake() }()
				if err := tls.Client(near, client).Handshake(); err != nil {
					b.Fatal(err)
				}
				_, _ = near.Close(), far.Close()
			}
		})
	}
}
