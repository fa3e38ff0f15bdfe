package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/sandbox"
	"audiences/status"

	"github.com/asynkron/protoactor-go/actor"
)

// wish is something that somebody waits for; accept is one too.
type wish struct {
	name string
	make func(*scene, context.Context) error
}

func operation(op status.Remedy, whole bool) wish {
	return wish{fmt.Sprintf("%s, of the tenant: %v", op, whole), func(s *scene, ctx context.Context) error {
		t := task{tenant: s.tenant("token"), remedy: op, pause: journal.TenantState{Paused: true}}
		if whole {
			return s.relay.operateTenant(ctx, t)
		}
		t.segment = s.segment("token", "s")
		return s.relay.operateSegment(ctx, t)
	}}
}

var (
	inspection = wish{"inspect", func(s *scene, ctx context.Context) error {
		_, err := s.relay.Inspect(ctx, s.segment("token", "s"))
		return err
	}}
	segments = wish{"segments", func(s *scene, ctx context.Context) error {
		_, err := s.relay.Segments(ctx)
		return err
	}}
	moving = wish{"move", func(s *scene, ctx context.Context) error {
		_, err := s.relay.Remedy(ctx, s.moving("token", "other"))
		return err
	}}
	post = wish{"accept", func(s *scene, ctx context.Context) error {
		reply := make(chan error, 1)
		s.relay.Accept(reply, audience.Change{Token: s.tenant("token").Token, Segment: s.segment("token", "s"), Verb: audience.Add, Keys: audience.KeysOf(keysOf("77")...)})
		return await(ctx, reply)
	}}
	wishes = []wish{post, inspection, segments, moving, operation(status.Pause, false), operation(status.Resume, false), operation(status.Flush, false), operation(status.Retry, false),
		operation(status.Discard, false), operation(status.Pause, true), operation(status.Resume, true)}
)

// crashSegment makes segment s panic when it is told of a change, which is accepted all
// the same.
func (s *scene) crashSegment() {
	s.Helper()
	s.faulty.traps[hear].set(0, 1, false)
	s.expectAnswers(s.waits(post), nil, post)
}

// waits has the wishes made at once, and returns where the answers come: what and
// when, for each.
func (s *scene) waits(wishes ...wish) <-chan string {
	answers := make(chan string, len(wishes))
	for _, w := range wishes {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 24*time.Hour)
			defer cancel()
			err := w.make(s, ctx)
			answers <- fmt.Sprintf("%v %s: %v", time.Since(s.began), w.name, err)
		}()
	}
	synctest.Wait()
	return answers
}

// expectAnswers compares what has come with the error that each wish should have
// got, now.
func (s *scene) expectAnswers(answers <-chan string, want error, wishes ...wish) {
	s.Helper()
	synctest.Wait()
	var expected []string
	for _, w := range wishes {
		err := want
		switch {
		case err == nil:
		case w.name == "move":
			err = fmt.Errorf("move: %w", err)
		case w.name == "inspect":
			err = fmt.Errorf("inspect segment: %w", err)
		case w.name == "segments":
			err = fmt.Errorf("list segments: %w", err)
		}
		expected = append(expected, fmt.Sprintf("%v %s: %v", time.Since(s.began), w.name, err))
	}
	var got []string
	for len(answers) > 0 {
		got = append(got, <-answers)
	}
	slices.Sort(got)
	slices.Sort(expected)
	if !slices.Equal(got, expected) {
		s.Errorf("answers\n%q, want\n%q", got, expected)
	}
}

// TestAnsweredAfterTheStop: who comes too late is told so, at once.
func TestAnsweredAfterTheStop(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.add("1")
		s.accept("other", "s", audience.Add, "1")
		s.relay.Stop(context.Background())
		s.expectAnswers(s.waits(wishes...), errDraining, wishes...)
		s.relay.Stop(context.Background()) // does nothing
		if time.Since(s.began) > 0 {
			s.Errorf("it took %v", time.Since(s.began))
		}
	})
}

// TestAnsweredWithTheStop: nobody who waits when the relay stops waits for longer.
func TestAnsweredWithTheStop(t *testing.T) {
	poisoned(t, Options{}, func(s *scene, _ func()) {
		held := s.holdUp()
		answers := s.waits(held...)
		s.expectAnswers(answers, nil)
		now, cancel := context.WithCancel(context.Background())
		cancel()
		s.relay.Stop(now)
		s.expectAnswers(answers, errDraining, held...)
		s.at(3 * time.Hour)
	})
}

