package test

import (
	"bytes"
	"crypto/tls"
	"io"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"audiences/sandbox"
	"audiences/test/harness"
)

// floodFor is how long strangers flood with each kind of frames, if they are let.
const floodFor = time.Second

// garbage is how much of it a relay without a memory limit lets pile up before it collects
// (package memory), in bytes.
const garbage = 64 << 20

// floods are what HTTP/2 lets one side say again and again, for next to nothing.
var floods = map[string]func(f *http2.Framer, n uint32) error{
	"requests taken back": func(f *http2.Framer, n uint32) error {
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*n + 1, BlockFragment: pingHeaders, EndStream: true, EndHeaders: true}); err != nil {
			return err
		}
		return f.WriteRSTStream(2*n+1, http2.ErrCodeCancel)
	},
	"headers without an end": func(f *http2.Framer, n uint32) error {
		if n == 0 {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: pingHeaders})
		}
		return f.WriteContinuation(1, false, oddHeader)
	},
	"settings": func(f *http2.Framer, _ uint32) error {
		return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 16})
	},
	"pings": func(f *http2.Framer, n uint32) error { return f.WritePing(false, [8]byte{byte(n)}) },
	"requests of which none is read": func(f *http2.Framer, n uint32) error {
		return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*n + 1, BlockFragment: pingHeaders, EndStream: true, EndHeaders: true})
	},
	"empty data": func(f *http2.Framer, n uint32) error {
		if n == 0 {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: pingHeaders, EndHeaders: true})
		}
		return f.WriteData(1, false, nil)
	},
	"priorities": func(f *http2.Framer, n uint32) error {
		return f.WritePriority(2*n+1, http2.PriorityParam{Weight: byte(n)})
	},
}

var pingHeaders = headerBlock([2]string{":method", "GET"}, [2]string{":scheme", "https"}, [2]string{":authority", "relay"}, [2]string{":path", "/ping"})

var oddHeader = headerBlock([2]string{"x-odd", "0123456789012345678901234567890123456789"})

func headerBlock(fields ...[2]string) []byte {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range fields {
		_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1], Sensitive: true}) // a buffer takes all
	}
	return block.Bytes()
}

// TestHTTP2Floods: strangers that flood the port with frames, on several connections and
// whether or not they read what is answered, take little memory, and callers are served.
func TestHTTP2Floods(t *testing.T) {
	t.Parallel()
	s := harness.NewSite(t, sandbox.Options{}, nil)
	p := s.Start()
	p.MustPost(harness.Change{Segment: "sFlood", Keys: []string{"0"}})
	before, _ := p.Resident()
	for what, flood := range floods {
		var strangers sync.WaitGroup
		for n := range 6 {
			conn, err := tls.Dial("tcp", p.HTTPS, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}) // #nosec G402 -- as strangers do
			if err != nil {
				t.Fatal(err)
			}
			strangers.Go(func() {
				defer func() { _ = conn.Close() }()
				_ = conn.SetDeadline(time.Now().Add(floodFor))
				if n%2 == 0 {
					go func() { _, _ = io.Copy(io.Discard, conn) }()
				}
				framer := http2.NewFramer(conn, nil)
				_, err := io.WriteString(conn, http2.ClientPreface)
				if err == nil {
					err = framer.WriteSettings()
				}
				for i := uint32(0); err == nil && i < 1<<30; i++ {
					err = flood(framer, i) // until the relay has had enough, or the time is up
				}
			})
		}
		p.MustPost(harness.Change{Segment: "sFlood", Keys: []string{"1"}})
		strangers.Wait()
		if now, _ := p.Resident(); now > before+garbage+32<<20 {
			t.Errorf("%s: memory grew from %d to %d MiB", what, before>>20, now>>20)
		}
		p.MustPost(harness.Change{Segment: "sFlood", Keys: []string{"2"}})
	}
	harness.Eventually(t, harness.Patience, "the keys arrive", func() bool { return len(s.Members("sFlood")) == 3 })
	s.Judge()
}
