package actors

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"audiences/journal/embedded"
	"audiences/sandbox"
	"audiences/splitclient"
)

// site is what the tests in bubbles of virtual time have in common: a relay on a
// journal in memory, before a look-alike of Split that it reaches through a real HTTP
// client. There are three kinds of such tests: a scene tells one story with exact
// instants, a house plays random histories against a model, and a bubble has many
// tenants and much time.
type site struct {
	failing interface {
		Helper()
		Fatal(...any)
	}
	memory *embedded.Memory
	store  *embedded.Journal
	split  *sandbox.Split
	pipe   *sandbox.Pipe
	client *splitclient.Client
	relay  *Relay
}

// prepare makes Split and the way to it, which through may lead past; nil: the pipe.
func (s *site) prepare(split sandbox.Options, timeout time.Duration, through func(http.RoundTripper) http.RoundTripper) {
	s.failing.Helper()
	split.Grace = -1
	s.memory, s.split = embedded.NewMemory(), sandbox.New(split)
	s.pipe = s.split.Pipe()
	var transport http.RoundTripper = s.pipe
	if through != nil {
		transport = through(transport)
	}
	client, err := splitclient.New(splitclient.Options{BaseURL: "http://split", Transport: transport, Timeout: timeout})
	s.must(err)
	s.client = client
}

// open opens the journal.
func (s *site) open() {
	s.failing.Helper()
	store, err := embedded.Open(embedded.Options{Dir: "journal", Memory: s.memory, ReceiptsMaxBytes: 1 << 20, ReceiptsMaxAge: 24 * time.Hour})
	s.must(err)
	s.store = store
}

// stop stops the relay, which may drain for so long, and says how long it took.
func (s *site) stop(within time.Duration) time.Duration {
	s.failing.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	began := time.Now()
	s.relay.Stop(ctx)
	took := time.Since(began)
	s.must(s.store.Close())
	return took
}

// losePower stops the relay. What was not synced is gone from the disk, or not, by lot,
// which others may draw from too.
func (s *site) losePower(drawing sync.Locker, lot *rand.Rand) {
	s.failing.Helper()
	s.relay.giveUp() // nothing reaches Split after it
	drawing.Lock()
	left := s.memory.CrashClone(lot)
	drawing.Unlock()
	s.stop(0)
	s.memory = left
}

// leave takes everything down.
func (s *site) leave() {
	s.failing.Helper()
	s.stop(0)
	s.client.Close()
	s.pipe.Close()
	s.split.Close()
	time.Sleep(2 * time.Second) // the actor library counts undelivered messages by the second, in a goroutine
}

func (s *site) must(err error) {
	s.failing.Helper()
	if err != nil {
		s.failing.Fatal(err)
	}
}