// TestAnsweredOnACrash: a segment that crashes owes an answer to all whose wishes it
// had taken in.
func TestAnsweredOnACrash(t *testing.T) {
	poisoned(t, Options{}, func(s *scene, _ func()) {
		held := s.holdUp()
		answers := s.waits(held...)
		s.expectAnswers(answers, nil)
		s.crashSegment()
		s.expectAnswers(answers, ErrCrashed, held...)
		s.at(4 * time.Hour)
		s.expectRest()
	})
}

// holdUp makes segment s one that waits for two hours for the journal to tell what
// it is, and returns what waits with it then.
func (s *scene) holdUp() []wish {
	s.accept("other", "t", audience.Delete, "1") // makes the tenant known
	s.at(time.Hour)                              // and s is let go
	s.faulty.loadTakes.Store(int64(2 * time.Hour))
	s.expectAnswers(s.waits(post), nil, post)
	return []wish{inspection, moving, operation(status.Pause, false), operation(status.Resume, false), operation(status.Flush, false), operation(status.Retry, false), operation(status.Discard, false)}
}

// TestAnsweredWhileTheJournalWorks: the journal's answer to a retry comes when the
// operator has got one, and that of a discard never does.
func TestAnsweredWhileTheJournalWorks(t *testing.T) {
	for name, end := range map[string]struct {
		of  func(*scene)
		err error
	}{
		"crash": {func(s *scene) {
			s.crashSegment()
		}, ErrCrashed},
		"stop": {func(s *scene) {
			now, cancel := context.WithCancel(context.Background())
			cancel()
			s.relay.Stop(now)
		}, errDraining},
	} {
		for _, op := range []status.Remedy{status.Retry, status.Discard} {
			t.Run(fmt.Sprint(name, op), func(t *testing.T) {
				rejected(t, func(s *scene, _ func()) {
					s.faulty.unparkTakes.Store(int64(time.Hour))
					s.faulty.loadTakes.Store(int64(time.Hour))
					answers := s.waits(operation(op, false))
					s.expectAnswers(answers, nil)
					end.of(s)
					s.expectAnswers(answers, end.err, operation(op, false))
					s.at(3 * time.Hour)
					s.expectAnswers(answers, nil)
				})
			})
		}
	}
}

// TestAnsweredByWhoPanics: with the wish in hand.
func TestAnsweredByWhoPanics(t *testing.T) {
	for _, c := range []struct {
		at method
		wish
	}{
		{appendKeys, post}, {setSegmentState, operation(status.Pause, false)}, {setSegmentState, operation(status.Resume, false)},
		{setTenantState, operation(status.Pause, true)}, {setTenantState, operation(status.Resume, true)},
		{unpark, operation(status.Retry, false)}, {unpark, operation(status.Discard, false)},
	} {
		t.Run(c.name, func(t *testing.T) {
			poisoned(t, Options{}, func(s *scene, cure func()) {
				s.faulty.traps[c.at].set(0, 1, false)
				s.expectAnswers(s.waits(c.wish), ErrCrashed, c.wish)
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				s.must(c.make(s, ctx)) // once it has looked at the journal again
				cure()
				s.operateOn("token", "", status.Resume, time.Time{})
				s.operate(status.Resume)
				s.at(time.Hour)
				s.expectRest()
			})
		})
	}
}

// TestRegistryPanics with a change of a new tenant in hand: it is answered, the next
// one is served, and the tenant is known after a restart.
func TestRegistryPanics(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.faulty.traps[putTenant].set(0, 2, false)
		s.expectAnswers(s.waits(post), ErrCrashed, post)
		s.expectAnswers(s.waits(post), ErrCrashed, post)
		s.expectAnswers(s.waits(post), nil, post)
		s.crash()
		s.at(time.Minute)
		s.expectMembers("77")
		s.expectRest()
	})
}

// TestAnsweredByWhoPanicsBeforeItBegins: a segment that cannot even begin again owes
// an answer as well.
func TestAnsweredByWhoPanicsBeforeItBegins(t *testing.T) {
	var panics atomic.Bool
	o := Options{Random: func() float64 {
		if panics.CompareAndSwap(true, false) {
			panic(errStruck)
		}
		return 0
	}}
	play(t, sandbox.Options{}, o, func(s *scene) {
		s.add("1")
		gate := make(chan struct{})
		s.faulty.before = func() { <-gate }
		s.faulty.traps[hear].set(0, 1, false)
		panics.Store(true)
		first := s.waits(post)
		second := s.waits(inspection) // lies behind it, before the segment's own wish to begin again
		close(gate)
		s.expectAnswers(first, nil, post)
		s.expectAnswers(second, ErrCrashed, inspection)
		s.at(time.Hour)
		s.expectMembers("1 77")
		s.expectRest()
	})
}

