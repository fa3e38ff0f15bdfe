package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/tailscale/hujson"
)

const (
	maxFileBytes = 1 << 20
	// The parser descends into every bracket and the stack it may use is not
	// endless; a configuration is flat, so the bounds need not be large.
	maxBrackets = 10_000
	maxMembers  = 1_000
)

// member is one key of the file as it stands there.
type member struct {
	name  string
	line  int
	value value
}

// readFile reads at most limit bytes. Its errors do not repeat the path.
func readFile(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("it is larger than %d bytes", limit)
	}
	return data, nil
}

func withoutPath(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}

// parseFile takes the file apart without judging names or values. It returns a
// fault, and no members, for what is not one JSON object.
func parseFile(path string, data []byte) ([]member, *Fault) {
	// Windows editors put a byte order mark in front; a comment on the last line
	// needs a line end that some editors leave out.
	data = append(bytes.TrimPrefix(data, []byte("\ufeff")), '\n')
	if bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) > maxBrackets {
		return nil, &Fault{Source: path, Problem: "it has too many brackets for a configuration"}
	}
	root, err := hujson.Parse(data)
	if err != nil {
		fault := syntaxFault(path, err)
		return nil, &fault
	}
	object, ok := root.Value.(*hujson.Object)
	if !ok {
		return nil, &Fault{Source: path, Line: 1, Problem: `it must be one JSON object: { "port": 5010, ... }`}
	}
	if len(object.Members) > maxMembers {
		return nil, &Fault{Source: path, Problem: fmt.Sprintf("it has %d keys, too many for a configuration", len(object.Members))}
	}
	return membersOf(object, data), nil
}

func membersOf(object *hujson.Object, data []byte) []member {
	members := make([]member, 0, len(object.Members))
	line, counted := 1, 0
	for _, m := range object.Members {
		line += bytes.Count(data[counted:m.Name.StartOffset], []byte("\n"))
		counted = m.Name.StartOffset
		v := value{kind: m.Value.Value.Kind()}
		if literal, ok := m.Value.Value.(hujson.Literal); ok {
			v.text = literal.String()
		}
		members = append(members, member{m.Name.Value.(hujson.Literal).String(), line, v})
	}
	return members
}

var (
	syntaxPlace     = regexp.MustCompile(`line (\d+), column (\d+)`)
	syntaxCharacter = regexp.MustCompile(`^invalid character '.*' (.*)$`)
)

// syntaxFault words the parser's error anew: its own text repeats what stands in
// the file, and that may be the token (I7).
func syntaxFault(path string, err error) Fault {
	fault := Fault{Source: path, Problem: "it is not JSON"}
	if place := syntaxPlace.FindStringSubmatch(err.Error()); place != nil {
		fault.Line, _ = strconv.Atoi(place[1])
		fault.Column, _ = strconv.Atoi(place[2])
	}
	cause := errors.Unwrap(err)
	switch {
	case cause == nil:
	case errors.Is(cause, io.ErrUnexpectedEOF):
		fault.Problem += ": the file ends too early; is a quote, brace or end of comment missing?"
	case strings.HasPrefix(cause.Error(), "invalid literal"):
		fault.Problem += ": text must stand in double quotes, on one line, with \\\\ for a backslash"
	default:
		if where := syntaxCharacter.FindStringSubmatch(cause.Error()); where != nil {
			fault.Problem += ": unexpected character " + where[1]
		}
	}
	return fault
}
