package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"

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
	data = bytes.TrimPrefix(data, []byte(markUTF8)) // Windows editors put it in front
	if problem, at := notText(data); problem != "" {
		fault := faultAt(path, data, at, problem)
		return nil, &fault
	}
	if bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) > maxBrackets {
		return nil, &Fault{Source: path, Problem: "it has too many brackets for a configuration"}
	}
	// A comment on the last line needs a line end that some editors leave out.
	root, err := hujson.Parse(append(slices.Clone(data), '\n'))
	if err != nil {
		fault := syntaxFault(path, data, err)
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
		} else {
			v.text = string(m.Value.Pack())
		}
		members = append(members, member{m.Name.Value.(hujson.Literal).String(), line, v})
	}
	return members
}

// syntaxPlace is where the parser stumbled.
var syntaxPlace = regexp.MustCompile(`line (\d+), column (\d+)`)

// syntaxFault words the parser's error anew: its own text repeats what stands in
// the file, and that may be the token (I7), and it tells what it met, not what is
// missing.
func syntaxFault(path string, data []byte, err error) Fault {
	if problem, at := diagnose(data); problem != "" {
		return faultAt(path, data, at, "it is not JSON: "+problem)
	}
	fault := Fault{Source: path, Problem: "it is not JSON"}
	if place := syntaxPlace.FindStringSubmatch(err.Error()); place != nil {
		fault.Line, _ = strconv.Atoi(place[1])
		fault.Column, _ = strconv.Atoi(place[2])
	}
	return fault
}

// faultAt is a fault at a byte of the file; a negative one: of the whole file.
func faultAt(path string, data []byte, at int, problem string) Fault {
	fault := Fault{Source: path, Problem: problem}
	if at >= 0 {
		fault.Line, fault.Column = lineColumn(data, at)
	}
	return fault
}
