package postgres

// recordKind is what the rows of a table are. Whatever goes through all that the journal
// holds, such as a backup, a change of the token key or a forgotten tenant, goes through
// this list, and a test compares it with the tables that there are.
type recordKind struct {
	table   string
	what    string
	keys    bool   // it has keys of tenants' users
	tokens  bool   // it has apiTokens, sealed with the key of the vault
	removed string // by whom, and when
}

// recordKinds are all tables, in the order in which rows of several of them are locked.
var recordKinds = []recordKind{
	{table: "meta", what: "The one row says which format the database has, which key its tokens are sealed with and how many lives of nodes there were.", removed: "Nobody removes it."},
	{table: "life", what: "Each life of a node has a row with its beginning, from which the times of its versions are counted.", removed: "It is tidied away 400 days after the beginning, once the node's row is gone."},
	{table: "node", what: "Each node has a row with its lease, its address group and what it wants of the calls to Split.", removed: "A node takes its own away when it leaves, and a dead one is tidied away an hour after its lease."},
	{table: "slot", what: "Each part of the tenants has a row with the node that delivers for them.", removed: "Nobody removes it."},
	{table: "tenant", what: "Each tenant has a row with its token and whether it is paused.", tokens: true, removed: "It is tidied away when it has no state and no segment and was not seen for 30 days."},
	{table: "proven", what: "Each tenant that Split took keys of has a row.", removed: "Nobody removes it."},
	{table: "segment", what: "Each segment has a row with its names, the tenant whose it is and whether it is paused or parked.", removed: "It is tidied away when it has no key and no state, and was not seen for an hour or for as long as receipts are kept; a move clears its state."},
	{table: "pending", what: "Each key that was accepted and not settled has a row with its verb and the version of its last change.", keys: true, removed: "A settle, a park and a move take it away."},
	{table: "parked", what: "Each key that Split refused for good has a row with its verb and Split's words, which may name the key.", keys: true, removed: "A newer change, a retry, a discard and a move take it away."},
	{table: "receipt", what: "Each call that Split took has some rows with the keys that it delivered, in a partition of its day.", keys: true, removed: "A partition is dropped when its day is older than receiptsMaxAge; a move leaves the receipts with the tenant that they are of."},
	{table: "hint", what: "A segment that a node took keys for which it does not deliver has a row until its owner has seen it.", removed: "The owner takes it away when it looks."},
	{table: "wish", what: "A question of one node to another has a row until its answer was read; it may name a key that an operator looks for.", keys: true, removed: "The node that asked takes it away, and what is a minute old is tidied away."},
	{table: "event", what: "Each of the last events has a row with its text, which names no key and no token.", removed: "All but the last 1,000 are tidied away."},
}
