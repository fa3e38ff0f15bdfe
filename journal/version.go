package journal

// Version tells which Append, on which node, a pending key came in with: the number of
// the node times 2^40, and a counter of that node, which rises over restarts. A newer
// change of the key brings another version, so a version says whether the key is still
// the one that somebody saw. Versions of two nodes have no order.
//
// The embedded store is node 0. Its counter lasts for 34 years of 1,000 posts a second.
type Version uint64

const counterBits = 40

// MakeVersion is the version with that counter, which is less than 2^40, of a node.
func MakeVersion(node uint32, counter uint64) Version {
	return Version(uint64(node)<<counterBits | counter)
}

// Node is the number of the node that gave the version.
func (v Version) Node() uint32 { return uint32(v >> counterBits) }

// Counter is what the version's node had counted to.
func (v Version) Counter() uint64 { return uint64(v) & (1<<counterBits - 1) }

// Covers reports whether other is of the same node and not newer.
func (v Version) Covers(other Version) bool {
	return v.Node() == other.Node() && other <= v
}
