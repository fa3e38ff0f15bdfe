package connections

import (
	"container/list"
	"net/netip"
)

// mostKnown is how many addresses are remembered; a lambda's fleet has one behind
// a NAT, and some hundred without.
const mostKnown = 4096

// known remembers addresses that have shown the token, the latest ones.
type known struct {
	elements map[netip.Addr]*list.Element
	latest   list.List // of netip.Addr, the latest last
}

func newKnown() *known { return &known{elements: map[netip.Addr]*list.Element{}} }

func (k *known) has(address netip.Addr) bool { return k.elements[address] != nil }

func (k *known) add(address netip.Addr) {
	if e := k.elements[address]; e != nil {
		k.latest.MoveToBack(e)
		return
	}
	k.elements[address] = k.latest.PushBack(address)
	if k.latest.Len() > mostKnown {
		delete(k.elements, k.latest.Remove(k.latest.Front()).(netip.Addr))
	}
}
