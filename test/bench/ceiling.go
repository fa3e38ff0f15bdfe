package main

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/labstack/echo/v4"
)

const ceilingRole = "ceiling"

// posted is the body of a post, for a server that does nothing with it.
type posted struct {
	APIToken      string   `json:"apiToken"`
	WorkspaceID   string   `json:"workspaceId"`
	EnvironmentID string   `json:"environmentId"`
	TrafficTypeID string   `json:"trafficTypeId"`
	Verb          string   `json:"verb"`
	MPIDs         []string `json:"mpids"`
	Segment       string   `json:"segment"`
}

// serveCeiling is the most that Echo over TLS can do with such a post: read it,
// decode it with the faster of the JSON libraries, answer. No middleware, no
// limits, no disk. With a file, the least that durability adds to that: the body
// is on disk before the answer. With a time in place of the file, what of it is
// the waiting alone: posts are answered together, so long after the first.
func serveCeiling(args []string) error {
	if len(args) < 1 || len(args) > 2 {
		return errors.New("ceiling: a key file, and a file to write to, a time or nothing")
	}
	keep := func([]byte) error { return nil }
	if len(args) == 2 {
		log, err := openLog(args[1])
		if err != nil {
			return err
		}
		keep = log.append
	}
	e := echo.New()
	e.POST("/audiences", func(c echo.Context) error {
		body, err := io.ReadAll(c.Request().Body)
		if err != nil {
			return err
		}
		var p posted
		if err := json.Unmarshal(body, &p); err != nil {
			return err
		}
		if err := keep(body); err != nil {
			return err
		}
		return c.String(http.StatusOK, "MPIDs "+p.Verb)
	})
	server := &http.Server{Handler: e, ErrorLog: log.New(io.Discard, "", 0)}
	return serveTLS(args[0], func(listener net.Listener) { _ = server.Serve(listener) }) // ends with the process
}
