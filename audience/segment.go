package audience

import (
	"errors"
	"strings"
)

// Segment names one Split segment as one tenant writes it. It is comparable and
// serves as a map key. Workspace and TrafficType take no part in the calls the
// relay makes, but a request that names others is another segment, as it was
// for the server that this one replaces.
type Segment struct {
	Tenant      TenantID
	Workspace   string // may be empty
	Environment string
	TrafficType string // may be empty
	Name        string
}

// MaxNameLength is the greatest length of a segment name or an id, in bytes.
// Split publishes no limit; this one only bounds what is stored per segment.
const MaxNameLength = 512

// Errors of ValidSegmentName and ValidID; they say what would be right and do
// not repeat the input.
var (
	ErrBadSegmentName = errors.New("must begin with a letter and hold only letters, digits, _ and - (at most 512)")
	ErrBadID          = errors.New("must begin with a letter or digit and hold only letters, digits, . _ ~ and - (at most 512)")
)

// ValidSegmentName checks a segment's name against Split's rule
// ^[A-Za-z][A-Za-z0-9_-]*$ (Split docs: segments).
func ValidSegmentName(s string) error {
	if !matches(s, isLetter, "_-") {
		return ErrBadSegmentName
	}
	return nil
}

// ValidID checks an environment, workspace or traffic type id: UUIDs today,
// short ids in older organisations. The first character is a letter or digit,
// so that an id can never be "." or ".." in a URL's path.
func ValidID(s string) error {
	if !matches(s, func(c byte) bool { return isLetter(c) || isDigit(c) }, "._~-") {
		return ErrBadID
	}
	return nil
}

func matches(s string, first func(byte) bool, punctuation string) bool {
	if s == "" || len(s) > MaxNameLength || !first(s[0]) {
		return false
	}
	for i := 1; i < len(s); i++ {
		if c := s[i]; !isLetter(c) && !isDigit(c) && strings.IndexByte(punctuation, c) < 0 {
			return false
		}
	}
	return true
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
