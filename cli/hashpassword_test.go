package cli

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

func TestHashPassword(t *testing.T) {
	for given, want := range map[string]string{ // "": refused
		"correct horse\n":                    "correct horse",
		" correct horse \r\nthe next line":   " correct horse ",
		"no line end here":                   "no line end here",
		strings.Repeat("x", 72) + "\n":       strings.Repeat("x", 72),
		strings.Repeat("x", 73) + "\n":       "",
		strings.Repeat("ä", 37) + "\n":       "",
		"elevenchars\n":                      "",
		"\n":                                 "",
		"":                                   "",
		strings.Repeat("long", 1<<20) + "\n": "",
	} {
		var out strings.Builder
		err := hashPassword(strings.NewReader(given), &out)
		if want == "" {
			if !errors.Is(err, errUsage) || out.Len() > 0 || len(given) > 1 && strings.Contains(err.Error(), strings.TrimSpace(given)) {
				t.Errorf("%.40q: %v %q", given, err, out.String())
			}
			continue
		}
		hash := strings.TrimSuffix(out.String(), "\n")
		if cost, _ := bcrypt.Cost([]byte(hash)); err != nil || cost != hashCost || bcrypt.CompareHashAndPassword([]byte(hash), []byte(want)) != nil {
			t.Errorf("%.40q: %v %q", given, err, hash)
		}
	}
}
