package sandbox

import (
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"time"

	"audiences/audience"
)

// maxPage is the most keys that one page holds (Split docs: get segment keys).
const maxPage = 100

// Messages that Split is not documented to answer with; guesses of ours.
const (
	guessFull    = "Segment would exceed the maximum number of keys"
	guessTooMany = "Too many keys in one request"
	guessBadKey  = "Invalid key"
	guessNoKeys  = "No keys provided"
)

func (s *Split) routeAPI() {
	const base = "/internal/api/v2/segments/"
	s.handle("PUT "+base+"{environment}/{segment}/uploadKeys", operation{"uploadKeys", audience.Add, (*Split).readChange, (*Split).change})
	s.handle("PUT "+base+"{environment}/{segment}/removeKeys", operation{"removeKeys", audience.Delete, (*Split).readChange, (*Split).change})
	s.handle("GET "+base+"{environment}/{segment}/keys", operation{"keys", 0, (*Split).drain, (*Split).page})
	s.handle("POST "+base+"ws/{workspace}/trafficTypes/{trafficType}", operation{"create", 0, (*Split).readName, (*Split).create})
	s.handle("POST "+base+"{environment}/{segment}", operation{"activate", 0, (*Split).drain, (*Split).activate})
	s.handle("DELETE "+base+"ws/{workspace}/{segment}", operation{"delete", 0, (*Split).drain, (*Split).remove})
	s.handle("/", unknownPath)
}

var unknownPath = operation{"unknown", 0, (*Split).drain, (*Split).unknown}

func (s *Split) handle(pattern string, op operation) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.serveCall(op, w, r) })
}

// segmentObject is what Split shows of a segment (Split docs: segments).
type segmentObject struct {
	Name        string    `json:"name"`
	Environment *named    `json:"environment,omitzero"`
	TrafficType *named    `json:"trafficType,omitzero"`
	Created     time.Time `json:"creationTime,omitzero"`
}

type named struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

func (s *Split) object(x *exchange, seg *segment) segmentObject {
	t := x.target
	def := s.organisation(t.Organisation).defined[t.Segment]
	return segmentObject{
		Name:        t.Segment,
		Environment: &named{t.Environment, t.Environment},
		TrafficType: &named{def.trafficType, def.trafficType},
		Created:     seg.activated,
	}
}

func (s *Split) change(x *exchange) answer {
	seg := s.find(x.target, x.start)
	switch {
	case seg == nil:
		return s.notFound()
	case s.opts.RequireComments && (x.body.Title == "" || x.body.Comment == ""):
		return raw(http.StatusBadRequest, "", nil, OutcomeRefused)
	case len(x.body.Keys) == 0:
		return s.refuse(http.StatusBadRequest, guessNoKeys)
	case len(x.body.Keys) > s.opts.MaxKeys:
		return s.refuse(http.StatusBadRequest, guessTooMany)
	case x.badKey:
		return s.refuse(http.StatusBadRequest, guessBadKey)
	case x.verb == audience.Add && x.r.URL.Query().Get("replace") == "true":
		seg.members = audience.KeySet{} // what Split does, and why it is a violation
	}
	if x.verb == audience.Add && !seg.fits(x.keys, s.opts.MaxMembers) {
		return s.refuse(http.StatusBadRequest, guessFull)
	}
	seg.apply(x.verb, x.keys, time.Now(), s.opts.History)
	x.applied = true
	if x.verb == audience.Add {
		return reply(http.StatusOK, s.object(x, seg), OutcomeOK)
	}
	return reply(http.StatusOK, s.failure(http.StatusOK, fmt.Sprintf("Deleted %d keys", len(x.keys))), OutcomeOK)
}

// page answers keys in byte order, so that paging through a segment at rest
// shows every key once.
func (s *Split) page(x *exchange) answer {
	limit, err := queryInt(x.r, "limit", maxPage)
	offset, err2 := queryInt(x.r, "offset", 0)
	if err != nil || err2 != nil || limit < 1 || limit > maxPage || offset < 0 {
		return s.refuse(http.StatusBadRequest, "limit must be 1 to 100, offset at least 0")
	}
	seg := s.find(x.target, x.start)
	if seg == nil {
		return s.notFound()
	}
	type keyObject struct {
		Key string `json:"key"`
	}
	all := seg.texts()
	first := min(offset, len(all))
	keys := []keyObject{}
	for _, text := range all[first:min(first+limit, len(all))] {
		keys = append(keys, keyObject{text})
	}
	return reply(http.StatusOK, struct {
		Keys   []keyObject `json:"keys"`
		Count  int         `json:"count"`
		Offset int         `json:"offset"`
		Limit  int         `json:"limit"`
	}{keys, len(all), offset, limit}, OutcomeOK)
}

func queryInt(r *http.Request, name string, absent int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return absent, nil
	}
	return strconv.Atoi(text)
}

func (s *Split) create(x *exchange) answer {
	name := x.target.Segment
	if audience.ValidSegmentName(name) != nil {
		return s.refuse(http.StatusBadRequest, "Invalid segment name")
	}
	org := s.organisation(x.target.Organisation)
	if _, ok := org.defined[name]; ok {
		return s.refuse(http.StatusConflict, "Segment already exists")
	}
	def := definition{x.r.PathValue("workspace"), x.r.PathValue("trafficType")}
	org.defined[name] = def
	x.applied = true
	return reply(http.StatusOK, segmentObject{Name: name, TrafficType: &named{def.trafficType, def.trafficType}, Created: x.start}, OutcomeOK)
}

func (s *Split) activate(x *exchange) answer {
	org := s.organisation(x.target.Organisation)
	seg := s.find(x.target, x.start)
	if seg == nil {
		if _, ok := org.defined[x.target.Segment]; !ok || audience.ValidID(x.target.Environment) != nil {
			return s.notFound()
		}
		seg = &segment{activated: x.start}
		org.segments[place{x.target.Environment, x.target.Segment}] = seg
	}
	x.applied = true
	return reply(http.StatusOK, s.object(x, seg), OutcomeOK)
}

// remove deletes a segment with its members in every environment.
func (s *Split) remove(x *exchange) answer {
	org := s.organisation(x.target.Organisation)
	if _, ok := org.defined[x.target.Segment]; !ok {
		return s.notFound()
	}
	delete(org.defined, x.target.Segment)
	maps.DeleteFunc(org.segments, func(at place, _ *segment) bool { return at.name == x.target.Segment })
	x.applied = true
	return reply(http.StatusOK, true, OutcomeOK)
}

func (s *Split) unknown(x *exchange) answer {
	s.verdicts.add(x.violation(NotAsDocumented, "", x.r.Method+" of a path that is none of Split's"))
	return s.notFound()
}

func (s *Split) notFound() answer { return s.refuse(http.StatusNotFound, "Not found") }
