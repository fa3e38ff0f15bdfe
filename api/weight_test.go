package api

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// heavyBodies are bodies of a megabyte and more that cost a careless decoder much.
var heavyBodies = map[string]func() string{
	"the same digit":        func() string { return array(1_000_000, func(int) string { return "1" }) },
	"ten digits in turn":    func() string { return array(1_000_000, func(i int) string { return fmt.Sprint(i % 10) }) },
	"1 to 6 digits":         func() string { return array(300_000, func(i int) string { return fmt.Sprint(i) }) },
	"5 digits":              func() string { return array(90_000, func(i int) string { return fmt.Sprint(10_000 + i) }) },
	"7 digits":              func() string { return array(300_000, func(i int) string { return fmt.Sprint(1_000_000 + i) }) },
	"4 digits, three times": func() string { return array(27_000, func(i int) string { return fmt.Sprint(1000 + i%9000) }) },
	"MPIDs": func() string {
		return array(100_000, func(i int) string { return fmt.Sprintf(`"-87356218762%08d"`, i) })
	},
	"one character": func() string {
		return array(50_000, func(i int) string { return `"` + string(rune('é'+i)) + `"` })
	},
	"three characters": func() string {
		return array(200_000, func(i int) string {
			return fmt.Sprintf(`"%03X"`, i%4096+i/4096<<16)
		})
	},
	"long texts":      func() string { return array(10_000, func(i int) string { return fmt.Sprintf(`"%0240d-"`, i) }) },
	"escapes":         func() string { return array(50_000, func(i int) string { return fmt.Sprintf(`"\u00e9\n%d"`, i) }) },
	"one long escape": func() string { return body("mpids", `["`+strings.Repeat(`\n`, 1_000_000)+`"]`) },
	"nulls":           func() string { return array(300_000, func(int) string { return "null" }) },
	"blanks":          func() string { return array(500_000, func(int) string { return `""` }) },
	"faults":          func() string { return array(500_000, func(int) string { return "[]" }) },
	"blanks outside":  func() string { return strings.Repeat(" ", 1_000_000) + body() },
	"a long verb":     func() string { return body("verb", `"`+strings.Repeat(`\n`, 1_000_000)+`"`) },
	"a long token":    func() string { return body("apiToken", `"`+strings.Repeat("t", 1_000_000)+`"`) },
	"junk in a list":  func() string { return junk(array(500_000, func(int) string { return "7" })) },
	"junk, deep": func() string {
		return junk(array(100, func(int) string { return strings.Repeat("[", 9000) + strings.Repeat("]", 9000) }))
	},
	"junk, many names": func() string { return junk(object(200_000, "%x")) },
	"junk at the top":  func() string { o := object(200_000, "x%x"); return o[:len(o)-1] + "," + body()[1:] },
	"junk, long names": func() string { return junk(object(10_000, "%0200x")) },
	"junk, nested names": func() string {
		return junk("[" + strings.Repeat(object(100, "%x")+",", 1000) + "1]")
	},
}

func array(n int, entry func(i int) string) string {
	entries := make([]string, n)
	for i := range entries {
		entries[i] = entry(i)
	}
	return body("mpids", "["+strings.Join(entries, ",")+"]")
}

// object is one of n members.
func object(n int, name string) string {
	members := make([]string, n)
	for i := range members {
		members[i] = fmt.Sprintf(`"`+name+`":1`, i)
	}
	return "{" + strings.Join(members, ",") + "}"
}

func junk(value string) string { return `{"x":` + value + "," + body()[1:] }

// deepest is what the JSON decoder takes for 10,000 levels, the most it allows.
const deepest = 300 << 10

