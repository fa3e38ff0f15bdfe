package keyfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// pemParts are a leaf, its intermediate and the leaf's key, without last line ends.
func pemParts(t *testing.T) []string {
	t.Helper()
	text := strings.TrimSpace(string(fixture(t, "pem-sec1.pem")))
	parts := strings.SplitAfter(text, "-----\n-----BEGIN")
	if len(parts) != 3 {
		t.Fatalf("%d blocks", len(parts))
	}
	for i := range parts {
		parts[i] = strings.TrimSuffix(parts[i], "\n-----BEGIN")
		if i > 0 {
			parts[i] = "-----BEGIN" + parts[i]
		}
	}
	return parts
}

var orders = [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}

// TestPEMForms: in every order of the blocks, and however they were joined, edited
// or copied, the whole chain is served.
func TestPEMForms(t *testing.T) {
	const mark = "\ufeff"
	parts := pemParts(t)
	join := func(separator string) func([]string) string {
		return func(blocks []string) string { return strings.Join(blocks, separator) }
	}
	lines := func(change func(string) string) func([]string) string {
		return func(blocks []string) string {
			all := strings.Split(strings.Join(blocks, "\n"), "\n")
			for i := range all {
				all[i] = change(all[i])
			}
			return strings.Join(all, "\n")
		}
	}
	for name, form := range map[string]func([]string) string{
		"plain":             join("\n"),
		"glued":             join(""),
		"glued by a blank":  join(" "),
		"glued by a mark":   join(mark),
		"marks":             func(b []string) string { return mark + strings.Join(b, "\n"+mark) },
		"CRLF":              func(b []string) string { return strings.ReplaceAll(strings.Join(b, "\n")+"\n", "\n", "\r\n") },
		"CR":                func(b []string) string { return strings.ReplaceAll(strings.Join(b, "\n")+"\n", "\n", "\r") },
		"CR and CRLF glued": func(b []string) string { return strings.ReplaceAll(strings.Join(b, ""), "\n", "\r") },
		"indented":          lines(func(s string) string { return "\t  " + s }),
		"blanks at the end": lines(func(s string) string { return s + "  \t" }),
		"blank lines":       lines(func(s string) string { return s + "\n\n" }),
		"text around":       func(b []string) string { return "# ours\n" + strings.Join(b, "\nnot a block\n") + "\nthe end" },
		"bag attributes":    join("\nBag Attributes\n    friendlyName: x\n    localKeyID: 01 02\nsubject=CN = x\nissuer=CN = y\n"),
		"one line each": func(b []string) string {
			for i, block := range b {
				all := strings.Split(block, "\n")
				b[i] = all[0] + strings.Join(all[1:len(all)-1], "") + all[len(all)-1]
			}
			return strings.Join(b, "")
		},
		"parameters too": join("\n-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"),
		"headers": func(b []string) string {
			return strings.ReplaceAll(strings.Join(b, "\n"), "CERTIFICATE-----\nMII", "CERTIFICATE-----\nComment: made by hand\nOther: x\n\nMII")
		},
		"X509 CERTIFICATE": func(b []string) string {
			return strings.ReplaceAll(strings.Join(b, "\n"), " CERTIFICATE-", " X509 CERTIFICATE-")
		},
		"twice": func(b []string) string { return strings.Join(append(b, b[:2]...), "\n") },
	} {
		for _, order := range orders {
			var blocks []string
			for _, i := range order {
				blocks = append(blocks, parts[i])
			}
			entry, err := Parse([]byte(form(blocks)), Options{})
			if err != nil || len(entry.Certificate.Certificate) != 2 || entry.Certificate.Leaf.Subject.CommonName != "leaf" || len(entry.Notes) > 0 {
				t.Errorf("%s, order %v: chain of %d, notes %q, %v", name, order, len(entry.Certificate.Certificate), entry.Notes, err)
			}
		}
	}
}

// TestPEMRefused: a block that cannot be read is never passed over, as the chain
// would be shorter than what is in the file.
func TestPEMRefused(t *testing.T) {
	parts := pemParts(t)
	whole := strings.Join([]string{parts[0], parts[1], parts[2]}, "\n")
	upper := strings.Split(parts[1], "\n")
	replaced := func(block string) string { return strings.Join([]string{parts[0], block, parts[2]}, "\n") }
	for name, text := range map[string]string{
		"five dashes between two":  strings.ReplaceAll(whole, "-----\n-----BEGIN", "-----BEGIN"),
		"a character that is none": replaced(strings.Replace(parts[1], upper[2], "!"+upper[2][1:], 1)),
		"a line that is missing":   replaced(strings.Replace(parts[1], upper[2]+"\n", "", 1)),
		"no END":                   replaced(strings.Join(upper[:len(upper)-1], "\n")),
		"an END of another kind":   replaced(strings.Replace(parts[1], "END CERTIFICATE", "END PRIVATE KEY", 1)),
		"a BEGIN with few dashes":  replaced(parts[1][2:]),
		"an END with few dashes":   replaced(strings.TrimSuffix(parts[1], "--")),
		"quoted":                   "> " + strings.ReplaceAll(whole, "\n", "\n> "),
		"PKCS7":                    replaced(strings.ReplaceAll(parts[1], "CERTIFICATE", "PKCS7")),
		"line ends written out":    strings.ReplaceAll(whole, "\n", `\n`),
	} {
		if entry, err := Parse([]byte(text), Options{}); err == nil {
			t.Errorf("%s: served with a chain of %d", name, len(entry.Certificate.Certificate))
		} else if errors.Is(err, ErrNoPrivateKey) || errors.Is(err, ErrNoMatch) || errors.Is(err, ErrNotAKeyFile) {
			t.Errorf("%s: not the true reason: %v", name, err)
		}
	}
	_, err := Parse([]byte(replaced(strings.Replace(parts[1], upper[2], "!"+upper[2][1:], 1))), Options{})
	if line := 2 + strings.Count(parts[0], "\n"); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("line %d:", line)) {
		t.Errorf("%v; the block begins at line %d", err, line)
	}
}

// TestPEMEncodings are named, with the command that converts them.
func TestPEMEncodings(t *testing.T) {
	text := string(fixture(t, "pem-sec1.pem"))
	encode := func(mark bool, at ...int) []byte {
		var out []byte
		units := utf16.Encode([]rune(text))
		if mark {
			units = slices.Concat([]uint16{0xfeff}, units)
		}
		for _, unit := range units {
			wide := make([]byte, len(at))
			wide[at[0]], wide[at[1]] = byte(unit), byte(unit>>8)
			out = append(out, wide...)
		}
		return out
	}
	for name, data := range map[string][]byte{
		"UTF-16LE": encode(false, 0, 1), "UTF-16LE ": encode(true, 0, 1),
		"UTF-16BE": encode(false, 1, 0), "UTF-16BE ": encode(true, 1, 0),
		"UTF-32": encode(true, 0, 1, 2, 3), "UTF-32 ": encode(true, 3, 2, 1, 0),
	} {
		_, err := Parse(data, Options{})
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), strings.TrimSpace(name)) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
