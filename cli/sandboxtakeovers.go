package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"audiences/audience"
)

// What the sandbox asks its own PostgreSQL: who has taken over from whom, and what is left.

// gone is a node that has ended with slots that nobody has taken over yet.
type gone struct {
	name  string
	slots int
	at    time.Time
}

// nobody is the name for those slots that no node has, not even one that has ended.
const nobody = ""

// readShares asks the database, which is the sandbox's own, who owns how many slots. A node
// would tell as well, but only after it has waited for those that have ended.
func (f *fleet) readShares() {
	ctx, cancel := context.WithTimeout(context.Background(), fleetAnswer)
	defer cancel()
	text, err := f.database.SQL(ctx, `SELECT count(*), coalesce(name, '') FROM slot LEFT JOIN node ON slot.owner = node.id GROUP BY name`)
	if err != nil {
		return // it has no schema yet; there will be another look
	}
	f.shares = map[string]int{}
	for line := range strings.Lines(text) {
		count, name, _ := strings.Cut(strings.TrimSpace(line), "|")
		f.shares[name], _ = strconv.Atoi(count)
	}
}

// tellTakeOvers sees from whom others have taken over.
func (f *fleet) tellTakeOvers() {
	if len(f.gone) == 0 {
		return
	}
	f.readShares()
	f.gone = slices.DeleteFunc(f.gone, func(g gone) bool {
		over := f.shares[g.name]+f.shares[nobody] == 0
		if over {
			f.tell("the others have taken over from %s: %d of %d slots of tenants, %.1f s after its end", g.name, g.slots, audience.SlotCount, time.Since(g.at).Seconds())
		}
		return over
	})
}

// left is how many keys, pending or parked, have stayed in the journal.
func (f *fleet) left() (keys int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), fleetAnswer)
	defer cancel()
	text, err := f.database.SQL(ctx, `SELECT (SELECT count(*) FROM pending) + (SELECT count(*) FROM parked)`)
	if err == nil {
		_, err = fmt.Sscan(text, &keys)
	}
	if err != nil {
		return 0, fmt.Errorf("count what is left in the journal: %w", err)
	}
	return keys, nil
}
