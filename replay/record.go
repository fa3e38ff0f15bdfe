package replay

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// mostBytes is how long a line may be. The relay's own limit of a body is half of that.
const mostBytes = 64 << 20

// post is one recorded request. It holds a token and keys, and is never printed.
type post struct {
	line    int // counted from 1
	body    []byte
	tenant  string // its apiToken; "": it names none
	segment string // with all that tells it from others
}

// records reads posts from a file: one a line, blank lines aside. A line is the body of a
// request, which is a JSON object, or an object that has it as "body": as text, which is
// posted byte for byte, or as the object itself. What else such a line has, a time for
// instance, is passed over.
type records struct {
	in   *bufio.Reader
	line int // the last one that was read
}

func newRecords(in io.Reader) *records { return &records{in: bufio.NewReaderSize(in, 64<<10)} }

// next is the next post; io.EOF: there is none.
func (r *records) next() (*post, error) {
	for {
		text, err := r.read()
		if len(bytes.TrimSpace(text)) > 0 {
			return r.parse(bytes.TrimSpace(text))
		}
		if err != nil {
			return nil, err
		}
	}
}

// read reads a line; its text may be there beside an error.
func (r *records) read() (text []byte, err error) {
	r.line++
	for {
		part, err := r.in.ReadSlice('\n')
		text = append(text, part...)
		switch {
		case len(text) > mostBytes:
			return nil, fmt.Errorf("line %d is longer than %d bytes", r.line, mostBytes)
		case !errors.Is(err, bufio.ErrBufferFull):
			return text, err
		}
	}
}

func (r *records) parse(text []byte) (*post, error) {
	var record map[string]json.RawMessage
	if err := json.Unmarshal(text, &record); err != nil || record == nil {
		return nil, fmt.Errorf("line %d is no recorded request: it must be a JSON object", r.line) // the cause may show a key
	}
	body, recorded := record["body"]
	if !recorded {
		return newPost(r.line, text), nil
	}
	var words string
	if json.Unmarshal(body, &words) == nil {
		return newPost(r.line, []byte(words)), nil
	}
	return newPost(r.line, body), nil
}

// newPost finds out what the body is for, as far as it says so.
func newPost(line int, body []byte) *post {
	var names struct{ APIToken, WorkspaceID, EnvironmentID, TrafficTypeID, Segment string }
	_ = json.Unmarshal(body, &names) // what is wrong with it the server says
	return &post{line: line, body: body, tenant: names.APIToken,
		segment: fmt.Sprintf("%q", []string{names.APIToken, names.WorkspaceID, names.EnvironmentID, names.TrafficTypeID, names.Segment})}
}

// Contents is what a file has.
type Contents struct {
	Posts, Segments, Tenants int
	Last                     int // line
}

// Read reads a file from a line on to its end, and posts nothing.
func Read(in io.Reader, from int) (c Contents, err error) {
	segments, tenants := map[string]struct{}{}, map[string]struct{}{}
	for records := newRecords(in); ; {
		p, err := records.next()
		switch {
		case errors.Is(err, io.EOF):
			c.Segments, c.Tenants = len(segments), len(tenants)
			return c, nil
		case err != nil:
			return c, err
		case p.line < from:
			continue
		}
		c.Posts, c.Last = c.Posts+1, p.line
		segments[p.segment], tenants[p.tenant] = struct{}{}, struct{}{}
	}
}
