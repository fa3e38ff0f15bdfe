package test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"audiences/test/harness"
)

// sendRecorded writes the request as it stands in the record: net/http's client
// would put some of these right.
func sendRecorded(t *testing.T, p *harness.Process, c recorded) harness.Answer {
	t.Helper()
	var head strings.Builder
	version := "1.1"
	if c.ID == "http10-keepalive" {
		version = "1.0"
	}
	fmt.Fprintf(&head, "%s %s HTTP/%s\r\nHost: %s\r\n", c.Method, c.Path, version, p.HTTPS)
	for _, h := range c.Headers {
		fmt.Fprintf(&head, "%s: %s\r\n", h[0], h[1])
	}
	length := len(c.Body)
	if c.ID == "length-short" {
		length = 50
	}
	if length > 0 || c.Method == "POST" {
		fmt.Fprintf(&head, "Content-Length: %d\r\n", length)
	}
	conn := dialTLS(t, p)
	if strings.Contains(head.String(), "100-continue") {
		writeAll(t, conn, head.String()+"\r\n")
		reader := bufio.NewReader(conn)
		if a := readAnswer(t, reader); a.Status != http.StatusContinue {
			return a
		}
		writeAll(t, conn, c.Body)
		return readAnswer(t, reader)
	}
	writeAll(t, conn, head.String()+"\r\n"+c.Body)
	return readAnswer(t, bufio.NewReader(conn))
}

// dialTLS opens a connection that ends with the test, in any case before patience
// does.
func dialTLS(t *testing.T, p *harness.Process) *tls.Conn {
	t.Helper()
	dialer := &net.Dialer{Timeout: harness.Patience}
	conn, err := tls.DialWithDialer(dialer, "tcp", p.HTTPS, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(harness.Patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func writeAll(t *testing.T, conn io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

func readAnswer(t *testing.T, from *bufio.Reader) harness.Answer {
	t.Helper()
	response, err := http.ReadResponse(from, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return harness.Answer{Status: response.StatusCode, Header: response.Header, Body: string(body)}
}
