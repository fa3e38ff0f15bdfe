package placement

import "audiences/audience"

// assigned is the slots that a node is to own, by rendezvous: each slot goes to the
// member with which it mixes to the highest number. When a member comes or goes, only its
// own slots move. Who is leaving gets none, unless all are.
func assigned(to NodeID, members []Member) (slots audience.Slots) {
	for slot := range audience.SlotCount {
		var best NodeID
		var highest uint64
		for _, m := range members {
			if weight := mix(uint64(m.ID)<<8 | uint64(slot)); !m.Leaving && (best == 0 || weight > highest) {
				best, highest = m.ID, weight
			}
		}
		if best == to {
			slots.Add(audience.Slot(slot))
		}
	}
	return slots
}

// mix makes every bit of the result depend on every bit of v: two rounds of a shift and a
// multiply by an odd constant.
func mix(v uint64) uint64 {
	v = (v ^ v>>31) * 0x9e3779b97f4a7c15
	v = (v ^ v>>29) * 0xd6e8feb86659fd93
	return v ^ v>>32
}
