package audience

import (
	"fmt"
	"io"
	"log/slog"
	"reflect"
)

// Hidden is embedded in a struct whose fields hold keys, for which T is the struct
// itself: whatever prints, logs or marshals the struct gets the name of its type
// and nothing else (I7). A key of its own hides itself, but no method of it is
// asked where it lies in an unexported field.
type Hidden[T any] struct{}

// String is the name of the type.
func (Hidden[T]) String() string { return reflect.TypeFor[T]().String() }

// Format writes the name of the type, whatever the verb.
func (h Hidden[T]) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, h.String()) }

// LogValue is the name of the type.
func (h Hidden[T]) LogValue() slog.Value { return slog.StringValue(h.String()) }

// MarshalText writes the name of the type, also where the struct is part of a JSON
// text.
func (h Hidden[T]) MarshalText() ([]byte, error) { return []byte(h.String()), nil }
