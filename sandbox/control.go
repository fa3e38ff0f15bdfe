package sandbox

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxControlBody bounds what the control API reads, in bytes.
const maxControlBody = 1 << 20

// seconds writes and reads durations as numbers of seconds.
var seconds = json.JoinOptions(
	json.WithMarshalers(json.MarshalToFunc(func(enc *jsontext.Encoder, d time.Duration) error {
		return enc.WriteToken(jsontext.Float(d.Seconds()))
	})),
	json.WithUnmarshalers(json.UnmarshalFromFunc(func(dec *jsontext.Decoder, d *time.Duration) error {
		var s float64
		if err := json.UnmarshalDecode(dec, &s); err != nil {
			return err
		}
		if s < 0 || s > math.MaxInt64/1e10 {
			return errors.New("must be a number of seconds, 0 or more")
		}
		*d = time.Duration(math.Round(s * 1e9))
		return nil
	})),
)

// state is the answer of GET /sandbox/state.
type state struct {
	Counts     Counts         `json:"counts"`
	Segments   []SegmentState `json:"segments"`
	Limits     Limits         `json:"limits"`
	Faults     []faultState   `json:"faults"`
	Violations []Violation    `json:"violations"`
	Broken     int            `json:"violationsTotal"`
}

type faultState struct {
	ID   int `json:"id"`
	Used int `json:"used"`
	Rule
}

func (s *Split) routeControl() {
	route := func(pattern string, serve func(*http.Request) (any, error)) {
		s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			body, err := serve(r)
			if err != nil {
				reply(http.StatusBadRequest, failure{Code: http.StatusBadRequest, Message: err.Error()}, "").write(w)
				return
			}
			reply(http.StatusOK, body, "").write(w)
		})
	}
	route("GET /sandbox/state", s.showState)
	route("GET /sandbox/calls", func(*http.Request) (any, error) { return s.Calls(), nil })
	route("GET /sandbox/segments/{environment}/{segment}", s.showSegment)
	route("POST /sandbox/faults", s.postFault)
	route("DELETE /sandbox/faults", func(*http.Request) (any, error) { s.ClearFaults(); return done, nil })
	route("DELETE /sandbox/faults/{id}", s.deleteFault)
	route("POST /sandbox/limits", s.postLimits)
	route("POST /sandbox/organisations", s.postOrganisation)
	route("POST /sandbox/reset", func(*http.Request) (any, error) { s.Reset(); return done, nil })
	s.mux.Handle("/sandbox/", http.NotFoundHandler())
}

var done = map[string]bool{"done": true}

func (s *Split) showState(*http.Request) (any, error) {
	st := state{Counts: s.Counts(), Segments: s.Segments(), Violations: s.Violations()}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Limits, st.Broken = s.limits, s.verdicts.total
	for _, r := range s.rules {
		if !r.spent(time.Now()) {
			st.Faults = append(st.Faults, faultState{r.id, r.used, r.Rule})
		}
	}
	return st, nil
}

func (s *Split) showSegment(r *http.Request) (any, error) {
	environment, name := r.PathValue("environment"), r.PathValue("segment")
	org := r.URL.Query().Get("organisation")
	if org == "" {
		for _, seg := range s.Segments() {
			if seg.Environment == environment && seg.Segment == name {
				if org != "" {
					return nil, errors.New("several organisations have that segment; add ?organisation=NAME")
				}
				org = seg.Organisation
			}
		}
	}
	keys := s.Members(org, environment, name)
	return map[string]any{"organisation": org, "count": len(keys), "keys": keys}, nil
}

func (s *Split) postFault(r *http.Request) (any, error) {
	var rule Rule
	if err := readControl(r, &rule); err != nil {
		return nil, err
	}
	if err := rule.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return map[string]int{"id": s.addRule(rule)}, nil
}

func (s *Split) deleteFault(r *http.Request) (any, error) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		return nil, errors.New("a fault's id is a number")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeRules(func(r *rule) bool { return r.id == id })
	return done, nil
}

func (s *Split) postLimits(r *http.Request) (any, error) {
	var l Limits
	if err := readControl(r, &l); err != nil {
		return nil, err
	}
	s.SetLimits(l)
	return done, nil
}

func (s *Split) postOrganisation(r *http.Request) (any, error) {
	var body struct {
		Token        string `json:"token"`
		Organisation string `json:"organisation"`
		SameAs       string `json:"sameAs"`
	}
	if err := readControl(r, &body); err != nil {
		return nil, err
	}
	switch {
	case body.Token == "" || (body.Organisation == "") == (body.SameAs == ""):
		return nil, errors.New("needed are a token and either the name of its organisation or, in sameAs, another token of it")
	case body.SameAs != "":
		s.Rotate(body.SameAs, body.Token)
	default:
		s.Assign(body.Token, body.Organisation)
	}
	return done, nil
}

func readControl(r *http.Request, into any) error {
	data, err := io.ReadAll(io.LimitReader(r.Body, maxControlBody))
	if err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	if err := json.Unmarshal(data, into, seconds, json.RejectUnknownMembers(true)); err != nil {
		return fmt.Errorf("decode body: %w", err)
	}
	return nil
}