// TestLateRefusal: a message that gets to the registry's mailbox when the registry has
// just ended is answered, though the library lets it vanish. The sender had found the
// mailbox before.
func TestLateRefusal(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		mailbox, _ := s.relay.system.ProcessRegistry.Get(s.relay.registry)
		s.relay.Stop(context.Background())
		reply := make(chan error, 2)
		mailbox.SendUserMessage(s.relay.registry, &accept{answer: answer{reply}})
		synctest.Wait()
		if len(reply) != 1 || <-reply != errDraining {
			s.Error("not answered")
		}
	})
}

// TestStopDoesNotWaitForACrash: a segment that crashes during the drain is done with
// it.
func TestStopDoesNotWaitForACrash(t *testing.T) {
	for _, at := range []method{settle, delivery} {
		play(t, sandbox.Options{}, Options{}, func(s *scene) {
			s.add("1")
			s.accept("token", "t", audience.Add, "2")
			s.faulty.traps[at].set(0, 1, false)
			if took := s.stop(time.Minute); took > 0 {
				s.Errorf("%v: the stop took %v", at, took)
			}
			s.start()
			s.at(time.Hour)
			s.expectMembers("1")
			s.expectMembersOf("token", "t", "2")
			s.expectRest()
		})
	}
}

// TestPostsMeetTheStop: whoever comes at the very moment of the stop gets one answer,
// wherever the actors are with their ending.
func TestPostsMeetTheStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for round := range 100 {
			relay, tenants := Start(Options{Journal: &easyJournal{}, Deliver: deliverAtOnce}), manyTenants(3)
			const posters, posts = 4, 50
			answers := make(chan error, posters*posts)
			begun := make(chan bool, posters)
			for p := range posters {
				go func() {
					for n := range posts {
						relay.Accept(answers, wireChange(tenants[p%3], n%5, audience.Add, int64(n)))
						if n == round%posts {
							begun <- true
						}
					}
				}()
			}
			for range 1 + round%posters {
				<-begun
			}
			relay.Stop(context.Background())
			for n := range posters * posts {
				select {
				case err := <-answers:
					if err != nil && !errors.Is(err, errDraining) {
						t.Fatal(err)
					}
				case <-time.After(time.Minute):
					t.Fatalf("round %d: %d changes were never answered", round, posters*posts-n)
				}
			}
			if len(answers) > 0 {
				t.Fatal("a change was answered twice")
			}
		}
		time.Sleep(2 * time.Second) // the actor library counts undelivered messages by the second, in a goroutine
	})
}

// TestUnknownTenantIsNotAClosedJournal: the operator is told what is wrong.
func TestUnknownTenantIsNotAClosedJournal(t *testing.T) {
	play(t, sandbox.Options{}, Options{}, func(s *scene) {
		s.add("1")
		s.stop(0)
		if _, err := s.relay.Remedy(context.Background(), s.wish("token", "s", status.Flush, time.Time{})); !errors.Is(err, journal.ErrClosed) {
			s.Error(err)
		}
		s.start()
	})
}

// TestAskAgain: what must not get lost is sent again to an actor that panicked with it
// in hand, and to no other; and not for ever.
func TestAskAgain(t *testing.T) {
	for _, c := range []struct {
		answers []error
		asked   int
	}{
		{[]error{nil}, 1}, {[]error{errDraining}, 1}, {[]error{ErrCrashed, nil}, 2}, {[]error{ErrCrashed, ErrCrashed, ErrCrashed, nil}, 3},
	} {
		synctest.Test(t, func(t *testing.T) {
			asked := 0
			system := actor.NewActorSystem()
			defer system.Shutdown()
			r := &Relay{system: system, registry: system.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
				if m, ok := ctx.Message().(answerable); ok {
					asked++
					m.fail(c.answers[asked-1])
				}
			}))}
			r.askAgain(func(a answer) any { return &activate{answer: a} })
			if asked != c.asked {
				t.Errorf("asked %d times, want %d", asked, c.asked)
			}
			_ = system.Root.StopFuture(r.registry).Wait()
		})
	}
}
