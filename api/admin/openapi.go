package admin

import (
	_ "embed"
	"encoding/json"
	"net/http"
)

// openAPIText describes the JSON API. TestOpenAPI makes it out of the routes and the Go
// types of what they take and answer, and compares.
//
//go:embed openapi.json
var openAPIText []byte

func openAPI(r *http.Request) (any, error) {
	_, err := parameters(r)
	return json.RawMessage(openAPIText), err
}
