package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// standIn is a server without a network. It notes what it is posted, and when.
type standIn struct {
	answer func(body string, nth int) (status int, words string, header http.Header) // nil: 200

	mu    sync.Mutex
	began time.Time
	took  []string // bodies that were answered 200, in their order
	tries map[string]int
	at    []time.Duration
	open  map[string]bool // segments of which a post is under way
	twice bool            // some segment had two
}

func newStandIn(answer func(string, int) (int, string, http.Header)) *standIn {
	return &standIn{answer: answer, began: time.Now(), tries: map[string]int{}, open: map[string]bool{}}
}

func (s *standIn) RoundTrip(request *http.Request) (*http.Response, error) {
	text, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	if got := request.Header.Get("Authorization"); got != "t0ken" {
		return nil, fmt.Errorf("Authorization: %q", got)
	}
	body := string(text)
	segment := newPost(1, text).segment
	s.mu.Lock()
	s.twice = s.twice || s.open[segment]
	s.open[segment] = true
	nth := s.tries[body]
	s.tries[body]++
	s.at = append(s.at, time.Since(s.began))
	s.mu.Unlock()

	time.Sleep(time.Duration(len(body)%7) * time.Millisecond) // some are slower than others
	status, words, header := 200, "MPIDs add", http.Header(nil)
	if s.answer != nil {
		status, words, header = s.answer(body, nth)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[segment] = false
	if status == 200 {
		s.took = append(s.took, body)
	}
	if err := request.Context().Err(); err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(words)), Request: request}, nil
}

func (s *standIn) server() Server {
	return Server{URL: "https://stand-in/audiences", Token: "t0ken", Client: &http.Client{Transport: s}}
}

func body(segment string, key int) string {
	return fmt.Sprintf(`{"apiToken":"tok","environmentId":"e","segment":"%s","verb":"add","mpids":["%d"]}`, segment, key)
}

// file has posts of some segments in turn.
func file(posts, segments int) (text string, bodies []string) {
	for i := range posts {
		bodies = append(bodies, body(fmt.Sprintf("s%d", i%segments), i))
	}
	return strings.Join(bodies, "\n") + "\n", bodies
}

const quick = 1e6 // posts a second

func of(bodies []string, segment string) (some []string) {
	for _, b := range bodies {
		if strings.Contains(b, `"`+segment+`"`) {
			some = append(some, b)
		}
	}
	return some
}

// TestOrderOfEachSegment: the posts of a segment are made one after the other, in the
// order of the file, also where it is longer than a window, and also when some are
// answered 503 and 429 at first.
func TestOrderOfEachSegment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const segments = 23
		text, bodies := file(3*window+5, segments)
		s := newStandIn(func(body string, nth int) (int, string, http.Header) {
			if strings.Contains(body, `3"]`) && nth == 0 {
				return []int{503, 429}[len(body)%2], "overloaded", http.Header{"Retry-After": {"2"}}
			}
			return 200, "", nil
		})
		report, err := New(Options{In: strings.NewReader(text), From: 1, To: s.server(), Rate: quick}).Run(t.Context())
		if err != nil || report.Reached != len(bodies) || report.Posts != len(bodies) || report.Refused != 0 {
			t.Errorf("%+v, %v", report, err)
		}
		for i := range segments {
			name := fmt.Sprintf("s%d", i)
			if got, want := of(s.took, name), of(bodies, name); !slices.Equal(got, want) {
				t.Errorf("%s got %d posts, or in another order", name, len(got))
			}
		}
		if s.twice {
			t.Error("a segment had two posts under way")
		}
	})
}

// TestComesAgain: a 503 is waited out as long as the server says, and what comes after it
// in the segment waits as well.
func TestComesAgain(t *testing.T) {
	for header, wait := range map[string]time.Duration{"7": 7 * time.Second, "": time.Second, "soon": time.Second, "-3": time.Second, "86400": time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			s := newStandIn(func(_ string, nth int) (int, string, http.Header) {
				if nth == 0 {
					return 503, "", http.Header{"Retry-After": {header}}
				}
				return 200, "", nil
			})
			text := body("s", 10) + "\n" + body("s", 20)
			if _, err := New(Options{In: strings.NewReader(text), From: 1, To: s.server(), Rate: quick}).Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			var at []time.Duration
			for _, d := range s.at {
				at = append(at, d.Truncate(time.Second))
			}
			if want := []time.Duration{0, wait, wait, 2 * wait}; !slices.Equal(at, want) {
				t.Errorf("Retry-After %q: posts at %v, want %v", header, at, want)
			}
		})
	}
}

