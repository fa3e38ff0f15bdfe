package standing

// Phase is what the segment does now, for the operator.
func (s *Standing) Phase() string {
	switch phase := s.now & phases; phase {
	case waiting:
		return "waiting for a permit"
	case fetching:
		return "reading from the journal"
	default:
		return phase.String()
	}
}

// Gathering reports whether no permit was asked for and none is in hand.
func (s *Standing) Gathering() bool { return s.in(gathering) }

// Waiting reports whether a permit was asked for.
func (s *Standing) Waiting() bool { return s.in(waiting) }

// Fetching reports whether a permit is in hand that waits for keys from the journal.
func (s *Standing) Fetching() bool { return s.in(fetching) }

// Calling reports whether a call is under way.
func (s *Standing) Calling() bool { return s.in(calling) }

// Ask notes that a permit was asked for.
func (s *Standing) Ask() { s.happen(permitAsked) }

// Withdraw notes that none is wanted any more.
func (s *Standing) Withdraw() { s.happen(permitWithdrawn) }

// Fetch notes that a permit came and that its keys have to be read first.
func (s *Standing) Fetch() { s.happen(keysFetched) }

// Call notes that the permit is used.
func (s *Standing) Call() { s.happen(callMade) }

// GiveBack notes that the permit is not used.
func (s *Standing) GiveBack() { s.happen(permitUnused) }

// Drain notes that the relay stops.
func (s *Standing) Drain() { s.happen(stopBegun) }

// Hurries reports whether what may be sent is to be sent now, because the relay stops.
func (s *Standing) Hurries() bool { return s.in(draining) }

// Stopping reports whether the relay stops, whether this segment has had its turn or not.
func (s *Standing) Stopping() bool { return !s.in(serving) }

// Drained notes that what a stop waits for was done: one attempt is all.
func (s *Standing) Drained() { s.happen(stopTried) }