// TestDecodeTakesLittleMemory: all that decoding ever allocates, garbage included,
// is at most three bytes for each byte of body, and little that does not grow with
// it; the body itself is the fourth.
func TestDecodeTakesLittleMemory(t *testing.T) {
	for name, make := range heavyBodies {
		text := []byte(make())
		d := decoder{maxKeys: 1_000_000}
		took := allocated(func() {
			if _, err := d.decode(text); err != nil {
				if f, ok := errors.AsType[*failure](err); !ok || f.status != 400 {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
		t.Logf("%-24s %8d bytes: %.2f bytes for each", name, len(text), float64(took)/float64(len(text)))
		if most := 3*len(text) + deepest; took > most {
			t.Errorf("%s: %d bytes of body took %d, more than %d", name, len(text), took, most)
		}
	}
}

// allocated is how many bytes run allocates.
func allocated(run func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	run()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// TestTooManyKeys: one key beyond the limit is refused, repeats are not counted, and
// what comes after the one too many is not looked at.
func TestTooManyKeys(t *testing.T) {
	d := decoder{maxKeys: 3}
	for text, status := range map[string]int{
		`[1, 2, 3]`:                        200,
		`["1", 2, 3, 3, 2, 1, null, ""]`:   200,
		`[1, 2, 3, 4]`:                     413,
		`[1, 2, 3, "4", 5, {"broken": [`:   413,
		`[1, 2, 3, true, 4, 5]`:            400, // the first fault is told
		`[1, 2, "3", 3, 2, 1, 1, 1, "3 "]`: 413,
	} {
		_, err := d.decode([]byte(body("mpids", text)))
		f, _ := errors.AsType[*failure](err)
		if got := f; status == 200 && err != nil || status != 200 && (got == nil || got.status != status) {
			t.Errorf("%s: %v, want %d", text, err, status)
		}
		if status == 413 && f.message != "mpids has more than 3 different keys; send them in several posts" {
			t.Errorf("%s: %s", text, f.message)
		}
	}
}

// TestGiantsLeaveRoom: posts with large bodies are turned away while small ones are
// still taken, and one that is larger than its part passes when it is alone.
func TestGiantsLeaveRoom(t *testing.T) {
	a := &admission{maxRequests: 10, maxBytes: 8 * large}
	giant, small := mustAdmit(t, a), mustAdmit(t, a)
	if err := giant.hold(20 * large); err != nil || a.bytes.Load() != 6*large {
		t.Errorf("alone: %v, %d counted", err, a.bytes.Load())
	}
	if err := mustAdmit(t, a).hold(large + 1); err != errHeavy {
		t.Errorf("a second giant: %v", err)
	}
	if err := small.hold(large); err != nil {
		t.Errorf("a small one beside it: %v", err)
	}
	if err := giant.hold(3 * large); err != nil || a.bytes.Load() != 4*large {
		t.Errorf("less: %v, %d counted", err, a.bytes.Load())
	}
	if err := giant.hold(6 * large); err != errHeavy || a.bytes.Load() != 4*large {
		t.Errorf("more than there is: %v, %d counted", err, a.bytes.Load())
	}
	giant.release()
	small.release()
	if a.bytes.Load() != 0 {
		t.Errorf("%d still counted", a.bytes.Load())
	}
}

func mustAdmit(t *testing.T, a *admission) *ticket {
	t.Helper()
	ticket, err := a.admit()
	if err != nil {
		t.Fatal(err)
	}
	return &ticket
}

// TestArrivalIsBeforeDecoding: a change came when its body was read, not when it had its turn
// to be decoded. A journal that several nodes share goes by that (F1).
func TestArrivalIsBeforeDecoding(t *testing.T) {
	f := start(t, Options{})
	body := strings.Replace(body(), `"`, strings.Repeat(" ", large)+`"`, 1)
	f.decoding.Lock()
	answers := f.postLater(t, body)
	for f.admission.bytes.Load() < large {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(200 * time.Millisecond)
	turn := time.Now()
	f.decoding.Unlock()
	if answer := <-answers; answer.status != 200 {
		t.Fatalf("%+v", answer)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if came := f.taken[0].Came; came.IsZero() || !came.Before(turn) {
		t.Errorf("it came %v before its turn", turn.Sub(came))
	}
}
