package api

import (
	"crypto/tls"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// TestHTTP2IsBounded reads what the server says of itself.
func TestHTTP2IsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, Options{})
		plain, err := f.pipes.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = plain.Close() }()
		conn := tls.Client(plain, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		if err := conn.Handshake(); err != nil {
			t.Fatal(err)
		}
		framer := http2.NewFramer(conn, conn)
		go func() {
			_, _ = io.WriteString(conn, http2.ClientPreface)
			_ = framer.WriteSettings()
		}()
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		settings, ok := frame.(*http2.SettingsFrame)
		if !ok {
			t.Fatalf("%T", frame)
		}
		for id, most := range map[http2.SettingID]uint32{
			http2.SettingMaxConcurrentStreams: 16, http2.SettingInitialWindowSize: 512 << 10,
			http2.SettingMaxHeaderListSize: 32 << 10, http2.SettingMaxFrameSize: 1 << 20,
		} {
			if value, ok := settings.Value(id); !ok || value > most {
				t.Errorf("%v: %d, want %d at most", id, value, most)
			}
		}
		begun := time.Now()
		for err == nil {
			_, err = framer.ReadFrame()
		}
		if after := time.Since(begun); after > idleTimeout {
			t.Errorf("one that does nothing is cut off after %v", after)
		}
	})
}
