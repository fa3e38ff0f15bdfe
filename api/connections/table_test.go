package connections

import (
	"net/netip"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// bare is a connection for the table alone.
func bare(address string) *Conn { return &Conn{address: netip.MustParseAddr(address)} }

// scene is a table and the connections in it by name.
type scene struct {
	*table
	names map[*Conn]string
	conns map[string]*Conn
}

func newScene(most, mostPerAddress int) *scene {
	return &scene{newTable(most, mostPerAddress), map[*Conn]string{}, map[string]*Conn{}}
}

// comes lets one in and returns who went for it.
func (s *scene) comes(name, address string) string {
	c := bare(address)
	s.names[c], s.conns[name] = name, c
	victim, _ := s.enter(c)
	if victim == nil {
		return ""
	}
	return s.names[victim]
}

func (s *scene) proves(t *testing.T, name string) {
	t.Helper()
	if !s.prove(s.conns[name]) {
		t.Errorf("%s is not there any more", name)
	}
}

// TestWhoIsLetGo: strangers before callers, unknown addresses before known ones,
// the address with most before the others, the longest idle first; never one with
// a request under way.
func TestWhoIsLetGo(t *testing.T) {
	s := newScene(7, 0)
	for _, c := range [][2]string{
		{"caller", "10.0.0.1"}, {"busy", "10.0.0.1"}, {"neighbour", "10.0.0.1"},
		{"single", "10.0.0.2"}, {"first", "10.0.0.3"}, {"second", "10.0.0.3"}, {"third", "10.0.0.3"},
	} {
		if went := s.comes(c[0], c[1]); went != "" {
			t.Fatalf("%s went, and there was room", went)
		}
	}
	s.proves(t, "caller")
	s.done(s.conns["caller"])
	s.proves(t, "busy")
	s.touch(s.conns["first"])
	s.greeted(s.conns["second"])
	// third has done nothing since it came; first and second have. Once these two
	// addresses have one each, single is idle for longer.
	for i, want := range []string{"third", "first", "single", "second", "neighbour", "caller"} {
		name := string(rune('a' + i))
		if went := s.comes(name, "10.0.0.1"); went != want {
			t.Fatalf("%s went, want %s", went, want)
		}
		s.proves(t, name)
	}
	if went := s.comes("late", "10.0.0.9"); went != "late" {
		t.Errorf("%s went, and all others are busy", went)
	}
	s.done(s.conns["b"])
	s.done(s.conns["a"])
	if went := s.comes("later", "10.0.0.9"); went != "b" {
		t.Errorf("%s went, want b: it is idle for longer than a", went)
	}
}

// TestFloodDisplacesItself: who opens connections as fast as he can, from one
// address, costs others theirs only until he has most of them.
func TestFloodDisplacesItself(t *testing.T) {
	s := newScene(10, 0)
	for i := range 4 {
		s.comes(string(rune('a'+i)), "10.0.0."+string(rune('1'+i)))
	}
	for range 1000 {
		if went := s.comes("flood", "192.0.2.1"); went != "" && went != "flood" {
			t.Fatalf("%s went for a flood", went)
		}
	}
}

// TestNewcomersAreNotTheNextToGo: strangers that sit there, each at an address of
// its own, have no more of them than who comes. So it is they who go, the longest
// idle first, and who has just come has time for his handshake and his token.
func TestNewcomersAreNotTheNextToGo(t *testing.T) {
	s := newScene(5, 0)
	for i, name := range []string{"a", "b", "c", "d", "e"} {
		s.comes(name, "192.0.2."+strconv.Itoa(i+1))
	}
	s.touch(s.conns["b"])
	s.greeted(s.conns["a"])
	for i, want := range []string{"c", "d", "e", "b", "a", "0", "1", "2", "3"} {
		if went := s.comes(strconv.Itoa(i), "198.51.100."+strconv.Itoa(i)); went != want {
			t.Fatalf("%s went for number %d, want %s", went, i, want)
		}
	}
}

// TestKnownStaysKnown: the lambda has no connection between two posts.
func TestKnownStaysKnown(t *testing.T) {
	s := newScene(2, 0)
	s.comes("lambda", "10.0.0.1")
	s.proves(t, "lambda")
	s.done(s.conns["lambda"])
	s.remove(s.conns["lambda"])
	s.comes("lambda again", "10.0.0.1")
	s.comes("stranger", "192.0.2.1")
	if went := s.comes("third", "192.0.2.2"); went != "stranger" {
		t.Errorf("%s went, want the stranger", went)
	}
}

func TestLimitOfOneAddress(t *testing.T) {
	s := newScene(100, 2)
	s.comes("other", "10.0.0.9")
	s.comes("a", "10.0.0.1")
	s.comes("b", "10.0.0.1")
	s.touch(s.conns["a"])
	if went := s.comes("c", "10.0.0.1"); went != "b" {
		t.Errorf("%s went, want b", went)
	}
	s.proves(t, "a")
	s.proves(t, "c")
	if went := s.comes("d", "10.0.0.1"); went != "d" {
		t.Errorf("%s went, and the address's others are busy", went)
	}
	s.done(s.conns["a"])
	if went := s.comes("e", "10.0.0.1"); went != "a" {
		t.Errorf("%s went, want the idle caller of the same address", went)
	}
}

// TestNothingIsTakenOfWhoWasLetGo: his answer would reach nobody.
func TestNothingIsTakenOfWhoWasLetGo(t *testing.T) {
	s := newScene(1, 0)
	s.comes("a", "10.0.0.1")
	s.comes("b", "10.0.0.1")
	if s.prove(s.conns["a"]) {
		t.Error("a was let go, and yet is let prove itself")
	}
	s.proves(t, "b")
}

func TestCountedBy(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1":           "192.0.2.1",
		"::ffff:192.0.2.1":    "192.0.2.1",
		"2001:db8:1:2:3::4":   "2001:db8:1:2::",
		"2001:db8:1:2:ff::ff": "2001:db8:1:2::",
		"2001:db8:1:3::4":     "2001:db8:1:3::",
	} {
		if got := countedBy(house{from: address}.RemoteAddr()); got != netip.MustParseAddr(want) {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

func TestKnownForgetsTheOldest(t *testing.T) {
	k := newKnown()
	address := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }
	for i := range mostKnown {
		k.add(address(i))
	}
	k.add(address(0))
	k.add(address(mostKnown))
	if !k.has(address(0)) || k.has(address(1)) || !k.has(address(2)) || len(k.elements) != mostKnown || k.latest.Len() != mostKnown {
		t.Errorf("%d remembered", len(k.elements))
	}
}

// model is the table without any of its indexes: a list in the order of the last
// thing that each connection did.
type model struct {
	most, mostPerAddress int
	order                []*Conn
	proven               map[*Conn]bool
	busy                 map[*Conn]int
	known                map[netip.Addr]bool
}

func (m *model) count(which func(*Conn) bool) (n int) {
	for _, c := range m.order {
		if which(c) {
			n++
		}
	}
	return n
}

func (m *model) stranger(c *Conn) bool { return !m.proven[c] }

// victim is who goes for one that comes from this address, nil when there is room or
// when nobody can. Where addresses are equal it is the longest idle of all theirs,
// which is the first in the order.
func (m *model) victim(from netip.Addr) (victim *Conn, full bool) {
	among := func(*Conn) bool { return true }
	switch {
	case m.mostPerAddress > 0 && m.count(func(c *Conn) bool { return c.address == from }) >= m.mostPerAddress:
		among = func(c *Conn) bool { return c.address == from }
	case len(m.order) < m.most:
		return nil, false
	}
	worst := -1
	for _, known := range []bool{false, true} {
		seen := map[netip.Addr]bool{}
		for _, c := range m.order {
			if !among(c) || !m.stranger(c) || m.known[c.address] != known || seen[c.address] {
				continue
			}
			seen[c.address] = true
			if n := m.count(func(o *Conn) bool { return o.address == c.address && m.stranger(o) }); n > worst {
				worst, victim = n, c
			}
		}
		if victim != nil {
			return victim, true
		}
	}
	for _, c := range m.order {
		if among(c) && m.busy[c] == 0 {
			return c, true
		}
	}
	return nil, true
}

func (m *model) remove(c *Conn) {
	m.order = slices.DeleteFunc(m.order, func(o *Conn) bool { return o == c })
}

func (m *model) last(c *Conn) {
	m.remove(c)
	m.order = append(m.order, c)
}

// TestTableAgainstModel runs random histories through both.
func TestTableAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{
			most: rapid.IntRange(1, 12).Draw(t, "most"), mostPerAddress: rapid.IntRange(0, 4).Draw(t, "most per address"),
			proven: map[*Conn]bool{}, busy: map[*Conn]int{}, known: map[netip.Addr]bool{},
		}
		table := newTable(m.most, m.mostPerAddress)
		var gone []*Conn
		leave := func(c *Conn) {
			m.remove(c)
			gone = append(gone, c)
		}
		some := func(t *rapid.T) *Conn {
			if len(m.order) == 0 {
				t.Skip("empty")
			}
			return rapid.SampledFrom(m.order).Draw(t, "one")
		}
		t.Repeat(map[string]func(*rapid.T){
			"enter": func(t *rapid.T) {
				c := bare("10.0.0." + rapid.SampledFrom([]string{"1", "2", "3", "4"}).Draw(t, "address"))
				want, full := m.victim(c.address)
				if full && want == nil {
					want = c
				}
				victim, _ := table.enter(c)
				if victim != want {
					t.Fatal("the wrong one went")
				}
				if victim == c {
					return
				}
				if victim != nil {
					leave(victim)
				}
				m.last(c)
			},
			"touch": func(t *rapid.T) {
				c := some(t)
				table.touch(c)
				m.last(c)
			},
			"greeted": func(t *rapid.T) {
				c := some(t)
				if !c.place.greeted {
					m.last(c)
				}
				table.greeted(c)
			},
			"prove": func(t *rapid.T) {
				c := some(t)
				table.greeted(c) // before its first request, always
				if !table.prove(c) {
					t.Fatal("it is there, and is said to be gone")
				}
				m.proven[c], m.known[c.address] = true, true
				m.busy[c]++
			},
			"done": func(t *rapid.T) {
				c := some(t)
				if m.busy[c] == 0 {
					t.Skip("not busy")
				}
				table.done(c)
				if m.busy[c]--; m.busy[c] == 0 {
					m.last(c)
				}
			},
			"remove": func(t *rapid.T) {
				c := some(t)
				table.remove(c)
				leave(c)
			},
			"late": func(t *rapid.T) {
				if len(gone) == 0 {
					t.Skip("nobody went")
				}
				c := rapid.SampledFrom(gone).Draw(t, "gone")
				table.touch(c)
				table.greeted(c)
				table.remove(c)
				if m.busy[c] > 0 {
					table.done(c)
					m.busy[c]--
				} else if table.prove(c) {
					t.Fatal("it is gone, and may prove itself")
				}
			},
			"": func(t *rapid.T) {
				want := Census{
					m.count(func(c *Conn) bool { return !c.place.greeted }), m.count(func(c *Conn) bool { return c.place.greeted && m.stranger(c) }),
					m.count(func(c *Conn) bool { return m.proven[c] && m.busy[c] == 0 }), m.count(func(c *Conn) bool { return m.busy[c] > 0 }),
				}
				addresses := map[netip.Addr]bool{}
				for _, c := range m.order {
					addresses[c.address] = true
				}
				if len(table.hosts) != len(addresses) {
					t.Fatalf("%d hosts, want %d", len(table.hosts), len(addresses))
				}
				if got := table.census(); got != want {
					t.Fatalf("counted %v, want %v", got, want)
				}
				if len(m.order) > m.most || len(table.handshaking()) != m.count(func(c *Conn) bool { return !c.place.greeted }) {
					t.Fatal("too many, or not all are found again")
				}
			},
		})
	})
}
