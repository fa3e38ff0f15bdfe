package sandbox

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"audiences/audience"
)

func overSocket(t *testing.T, s *Server) caller {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return caller{t: t, client: &http.Client{Transport: transport}, base: s.URL, token: token, query: "?replace=false", comment: "by a test", title: "a test"}
}

// TestCloseLetsGoOfHangingCalls: goleak in TestMain sees that nothing is left.
func TestCloseLetsGoOfHangingCalls(t *testing.T) {
	arrived := make(chan bool, 2)
	s, err := Start(Options{Allowed: func(Target, audience.Verb, string) bool { arrived <- true; return true }})
	if err != nil {
		t.Fatal(err)
	}
	c := overSocket(t, s)
	c.add("s", "1").want(t, 200, "")
	<-arrived
	s.Fault(Rule{Kind: Hang})
	cut := make(chan got)
	go func() { cut <- c.add("s", "2") }()
	<-arrived
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if g := <-cut; g.err == nil {
		t.Errorf("answer %d", g.status)
	}
	wantMembers(t, s.Split, token, "s", "1")
	wantViolations(t, s.Split)
}

// TestCloseDoesNotWaitForSilentConnections: with one of them, net/http's own
// Shutdown takes five seconds and more.
func TestCloseDoesNotWaitForSilentConnections(t *testing.T) {
	s, err := Start(Options{})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	overSocket(t, s).add("s", "1").want(t, 200, "") // accepted after the silent one
	start := time.Now()
	if err := s.Close(); err != nil || time.Since(start) > 4*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

func TestStartSaysWhyItCannot(t *testing.T) {
	if s, err := Start(Options{Address: "256.0.0.1:0"}); err == nil {
		t.Error("started", s.URL)
	}
}

// TestManyCallersAtOnce is for the race detector, on a real socket.
func TestManyCallersAtOnce(t *testing.T) {
	s, err := Start(Options{Faults: []Rule{{Kind: Reset, Segment: "s3", Applied: true, Count: 5}}})
	if err != nil {
		t.Fatal(err)
	}
	c := overSocket(t, s)
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			segment := "s" + strconv.Itoa(g)
			for i := range 25 {
				c.add(segment, strconv.Itoa(i))
			}
		})
	}
	all.Go(func() {
		for range 20 {
			c.control("GET", "state", "").want(t, 200, "")
			s.Calls()
		}
	})
	all.Wait()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for g := range 8 {
		if n := s.Size(token, "env", "s"+strconv.Itoa(g)); n != 25 {
			t.Errorf("segment %d has %d keys", g, n)
		}
	}
	wantViolations(t, s.Split)
}

// TestPipeLeavesNothingBehind: a call that hangs when the pipe closes is cut.
func TestPipeLeavesNothingBehind(t *testing.T) {
	inBubble(t, Options{Faults: []Rule{{Kind: Hang}}}, func(t *testing.T, s *Split, c caller) {
		p := s.Pipe()
		c.client = p.Client()
		time.AfterFunc(time.Minute, p.Close)
		c.control("GET", "state", "").want(t, 200, "")
		c.client.CloseIdleConnections()
		if g := c.add("s", "1"); g.err == nil || g.after != time.Minute {
			t.Errorf("%v after %v", g.err, g.after)
		}
		if g := c.add("s", "1"); g.err == nil {
			t.Error("a closed pipe answers")
		}
	})
}

// TestAClientThatLeavesInTheMiddleOfABody has not made its call.
func TestAClientThatLeavesInTheMiddleOfABody(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, s *Split, c caller) {
		p := s.Pipe()
		defer p.Close()
		conn, err := p.DialContext(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "PUT /internal/api/v2/segments/env/s/removeKeys HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\nContent-Length: 100\r\n\r\n{")
		_ = conn.Close()
		synctest.Wait()
		if calls := s.Calls(); len(calls) != 1 || calls[0].Outcome != OutcomeGone || calls[0].Applied {
			t.Errorf("%+v", calls)
		}
		wantViolations(t, s)
	})
}

// TestSplitsOwnLimits: ten calls of 10,000 keys fill a segment to the last key.
func TestSplitsOwnLimits(t *testing.T) {
	s := New(Options{})
	for i := range 10 {
		if status := upload(s, fill(i*DefaultMaxKeys, DefaultMaxKeys)); status != 200 {
			t.Fatal(status)
		}
	}
	if status := upload(s, fill(DefaultMaxMembers, 1)); status != 400 {
		t.Errorf("key 100,001: %d", status)
	}
	if n := s.Size(token, "env", "s"); n != DefaultMaxMembers {
		t.Errorf("%d members", n)
	}
	wantViolations(t, s)
	if status := upload(s, fill(0, DefaultMaxKeys+1)); status != 400 {
		t.Errorf("10,001 keys: %d", status)
	}
	wantViolations(t, s, TooManyKeys)
}

// BenchmarkAMillionMembers fills one segment through the front door.
func BenchmarkAMillionMembers(b *testing.B) {
	for b.Loop() {
		s := New(Options{MaxMembers: 1_000_000})
		for i := range 100 {
			upload(s, fill(i*DefaultMaxKeys, DefaultMaxKeys))
		}
		if n := s.Size(token, "env", "s"); n != 1_000_000 {
			b.Fatal(n)
		}
	}
}

func BenchmarkUpload10000(b *testing.B) {
	s := New(Options{MaxMembers: 1 << 30})
	body := fill(0, DefaultMaxKeys)
	for b.Loop() {
		upload(s, body)
	}
}

func upload(s *Split, body []byte) int {
	r := httptest.NewRequest("PUT", "/internal/api/v2/segments/env/s/uploadKeys?replace=false", bytes.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code
}

func fill(first, n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"comment":"c","title":"t","keys":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"-87356218%09d"`, first+i)
	}
	b.WriteString("]}")
	return b.Bytes()
}

// FuzzDecodeChange: whatever the body, its keys come out unchanged or not at all.
func FuzzDecodeChange(f *testing.F) {
	for _, seed := range []string{
		`{"keys":["1","-0","x"],"comment":"c","title":"t"}`, `{"keys":[1]}`, `{"keys":null}`, `{"keys":[" "]}`, `{"keys":["\ud800"]}`,
		`{"keys":["1"],"keys":["2"]}`, `null`, `[]`, ``, "{\"keys\":[\"\xff\"]}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		body, keys, valid, err := decodeChange(data)
		if err != nil {
			return
		}
		if valid != (len(keys) == len(body.Keys)) {
			t.Fatalf("valid %v with %d of %d keys", valid, len(keys), len(body.Keys))
		}
		for i := range keys {
			if valid && keys[i].Text() != body.Keys[i] {
				t.Fatalf("%q became %q", body.Keys[i], keys[i].Text())
			}
		}
	})
}