// TestEndsAndGoesOn: a 500 ends the replay, which tells how far it came; from there on the
// rest is posted, and each segment's last post is that of the file.
func TestEndsAndGoesOn(t *testing.T) {
	for _, failing := range []int{0, 100, window, 2*window - 1} {
		synctest.Test(t, func(t *testing.T) {
			const segments = 7
			text, bodies := file(2*window, segments)
			s := newStandIn(func(body string, nth int) (int, string, http.Header) {
				if body == bodies[failing] && nth == 0 {
					return 500, "", nil
				}
				return 200, "", nil
			})
			first, err := New(Options{In: strings.NewReader(text), From: 1, To: s.server(), Rate: quick}).Run(t.Context())
			if want := fmt.Sprintf("line %d was answered 500", failing+1); err == nil || err.Error() != want || first.Reached > failing {
				t.Errorf("%v after line %d, want %s", err, first.Reached, want)
			}
			for _, done := range bodies[:first.Reached] {
				if !slices.Contains(s.took, done) {
					t.Errorf("not done, though before line %d: %s", first.Reached, done)
				}
			}
			second, err := New(Options{In: strings.NewReader(text), From: first.Reached + 1, To: s.server(), Rate: quick}).Run(t.Context())
			if err != nil || second.Reached != len(bodies) || second.Posts != len(bodies)-first.Reached {
				t.Errorf("%+v, %v", second, err)
			}
			for i := range segments {
				name := fmt.Sprintf("s%d", i)
				all, got := of(bodies, name), of(s.took, name)
				if len(got) < len(all) || !slices.Equal(got[len(got)-1:], all[len(all)-1:]) {
					t.Errorf("%s: %d posts of %d, or another one last", name, len(got), len(all))
				}
			}
		})
	}
}

// TestRate: not more posts a second than are asked for.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text, _ := file(30, 30)
		s := newStandIn(nil)
		if _, err := New(Options{In: strings.NewReader(text), From: 1, To: s.server(), Rate: 10}).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		slices.Sort(s.at)
		for i, at := range s.at {
			if want := time.Duration(i) * 100 * time.Millisecond; at.Round(time.Millisecond) != want {
				t.Fatalf("post %d at %v, want %v", i, at, want)
			}
		}
	})
}

// TestTold: who is told to stop does not wait for a server that is overloaded, and says
// how far he came.
func TestTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text, bodies := file(3, 1)
		s := newStandIn(func(got string, _ int) (int, string, http.Header) {
			if got == bodies[0] {
				return 200, "", nil
			}
			return 503, "", nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		report, err := New(Options{In: strings.NewReader(text), From: 1, To: s.server(), Rate: quick}).Run(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || report.Reached != 1 || report.Posts != 1 {
			t.Errorf("%+v, %v", report, err)
		}
	})
}

// TestCompare: answers differ in their status or in what they say, where a refusal says
// its message; a 500 of either is an answer.
func TestCompare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := map[string][2]answer{
			body("same", 1):    {{status: 200, words: "MPIDs add"}, {status: 200, words: "MPIDs add\n"}},
			body("message", 1): {{status: 400, words: `{"message": "no"}`}, {status: 400, words: `{"message":"no","id":7}`}},
			body("body", 1):    {{status: 400, words: `{"message":"no"}`}, {status: 400, words: `{"message":"never"}`}},
			body("status", 1):  {{status: 500, words: "exception"}, {status: 400, words: `{"message":"no"}`}},
			body("status", 2):  {{status: 500, words: "exception"}, {status: 400, words: `{"message":"other"}`}},
		}
		lines := []string{body("same", 1), body("message", 1), body("body", 1), body("status", 1), body("status", 2)}
		says := func(which int) *standIn {
			return newStandIn(func(body string, _ int) (int, string, http.Header) {
				a := answers[body][which]
				return a.status, a.words, nil
			})
		}
		older, newer := says(0), says(1)
		expect := older.server()
		report, err := New(Options{In: strings.NewReader(strings.Join(lines, "\n")), From: 1, To: newer.server(), Expect: &expect, Rate: quick}).Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"1 200 200  [1]", "1 400 400  [2]", "1 400 400 body [3]", "2 500 400 status [4 5]"}
		var got []string
		for _, a := range report.Answers {
			slices.Sort(a.Lines)
			got = append(got, fmt.Sprintf("%d %d %d %s %v", a.Posts, a.Expected, a.Status, a.Differ, a.Lines))
		}
		if !slices.Equal(got, want) || report.Refused != 3 || report.Posts != 5 {
			t.Errorf("%q, %d differ of %d; want %q", got, report.Refused, report.Posts, want)
		}
	})
}

