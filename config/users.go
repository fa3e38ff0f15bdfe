package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/tailscale/hujson"
	"golang.org/x/crypto/bcrypt"
)

// Limits of a list of users.
const (
	maxUsers     = 100
	maxUserName  = 64 // characters
	leastToken   = 32 // characters; 128 bits in hexadecimal digits
	leastCost    = 10 // of a bcrypt hash
	greatestCost = 14 // a second or more of a processor for each login
)

// AdminUser is somebody who may come in on the admin address: a person with a password,
// or a program with a token.
type AdminUser struct {
	Name         string
	Role         string // "viewer", "operator"
	PasswordHash Secret // by bcrypt; empty if there is a Token
	Token        Secret // empty if there is a PasswordHash
}

// users takes a list of users.
func (v value) users() ([]AdminUser, error) {
	return named(v, "user", maxUsers, userOf, func(u AdminUser) string { return u.Name })
}

// named takes a list of objects, each with a name of its own. Its errors repeat nothing of
// it: whatever stands there may be a secret (I7).
func named[T any](v value, what string, most int, read func(hujson.Value) (T, error), nameOf func(T) string) ([]T, error) {
	if v.kind != '[' && !v.isText() {
		return nil, errWrong
	}
	root, err := hujson.Parse([]byte(v.text + "\n")) // the line end is for a comment at the end
	if err != nil {
		return nil, errors.New("it is not JSON")
	}
	list, ok := root.Value.(*hujson.Array)
	switch {
	case !ok:
		return nil, errWrong
	case len(list.Elements) > most:
		return nil, fmt.Errorf("it has more than %d %ss", most, what)
	}
	var all []T
	names := map[string]int{}
	for i, element := range list.Elements {
		one, err := read(element)
		name := nameOf(one)
		if err == nil && names[name] > 0 {
			err = fmt.Errorf("its name is that of %s %d", what, names[name])
		}
		if err != nil {
			return nil, fmt.Errorf("%s %d: %w", what, i+1, err)
		}
		names[name] = i + 1
		all = append(all, one)
	}
	return all, nil
}

func userOf(element hujson.Value) (u AdminUser, err error) {
	fields, err := textsOf(element, "name", "role", "passwordHash", "token")
	if err != nil {
		return u, err
	}
	hash, hasHash := fields["passwordHash"]
	token, hasToken := fields["token"]
	switch {
	case !isUserName(fields["name"]):
		return u, fmt.Errorf("name must be 1 to %d printable characters without blanks around them", maxUserName)
	case fields["role"] != "viewer" && fields["role"] != "operator":
		return u, errors.New("role must be viewer or operator")
	case hasHash == hasToken:
		return u, errors.New("one of passwordHash and token must be there, and not both")
	case hasToken && (headerValue(token) != nil || len(token) < leastToken):
		return u, fmt.Errorf("token must be %d characters of printable ASCII at least, as openssl rand -hex 32 makes them", leastToken)
	case hasHash && !isHash(hash):
		return u, fmt.Errorf("passwordHash must be a bcrypt hash of a cost from %d to %d, as audiences hash-password makes it", leastCost, greatestCost)
	}
	return AdminUser{Name: fields["name"], Role: fields["role"], PasswordHash: NewSecret(hash), Token: NewSecret(token)}, nil
}

// textsOf are the members of an object whose values are all texts, each with one of
// these names and none twice.
func textsOf(element hujson.Value, names ...string) (map[string]string, error) {
	object, ok := element.Value.(*hujson.Object)
	if !ok {
		return nil, errors.New("it must be an object in braces")
	}
	known := map[string]bool{}
	for _, name := range names {
		known[name] = true
	}
	fields := map[string]string{}
	for _, m := range object.Members {
		name := m.Name.Value.(hujson.Literal).String()
		text, isLiteral := m.Value.Value.(hujson.Literal)
		_, again := fields[name]
		switch {
		case !known[name]:
			return nil, errors.New("it has an unknown field; the fields are " + strings.Join(names, ", "))
		case again:
			return nil, fmt.Errorf("%s stands there twice", name)
		case !isLiteral || text.Kind() != '"':
			return nil, fmt.Errorf("%s must be text in double quotes", name)
		}
		fields[name] = text.String()
	}
	return fields, nil
}

func isUserName(name string) bool {
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	return name != "" && len([]rune(name)) <= maxUserName && strings.TrimSpace(name) == name && strings.IndexFunc(name, unprintable) < 0
}

// bcryptForm is a whole hash; the package asks for no more than a beginning.
var bcryptForm = regexp.MustCompile(`^\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}$`)

func isHash(text string) bool {
	cost, err := bcrypt.Cost([]byte(text))
	return err == nil && bcryptForm.MatchString(text) && cost >= leastCost && cost <= greatestCost
}
