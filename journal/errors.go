package journal

import "errors"

// ErrClosed answers what is asked of a journal after Close, or after it could no
// longer be written (Options.Fatal).
var ErrClosed = errors.New("the journal is closed")

// ErrMoved refuses a change while the journal's files are not where the next start
// would look for them.
var ErrMoved = errors.New("the journal's directory was moved, removed or replaced")

// ErrBadCursor is the error of a search that is to go on where none ended.
var ErrBadCursor = errors.New("find key: the cursor is not one that a search gave")

// ErrDiskFull refuses a change while the journal's disk has no room for it.
var ErrDiskFull = errors.New("disk nearly full")
