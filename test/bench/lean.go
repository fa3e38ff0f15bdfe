package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"

	"audiences/test/harness"

	"github.com/go-json-experiment/json"
)

const leanRole = "lean"

// serveLean shows what a durable answer can cost at least: an HTTP/1.1 loop over
// TLS that knows nothing but posts, and a log. Each connection has one goroutine,
// which reads a post, decodes it, hands it to the log and reads on. The log writes
// the answers itself, after one fdatasync for all posts that waited for it, so that
// nobody is woken for them. It is a measure and not a server: it sets no limits, and
// a request that it does not understand ends its connection.
func serveLean(args []string) error {
	if len(args) != 2 {
		return errors.New("lean: a key file, and a file to write to")
	}
	log, err := openLog(args[1])
	if err != nil {
		return err
	}
	return serveTLS(args[0], func(listener net.Listener) {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // the process ends
			}
			go func() {
				if serveLeanly(conn, log) != nil {
					_ = conn.Close() // the caller may have gone
				}
			}()
		}
	})
}

// serveLeanly reads posts until one says that it is the last of its connection, which
// the log then closes, or until one cannot be read.
func serveLeanly(conn io.ReadWriteCloser, log *bareLog) error {
	reader := bufio.NewReader(conn)
	var body []byte
	for {
		length, last, err := readHead(reader)
		if err != nil {
			return err
		}
		body = append(body[:0], make([]byte, length)...)
		if _, err := io.ReadFull(reader, body); err != nil {
			return err
		}
		var p posted
		if err := json.Unmarshal(body, &p); err != nil {
			return err
		}
		text, ok := leanAnswers[p.Verb]
		if !ok {
			return fmt.Errorf("verb %q", p.Verb)
		}
		log.add(body, answer{conn, text, last})
		if last {
			return nil
		}
	}
}

// leanAnswers are the answers by verb.
var leanAnswers = map[string][]byte{"add": leanAnswer("add"), "delete": leanAnswer("delete")}

func leanAnswer(verb string) []byte {
	text := "MPIDs " + verb
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
}

// readHead reads the head of a request: how long its body is, and whether the
// connection ends with the answer.
func readHead(reader *bufio.Reader) (length int, last bool, err error) {
	for {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return 0, false, err
		}
		line = textproto.TrimBytes(line)
		if len(line) == 0 {
			return length, last, nil
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil || length < 0 || length > mostLength {
				return 0, false, fmt.Errorf("a body of %s bytes", value)
			}
		case bytes.EqualFold(name, []byte("Connection")):
			last = bytes.EqualFold(value, []byte("close"))
		}
	}
}

// mostLength is longer than any post of this program.
const mostLength = 16 << 20

// serveTLS tells where it listens, and serves until the parent ends.
func serveTLS(keyFile string, serve func(net.Listener)) error {
	certificate, err := tls.LoadX509KeyPair(keyFile, keyFile)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", ":0")
	if err != nil {
		return err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}}
	go serve(tls.NewListener(listener, config))
	return tell(harness.Addresses{HTTPS: listener.Addr().String()})
}
