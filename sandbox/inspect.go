package sandbox

import (
	"cmp"
	"slices"
	"sort"
	"time"
)

// SegmentState is what the sandbox shows of one active segment.
type SegmentState struct {
	Organisation string    `json:"organisation"`
	Environment  string    `json:"environment"`
	Segment      string    `json:"segment"`
	Keys         int       `json:"keys"`
	Activated    time.Time `json:"activated"`
}

// Members returns the keys of a segment in byte order, nil when there is none.
// The organisation is given by its name or by any of its tokens. The slice is
// the caller's to read, not to change.
func (s *Split) Members(org, environment, name string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seg := s.lookUp(org, environment, name); seg != nil {
		return seg.texts()
	}
	return nil
}

// Size is the number of keys in a segment.
func (s *Split) Size(org, environment, name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seg := s.lookUp(org, environment, name); seg != nil {
		return seg.members.Len()
	}
	return 0
}

// History returns the verbs that were applied to a key, oldest first. It is
// empty unless Options.History is set.
func (s *Split) History(org, environment, name, key string) []Applied {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seg := s.lookUp(org, environment, name); seg != nil {
		return slices.Clone(seg.history[key])
	}
	return nil
}

// Segments lists the active segments by organisation, environment and name.
func (s *Split) Segments() []SegmentState {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []SegmentState{}
	for name, org := range s.orgs {
		for at, seg := range org.segments {
			list = append(list, SegmentState{name, at.environment, at.name, seg.members.Len(), seg.activated})
		}
	}
	sort.Slice(list, func(i, j int) bool {
		a, b := &list[i], &list[j]
		return cmp.Or(cmp.Compare(a.Organisation, b.Organisation), cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.Segment, b.Segment)) < 0
	})
	return list
}

// Calls returns the latest calls that ended, oldest first, at most Options.CallLog.
func (s *Split) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.list()
}

// Counts sums up all calls that ended.
func (s *Split) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.sums()
}

// Violations returns what the caller did that the relay promises not to do, in
// the order it was proven: the first 1,000.
func (s *Split) Violations() []Violation {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, calls := range s.underWay {
		for _, x := range calls {
			s.verdicts.add(x.provenOverlaps(now, s.opts.Grace, false)...)
		}
	}
	return slices.Clone(s.verdicts.kept)
}

// lookUp finds a segment without making anything. A token is told from a name
// by no organisation having that name.
func (s *Split) lookUp(nameOrToken, environment, name string) *segment {
	org := s.orgs[nameOrToken]
	if org == nil {
		org = s.orgs[s.ownerOf(tenantOf(nameOrToken))]
	}
	if org == nil {
		return nil
	}
	return org.segments[place{environment, name}]
}
