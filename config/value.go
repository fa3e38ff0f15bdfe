package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tailscale/hujson"
)

// value is what one place says about one key.
type value struct {
	kind hujson.Kind // of the JSON value; fromText for one without a type
	text string      // the text of a string, the literal of a number, an object or array as it stands there
	dir  string      // what a relative path is relative to
}

// fromText marks values of the environment, of secret files and of the table of
// defaults: text that stands for whatever type the key has.
const fromText hujson.Kind = 0

// errWrong lets the fault be worded from what would be right and the value.
var errWrong = errors.New("wrong value")

// flag takes true or false, also as text.
func (v value) flag() (bool, error) {
	literal := v.isText() || v.kind == 't' || v.kind == 'f'
	if !literal || v.text != "true" && v.text != "false" {
		return false, errWrong
	}
	return v.text == "true", nil
}

// isText reports whether the value can be taken as text.
func (v value) isText() bool { return v.kind == fromText || v.kind == '"' }

// isNumeral reports whether the value may hold a number: a number, or text, since
// the server before this one took "10" for 10.
func (v value) isNumeral() bool {
	return (v.isText() || v.kind == '0') && v.text != "" && strings.Trim(v.text, "0123456789.eE+-") == ""
}

// shown is the value as a fault shows it.
func (v value) shown() string {
	switch {
	case v.isText():
		return quoted(v.text)
	case v.kind == '{':
		return "an object"
	case v.kind == '[':
		return "an array"
	case len(v.text) > 40:
		return v.text[:40] + "..."
	}
	return v.text
}

func (v value) whole(lowest, highest int64) (int64, error) {
	if strings.HasPrefix(v.text, "tcp://") {
		// With its companions such a value is a service link and never comes here.
		return 0, errors.New("not an address; Kubernetes makes such a value for a service named audiences, unless the pod sets enableServiceLinks: false")
	}
	n, err := strconv.ParseInt(v.text, 10, 64)
	if !v.isNumeral() || err != nil || n < lowest || n > highest {
		return 0, errWrong
	}
	return n, nil
}

func (v value) number(lowest, highest float64) (float64, error) {
	n, err := strconv.ParseFloat(v.text, 64)
	if !v.isNumeral() || err != nil || n < lowest || n > highest {
		return 0, errWrong
	}
	return n, nil
}

// duration takes seconds, or text like "1m30s".
func (v value) duration(shortest, longest time.Duration) (time.Duration, error) {
	var d time.Duration
	if v.isNumeral() {
		seconds, err := v.number(0, longest.Seconds())
		if err != nil {
			return 0, err
		}
		d = time.Duration(math.Round(seconds * float64(time.Second)))
	} else {
		parsed, err := time.ParseDuration(v.text)
		if !v.isText() || err != nil {
			return 0, errWrong
		}
		d = parsed
	}
	if d < shortest || d > longest {
		return 0, errWrong
	}
	return d, nil
}

// path makes a relative path relative to the configuration's directory.
func (v value) path() (string, error) {
	switch {
	case !v.isText() || strings.ContainsRune(v.text, 0):
		return "", errWrong
	case v.text == "" || filepath.IsAbs(v.text):
		return v.text, nil
	}
	return filepath.Join(v.dir, v.text), nil
}

// httpURL takes the base address of an API. Its errors do not repeat the value,
// which may hold a password.
// maxPaths bounds a list of files.
const maxPaths = 64

// paths is a list of them, each as path takes it; none may be empty.
func (v value) paths() ([]string, error) {
	if v.kind != '[' && !v.isText() {
		return nil, errWrong
	}
	var list []*string
	standard, err := hujson.Standardize([]byte(v.text))
	if err != nil || json.Unmarshal(standard, &list) != nil || list == nil {
		return nil, errors.New("it is not a JSON list of paths")
	}
	if len(list) > maxPaths {
		return nil, fmt.Errorf("it has more than %d paths", maxPaths)
	}
	var paths []string
	for i, text := range list {
		if text == nil || *text == "" {
			return nil, fmt.Errorf("path %d is empty", i+1)
		}
		path, err := value{text: *text, kind: fromText, dir: v.dir}.path()
		if err != nil {
			return nil, fmt.Errorf("path %d is none", i+1)
		}
		if slices.Contains(paths, path) {
			return nil, fmt.Errorf("path %d is there twice", i+1)
		}
		paths = append(paths, path)
	}
	return paths, nil
}

func (v value) httpURL() (string, error) {
	if !v.isText() {
		return "", errWrong
	}
	u, err := url.Parse(v.text)
	switch {
	case err != nil:
		return "", errors.New("it cannot be read as a URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return "", errors.New("it does not begin with https:// or http://")
	case u.Hostname() == "":
		return "", errors.New("it names no host")
	case u.User != nil:
		return "", errors.New("it holds a user name")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(v.text, "#"):
		return "", errors.New("it has something after ? or #")
	case u.Port() != "" && !isPort(u.Port()):
		return "", errors.New("its port is not one of 1 to 65535")
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// listenAddress takes host:port, or nothing for "do not listen".
func (v value) listenAddress() (string, error) {
	if !v.isText() {
		return "", errWrong
	}
	if v.text == "" {
		return "", nil
	}
	host, port, err := net.SplitHostPort(v.text)
	if err != nil || strings.ContainsAny(host, " /@\t") || (port != "0" && !isPort(port)) {
		return "", errWrong
	}
	return v.text, nil
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

// headerValue takes what can arrive as the value of an HTTP header: blanks around
// it would be lost on the way, so that it could never be matched.
func headerValue(s string) error {
	switch {
	case strings.TrimSpace(s) == "":
		return errors.New("it is blank")
	case strings.TrimSpace(s) != s:
		return errors.New("it has blanks or line ends around it")
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return fmt.Errorf("its character number %d is not printable ASCII", i+1)
		}
	}
	return nil
}
