package api

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"testing"
	"weak"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestWhoGoesLeavesNothing: strangers that ask over HTTP/2, give the answers no room and
// go again leave nothing in memory, and few of their requests are let in at once. Else
// some dozens of connections fill the memory of a container.
func TestWhoGoesLeavesNothing(t *testing.T) {
	f := start(t, Options{})
	const strangers = 40
	var all []weak.Pointer[marked]
	for range strangers {
		all = append(all, f.askAndGo(t))
	}
	left := 0
	for range 1000 { // the server ends in goroutines of its own, and pools keep some for two collections
		runtime.GC()
		left = 0
		for _, conn := range all {
			if conn.Value() != nil {
				left++
			}
		}
		if left < strangers/2 { // the runtime forgets timers that were stopped by and by
			return
		}
	}
	t.Errorf("%d of %d connections that are closed are still in memory", left, strangers)
}

// marked is a connection that can be found in memory.
type marked struct{ net.Conn }

// askAndGo opens a connection on which many requests are open, and closes it.
func (f *fixture) askAndGo(t *testing.T) weak.Pointer[marked] {
	t.Helper()
	client, server := net.Pipe()
	accepted := &marked{server}
	f.pipes.waiting <- accepted
	conn := tls.Client(client, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	const asked = 50
	let := make(chan int)
	go func() {
		framer, refused, answered := http2.NewFramer(nil, conn), 0, 0
		for refused+answered < asked {
			frame, err := framer.ReadFrame()
			if err != nil {
				break
			}
			switch frame.(type) {
			case *http2.RSTStreamFrame:
				refused++
			case *http2.GoAwayFrame: // so many were let in that it has enough of them
				answered = asked
			case *http2.HeadersFrame:
				answered++
			}
		}
		let <- answered
		_, _ = io.Copy(io.Discard, conn)
		close(let)
	}()
	if _, err := conn.Write(withoutRoom(asked)); err != nil {
		t.Fatal(err)
	}
	if open := <-let; open > 20 {
		t.Errorf("%d requests of a stranger are open", open)
	}
	_ = client.Close()
	<-let
	return weak.Make(accepted)
}

// withoutRoom is so many requests whose answers must not have a body yet.
func withoutRoom(requests int) []byte {
	var block, sent bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "relay"}, {":path", "/ping"}} {
		_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1], Sensitive: true}) // a buffer takes all
	}
	sent.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&sent, nil)
	_ = framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	for i := range requests {
		_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
	}
	return sent.Bytes()
}
