package journal

import "errors"

// ErrClosed answers what is asked of a journal after Close, or after it could no
// longer be written (Options.Fatal).
var ErrClosed = errors.New("the journal is closed")

// ErrMoved refuses a change while the journal's files are not where the next start
// would look for them.
var ErrMoved = errors.New("the journal's directory was moved, removed or replaced")

// ErrDiskFull refuses a change while the journal's disk has no room for it.
var ErrDiskFull = errors.New("disk nearly full")

// ErrBadCursor refuses a place to go on from that no page before has led to.
var ErrBadCursor = errors.New("the cursor is not one that a page before gave")
