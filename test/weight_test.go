package test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"audiences/sandbox"
	"audiences/test/harness"
)

// What a heavy post may make the relay take beside what it has at rest: four bytes
// for each byte of body, and what a collector that runs when it has to leaves lying.
const (
	heavyBytes     = 32 << 20 // of body, the most that is taken
	heavyGarbage   = 64 << 20 // leastGarbage of the relay
	heavyNeighbour = 4        // clients that post one key each meanwhile, one post after the other
)

// TestHeavyPost sends the largest bodies that are taken, of MPIDs that are as short
// as they can be, while others post: each is answered as it should be, memory stays
// within its bound, and no post of the others is refused. It prints what the others'
// answers took.
func TestHeavyPost(t *testing.T) {
	s := harness.NewSite(t, sandbox.Options{}, map[string]any{"segmentsFlushRateInSeconds": 3600})
	for name, c := range map[string]struct {
		mpids  []byte
		status int
	}{
		"16 million repeats":    {bytes.Repeat([]byte("1,"), heavyBytes/2-200), http.StatusOK},
		"all distinct":          {counting(heavyBytes - 400), http.StatusRequestEntityTooLarge},
		"a million distinct":    {counting(6_888_000), http.StatusOK},
		"nothing but names":     {append([]byte(`1],"x":{`), names(heavyBytes-400)...), http.StatusOK},
		"a long text, no comma": {append([]byte{'"'}, append(bytes.Repeat([]byte("k"), heavyBytes-400), `",`...)...), http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			s.T = t
			p := s.Start()
			p.Ready()
			quiet := others(t, p, func() { waitOut(t, time.Second/5) })
			_, rest := p.Resident()
			end := "1]"
			if strings.HasPrefix(name, "nothing") {
				end = `"":[]}`
			}
			body := fmt.Appendf(nil, `{"apiToken":%q,"environmentId":%q,"segment":"sHeavy","verb":"add","mpids":[%s%s}`, harness.APIToken, harness.Environment, c.mpids, end)
			beside := others(t, p, func() {
				began := time.Now()
				a, err := p.Send(t.Context(), http.MethodPost, "/audiences", harness.AuthToken, body)
				if err != nil || a.Status != c.status {
					t.Errorf("%d bytes: %d %s, %v, want %d", len(body), a.Status, a.Body, err, c.status)
				}
				t.Logf("%d bytes answered %d after %.2f s", len(body), a.Status, time.Since(began).Seconds())
			})
			_, peak := p.Resident()
			t.Logf("RSS at most %d MiB, %d MiB before; the others' p50 and p99: %v and %v, before %v and %v",
				peak>>20, rest>>20, beside.at(0.5), beside.at(0.99), quiet.at(0.5), quiet.at(0.99))
			if most := rest + 4*heavyBytes + heavyGarbage; peak > most {
				t.Errorf("%d MiB of memory, and should be at most %d", peak>>20, most>>20)
			}
		})
	}
}

// counting is the numbers from 1 on, that many bytes of them.
func counting(size int) []byte {
	list := make([]byte, 0, size+20)
	for n := 1; len(list) < size; n++ {
		list = fmt.Appendf(list, "%d,", n)
	}
	return list
}

// names is the inside of an object with members of different names.
func names(size int) []byte {
	list := make([]byte, 0, size+20)
	for n := 1; len(list) < size; n++ {
		list = fmt.Appendf(list, `"%x":1,`, n)
	}
	return list
}

// waitOut waits for a time to be over.
func waitOut(t *testing.T, d time.Duration) {
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

// others posts one key after the other while work goes on; each has to be taken. It
// returns how long the answers took.
func others(t *testing.T, p *harness.Process, work func()) (all latencies) {
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var posting sync.WaitGroup
	for n := range heavyNeighbour {
		posting.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				began := time.Now()
				a, err := p.Post(context.WithoutCancel(ctx), harness.Change{Segment: fmt.Sprint("s", n), Keys: []string{fmt.Sprint(i)}})
				if err != nil || a.Status != http.StatusOK {
					t.Errorf("a small post beside it: %d %s, %v", a.Status, a.Body, err)
					return
				}
				mu.Lock()
				all = append(all, time.Since(began))
				mu.Unlock()
			}
		})
	}
	work()
	cancel()
	posting.Wait()
	slices.Sort(all)
	return all
}