// TestForms: what a line may be, and what it is posted as.
func TestForms(t *testing.T) {
	plain := body("s", 1)
	for line, want := range map[string]string{
		plain:               plain,
		"  " + plain + "\r": plain,
		`{"time":"2026-11-27T08:00:00Z","body":` + plain + `}`: plain,
		`{"body":"{\"verb\": \"add\""}`:                        `{"verb": "add"`,
		`{"body":""}`:                                          "",
		`{"body":["a"]}`:                                       `["a"]`,
		"\n\n" + plain + "\n\n":                                plain,
		strings.Repeat(" ", 100_000) + plain:                   plain,
	} {
		r := newRecords(strings.NewReader(line))
		p, err := r.next()
		if err != nil || string(p.body) != want {
			t.Errorf("%.80q: %v", line, err)
			continue
		}
		if _, err := r.next(); !errors.Is(err, io.EOF) {
			t.Errorf("%.80q: more than one", line)
		}
	}
	for _, wrong := range []string{`"8512839471928374650"`, `[8512839471928374650]`, `8512839471928374650`, `{"mpids":["8512839471928374650"]`, `null`} {
		text := plain + "\n\n" + wrong + "\n"
		c, err := Read(strings.NewReader(text), 1)
		if err == nil || !strings.Contains(err.Error(), "line 3 ") || strings.Contains(err.Error(), "8512") || c.Posts != 1 {
			t.Errorf("%s: %d posts, %v", wrong, c.Posts, err)
		}
		synctest.Test(t, func(t *testing.T) {
			s := newStandIn(nil)
			report, err := New(Options{In: strings.NewReader(text), From: 1, To: s.server(), Rate: quick}).Run(t.Context())
			if err == nil || report.Reached != 1 || len(s.took) != 1 {
				t.Errorf("%s: what comes before it is not posted: %+v, %v", wrong, report, err)
			}
		})
	}
}

// TestLongLine: a file that is no list of requests does not fill the memory.
func TestLongLine(t *testing.T) {
	endless := io.MultiReader(strings.NewReader("\n"), io.LimitReader(blanks{}, 1<<40))
	if _, err := newRecords(endless).next(); err == nil || !strings.Contains(err.Error(), "line 2 is longer") {
		t.Error(err)
	}
}

type blanks struct{}

func (blanks) Read(to []byte) (int, error) {
	for i := range to {
		to[i] = 'x'
	}
	return len(to), nil
}

// TestRead counts posts, segments and tenants from a line on.
func TestRead(t *testing.T) {
	text, _ := file(10, 3)
	if c, err := Read(strings.NewReader(text), 9); err != nil || c != (Contents{Posts: 2, Segments: 2, Tenants: 1, Last: 10}) {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := Read(strings.NewReader(text), 11); err != nil || c.Posts != 0 {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestAt: what is taken as a server.
func TestAt(t *testing.T) {
	for text, want := range map[string]string{
		"https://h:5010": "https://h:5010/audiences", "http://127.0.0.1:1/": "http://127.0.0.1:1/audiences", "https://h/x/audiences": "https://h/x/audiences",
		"h:5010": "", "": "", "ftp://h": "", "https://": "", "https://user:secret@h": "",
	} {
		if got, err := At(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}
