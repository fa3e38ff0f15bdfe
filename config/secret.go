package config

import (
	"fmt"
	"io"
	"log/slog"
)

const hidden = "[secret]"

// Secret is a token or password. However it is printed, logged or marshalled, it
// does not show (I7); Reveal is the one way out. Secrets compare with ==.
type Secret struct{ text string }

// NewSecret hides the text.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return s.text }

// String hides the secret (I7).
func (s Secret) String() string { return hidden }

// GoString hides the secret (I7).
func (s Secret) GoString() string { return hidden }

// Format hides the secret under every verb (I7): with String and GoString alone,
// a mistaken %d would still print it.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// LogValue hides the secret (I7).
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the secret (I7), in JSON too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
