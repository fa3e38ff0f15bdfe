package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"

	"audiences/sandbox"
	"audiences/test/harness"
)

const splitRole = "split"

// sum is the number of keys of a segment and their sum, which tells, with keys
// that are all different, whether they are the right ones.
type sum struct {
	Keys int    `json:"keys"`
	Sum  uint64 `json:"sum"`
}

// splitState is how far the look-alike is: cheap to ask for, unlike its own state.
type splitState struct {
	Applied    int      `json:"applied"` // calls
	Keys       int      `json:"keys"`    // in them; a chunk that was sent twice counts twice
	Violations []string `json:"violations"`
}

// serveSplit is the look-alike, with room for everything, in a process of its own.
func serveSplit() error {
	split, err := sandbox.Start(sandbox.Options{MaxMembers: 1 << 30, CallLog: 1})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, _ *http.Request) {
		counts := split.Counts()
		state := splitState{Applied: counts.Applied, Keys: counts.Keys}
		for _, violation := range split.Violations() {
			state.Violations = append(state.Violations, fmt.Sprint(violation))
		}
		_ = json.NewEncoder(w).Encode(state) // fails only when the caller has gone
	})
	mux.HandleFunc("GET /sums", func(w http.ResponseWriter, _ *http.Request) {
		sums, err := sumsOf(split)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(sums)
	})
	go func() { _ = http.Serve(listener, mux) }() // ends with the process
	return tell(harness.Addresses{Split: split.URL, Watch: "http://" + listener.Addr().String()})
}

func sumsOf(split *sandbox.Server) (map[string]sum, error) {
	sums := map[string]sum{}
	for _, segment := range split.Segments() {
		var s sum
		for _, text := range split.Members(segment.Organisation, segment.Environment, segment.Segment) {
			key, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return nil, errors.New("a key that was never posted")
			}
			s.Keys++
			s.Sum += uint64(key)
		}
		sums[segment.Segment] = s
	}
	return sums, nil
}

// tell is how a role says where it listens; it then waits for its parent's end.
func tell(at harness.Addresses) error {
	text, err := json.Marshal(at)
	if err != nil {
		return err
	}
	fmt.Println(string(text))
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
