package sandbox

import (
	"io"
	"net/http"

	"audiences/audience"

	"github.com/go-json-experiment/json"
)

// changeBody is the body of uploadKeys and removeKeys (Split docs: segments).
type changeBody struct {
	Keys    []string `json:"keys"`
	Comment string   `json:"comment"`
	Title   string   `json:"title"`
}

// body reads the whole body within the limit.
func (s *Split) body(x *exchange) (data []byte, refusal answer, ok bool) {
	data, err := io.ReadAll(io.LimitReader(x.r.Body, int64(s.opts.MaxBody)+1))
	switch {
	case err != nil:
		return nil, cut(OutcomeGone), false
	case len(data) > s.opts.MaxBody:
		return nil, s.refuse(http.StatusRequestEntityTooLarge, "Request entity too large"), false
	}
	return data, answer{}, true
}

func (s *Split) readChange(x *exchange) (refusal answer, ok bool) {
	data, refusal, ok := s.body(x)
	if !ok {
		return refusal, false
	}
	body, keys, valid, err := decodeChange(data)
	if err != nil {
		s.blame(x.violation(NotAsDocumented, "", "body is not what the call takes"))
		return s.refuse(http.StatusBadRequest, "Invalid JSON"), false
	}
	x.body, x.keys, x.badKey = body, keys, !valid
	s.blame(s.judgeBody(x)...)
	return answer{}, true
}

// decodeChange returns the body and its keys; valid is false when one of them
// can be no key, which is then missing from keys.
func decodeChange(data []byte) (body changeBody, keys []audience.Key, valid bool, err error) {
	if err := json.Unmarshal(data, &body); err != nil {
		return changeBody{}, nil, false, err
	}
	keys = make([]audience.Key, 0, len(body.Keys))
	for _, text := range body.Keys {
		if key, err := audience.ParseKey(text); err == nil {
			keys = append(keys, key)
		}
	}
	return body, keys, len(keys) == len(body.Keys), nil
}

// readName takes the segment's name from where a create call has it: the body.
func (s *Split) readName(x *exchange) (refusal answer, ok bool) {
	data, refusal, ok := s.body(x)
	if !ok {
		return refusal, false
	}
	var body struct {
		Name string `json:"name"`
	}
	if err := json.Unmarshal(data, &body); err != nil {
		return s.refuse(http.StatusBadRequest, "Invalid JSON"), false
	}
	x.target.Segment = body.Name
	return answer{}, true
}

// drain is for calls whose body, if any, says nothing.
func (s *Split) drain(x *exchange) (refusal answer, ok bool) {
	_, refusal, ok = s.body(x)
	return refusal, ok
}
