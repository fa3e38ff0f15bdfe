package embedded

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"audiences/audience"
	"audiences/journal"
)

// modelSegment is what one segment has to hold.
type modelSegment struct{ pending, parked map[string]audience.Verb }

// TestModel drives random histories through reopening and compares with plain
// maps: the last verb wins (I2), and a key leaves only by Settle, Park or an
// operator's hand (I3).
func TestModel(t *testing.T) {
	texts := []any{"1", "2", "-3", "01", "a", "b", "ü", "9223372036854775807", "-9223372036854775808"}
	segments := []audience.Segment{segment(tenant("a"), "s"), segment(tenant("a"), "t"), segment(tenant("b"), "s")}
	defer fewer(t)()
	rapid.Check(t, func(rt *rapid.T) {
		options := inMemory()
		j, err := Open(options)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = j.Close() }()
		model := map[audience.Segment]*modelSegment{}
		for _, seg := range segments {
			model[seg] = &modelSegment{map[string]audience.Verb{}, map[string]audience.Verb{}}
		}
		draw := func() (audience.Segment, *modelSegment, []audience.Key, audience.Verb) {
			seg := rapid.SampledFrom(segments).Draw(rt, "segment")
			some := rapid.SliceOfNDistinct(rapid.SampledFrom(texts), 1, 4, rapid.ID[any]).Draw(rt, "keys")
			return seg, model[seg], keys(some...), rapid.SampledFrom([]audience.Verb{audience.Add, audience.Delete}).Draw(rt, "verb")
		}
		rt.Repeat(map[string]func(*rapid.T){
			"append": func(*rapid.T) {
				seg, m, some, verb := draw()
				j.Append(appendOf(seg, verb, audience.KeysOf(some...), true, nil))
				for _, key := range some {
					m.pending[key.Text()] = verb
					delete(m.parked, key.Text())
				}
			},
			"settle": func(*rapid.T) {
				seg, m, some, _ := draw()
				j.Settle(settleOf(seg, slices.Values(some), nil))
				for _, key := range some {
					delete(m.pending, key.Text())
				}
			},
			"park": func(*rapid.T) {
				seg, m, some, verb := draw()
				j.Park(parkOf(seg, verb, slices.Values(some), journal.Refusal{}, nil))
				for _, key := range some {
					delete(m.pending, key.Text())
					m.parked[key.Text()] = verb
				}
			},
			"unpark": func(rt *rapid.T) {
				seg, m, some, _ := draw()
				u := journal.Unpark{Segment: seg, Discard: rapid.Bool().Draw(rt, "discard")}
				if rapid.Bool().Draw(rt, "all") {
					some = nil
					for text := range m.parked {
						some = append(some, keys(text)...)
					}
				} else {
					u.Keys = slices.Values(some)
				}
				j.Unpark(u)
				m.unpark(some, u.Discard)
			},
			"reopen": func(rt *rapid.T) {
				if err := j.Close(); err != nil {
					rt.Fatal(err)
				}
				if j, err = Open(options); err != nil {
					rt.Fatal(err)
				}
			},
			"": func(*rapid.T) {
				for seg, m := range model {
					if got := pending(t, j, seg); !maps.Equal(got, m.pending) {
						rt.Fatalf("%s: pending %v, want %v", seg.Name, got, m.pending)
					}
					if got := parkedVerbs(t, j, seg); !maps.Equal(got, m.parked) {
						rt.Fatalf("%s: parked %v, want %v", seg.Name, got, m.parked)
					}
				}
			},
		})
	})
}

func (m *modelSegment) unpark(some []audience.Key, discard bool) {
	for _, key := range some {
		verb, there := m.parked[key.Text()]
		delete(m.parked, key.Text())
		if _, newer := m.pending[key.Text()]; there && !newer && !discard {
			m.pending[key.Text()] = verb
		}
	}
}
