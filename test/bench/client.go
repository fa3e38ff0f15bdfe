package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"audiences/test/harness"
)

// loopbacks is over how many addresses of the loopback range new connections are
// spread: a connection that was closed keeps its pair of ports for a minute, and
// one address has 28,000 of them.
const loopbacks = 200

// trusting: the lambda asks nothing of the certificate, and resumes no session.
// Its Node.js knows no post-quantum key exchange, which Go would choose here.
var trusting = &tls.Config{InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256}} // #nosec G402 -- as the lambda does

// connection is one TLS connection with a request at a time. It is no http.Client:
// that would take more of the two cores than the server under test.
type connection struct {
	tls   *tls.Conn
	read  *bufio.Reader
	out   []byte
	token string // in the Authorization header
}

// dial connects to a server of this bench, which listens on all addresses.
func dial(ctx context.Context, address string, n int64) (*connection, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	return dialTo(ctx, net.JoinHostPort(fmt.Sprint("127.0.0.", 1+n%loopbacks), port), harness.AuthToken)
}

func dialTo(ctx context.Context, address, token string) (*connection, error) {
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &connection{tls: tls.Client(raw, trusting), token: token}
	if err := c.tls.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	c.read = bufio.NewReader(c.tls)
	return c, nil
}

// answerPatience is longer than anything that is measured here may take.
const answerPatience = 30 * time.Second

// post sends a body and fails unless the answer is the one that means accepted.
func (c *connection) post(body []byte, last bool) error {
	c.out = append(c.out[:0], "POST /audiences HTTP/1.1\r\nHost: relay\r\nContent-Type: application/json\r\nAuthorization: "+c.token+"\r\n"...)
	if last {
		c.out = append(c.out, "Connection: close\r\n"...)
	}
	c.out = strconv.AppendInt(append(c.out, "Content-Length: "...), int64(len(body)), 10)
	c.out = append(append(c.out, "\r\n\r\n"...), body...)
	if err := c.tls.SetDeadline(time.Now().Add(answerPatience)); err != nil {
		return err
	}
	if _, err := c.tls.Write(c.out); err != nil {
		return err
	}
	response, err := http.ReadResponse(c.read, nil)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(response.Body)
	if err == nil && (response.StatusCode != http.StatusOK || string(text) != "MPIDs add") {
		err = fmt.Errorf("answered %d %s", response.StatusCode, text)
	}
	return err
}

func (c *connection) close() { _ = c.tls.Close() }
