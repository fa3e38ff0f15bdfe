package splitclient

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"audiences/audience"
)

// Informational answers come before the answer, which alone counts; a switch to
// another protocol is none, and what follows it is not waited for.
func TestInformationalAnswers(t *testing.T) {
	const good = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
	for name, c := range map[string]struct {
		raw  string
		want Outcome
	}{
		"100":             {"HTTP/1.1 100 Continue\r\n\r\n" + good, delivered(OK)},
		"102, 103":        {"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + good, delivered(OK)},
		"103 and no more": {"HTTP/1.1 103 Early Hints\r\n\r\n", transient(ConnectionLost)},
		"103 for ever":    {strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 5000) + good, transient(ConnectionLost)},
		"103 and 400":     {"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n", permanent(EmptyBadRequest, ScopeKeys)},
		"101":             {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n{}", transient(UnexpectedAnswer)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := accept(t, func(conn net.Conn) {
				readRequest(conn)
				_, _ = io.WriteString(conn, c.raw)
				if name == "101" {
					_, _ = conn.Read(make([]byte, 1)) // stays open until the client goes
				}
			})
			sameVerdict(t, newClient(t, "http://"+address).Do(t.Context(), call(audience.Add, "1")), c.want)
		})
	}
}

// A gateway may compress the answer; how large it becomes is bounded all the same.
func TestCompressedAnswers(t *testing.T) {
	packed := func(body string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = io.WriteString(w, body)
		_ = w.Close()
		return b.String()
	}
	gzipped := map[string]string{"Content-Encoding": "gzip"}
	for name, c := range map[string]struct {
		reply reply
		want  Outcome
	}{
		"success":   {reply{200, jsonType, packed(`{"code":200}`), gzipped}, delivered(OK)},
		"denial":    {reply{200, jsonType, packed(`{"code":400}`), gzipped}, transient(Unconfirmed)},
		"page":      {reply{200, htmlType, packed(page), gzipped}, transient(UnexpectedAnswer)},
		"approvals": {reply{403, jsonType, packed(message("Approvals are required")), gzipped}, permanent(ApprovalsRequired, ScopeSegment)},
		"bomb":      {reply{200, jsonType, packed(`{"x":"` + strings.Repeat("x", 4<<20) + `"}`), gzipped}, delivered(OK)},
		"broken":    {reply{200, jsonType, packed(`{"code":200}`)[:20], gzipped}, transient(ConnectionLost)},
		"a lie":     {reply{200, jsonType, `{"code":200}`, gzipped}, transient(ConnectionLost)},
	} {
		t.Run(name, func(t *testing.T) {
			sameVerdict(t, newClient(t, serve(t, c.reply)).Do(t.Context(), call(audience.Add, "1")), c.want)
		})
	}
}

// A server that says goodbye on HTTP/2: a call that it did not look at is made
// again on a new connection, since it is certain not to have been applied; one
// that it may have looked at is not (I4).
func TestHTTP2Goodbye(t *testing.T) {
	for name, c := range map[string]struct {
		last        uint32 // stream that the server says it looked at
		code        http2.ErrCode
		want        Outcome
		connections int64
	}{
		"not looked at":        {0, http2.ErrCodeNo, delivered(OK), 2},
		"looked at":            {1, http2.ErrCodeNo, transient(ConnectionLost), 1},
		"looked at, and angry": {1, http2.ErrCodeEnhanceYourCalm, transient(ConnectionLost), 1},
	} {
		t.Run(name, func(t *testing.T) {
			listener := listenHTTP2(t)
			var connections atomic.Int64
			done := make(chan struct{})
			go func() {
				defer close(done)
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					goodbye := connections.Add(1) == 1
					serveHTTP2(conn, func(f *http2.Framer) {
						if goodbye {
							_ = f.WriteGoAway(c.last, c.code, nil)
							return
						}
						var block bytes.Buffer
						_ = hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
						_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
					})
				}
			}()
			transport := newTransport(0, maxConns, nil)
			transport.TLSClientConfig.InsecureSkipVerify = true // this test is not about certificates
			client := newClientWith(t, Options{BaseURL: "https://" + listener.Addr().String(), Transport: transport})
			sameVerdict(t, client.Do(t.Context(), call(audience.Add, "1")), c.want)
			if n := connections.Load(); n != c.connections {
				t.Errorf("%d connections, want %d", n, c.connections)
			}
			transport.CloseIdleConnections()
			_ = listener.Close()
			<-done
		})
	}
}

func listenHTTP2(t *testing.T) net.Listener {
	t.Helper()
	donor := httptest.NewUnstartedServer(nil)
	donor.StartTLS()
	certificates := donor.TLS.Certificates
	donor.Close()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: certificates, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// serveHTTP2 reads one request off the connection, has it answered, and closes
// the connection when the client does or was told goodbye.
func serveHTTP2(conn net.Conn, answer func(*http2.Framer)) {
	defer conn.Close()
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	f := http2.NewFramer(conn, conn)
	_ = f.WriteSettings()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				_ = f.WriteSettingsAck()
			}
		case *http2.DataFrame:
			if frame.StreamEnded() {
				answer(f)
				return
			}
		}
	}
}
