package api

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/rs/zerolog"

	"audiences/api/connections"
	"audiences/audience"
	"audiences/logging"
)

// audiences takes one change. The order of the checks is the old server's:
// method, token, body, verb; admission stands before the body, which is what
// costs.
func (s *Server) audiences(c echo.Context) error {
	if c.Request().Method != http.MethodPost {
		return errMethod
	}
	defer s.metrics.timeAnswer(time.Now())
	done, err := s.authorize(c.Request())
	if err != nil {
		return err
	}
	defer done()
	s.noteShown(c)
	t, err := s.admit()
	if err != nil {
		return err
	}
	defer t.release()
	req, err := s.readRequest(c.Request(), &t)
	noteTenant(c, req.change.Segment.Tenant)
	if err != nil {
		return err
	}
	s.notePost(c, req)
	if err := s.accept(req, &t); err != nil {
		return err
	}
	s.noteIgnored(c, req)
	return c.String(http.StatusOK, "MPIDs "+req.verb)
}

// authorize looks for the token. While a request that has shown it is under way,
// which it is until done, its connection is not let go for another one's sake.
func (s *Server) authorize(r *http.Request) (done func(), err error) {
	if !s.tokens.matches(r.Header.Get(echo.HeaderAuthorization), time.Now()) {
		s.guesses.slow(r.Context(), r.RemoteAddr)
		return nil, errToken
	}
	conn := connections.From(r.Context())
	if !conn.Prove() {
		return nil, errLetGo // nobody would learn what became of it
	}
	return conn.Done, nil
}

// admit refuses what could not be taken anyway, before its body is read.
func (s *Server) admit() (ticket, error) {
	if s.draining.Load() {
		return ticket{}, errDraining
	}
	if err := s.options.Refuse(); err != nil {
		return ticket{}, s.refused(err)
	}
	return s.admission.admit()
}

// readRequest leaves on the ticket what the keys weigh. Beside an error it returns a
// request that has the tenant, where that is known. Large bodies are decoded
// one at a time: a second one would take memory and a processor, and would itself
// be done no sooner.
func (s *Server) readRequest(r *http.Request, t *ticket) (request, error) {
	w := borrowWorkspace()
	defer w.giveBack()
	if err := w.read(r.Body, r.ContentLength, s.options.MaxBodyBytes, t); err != nil {
		return request{}, err
	}
	came := time.Now()
	if len(w.body) > large {
		s.decoding.Lock()
		defer s.decoding.Unlock()
		if err := t.hold(decodeFactor * int64(len(w.body))); err != nil {
			return request{}, err
		}
	}
	w.decoder.maxKeys = s.options.MaxKeysPerPost
	req, err := w.decoder.decode(w.body)
	req.change.Came = came
	if err != nil && compressed(r.Header, w.body) {
		err = errCompressed
	}
	if err != nil {
		return req, err
	}
	return req, t.hold(weight(req.change.Keys))
}

// accept hands the change over and waits until it is durable (I1). A caller who
// hangs up does not end the wait, and when the wait ends for lack of an answer
// the ticket stays out until that answer comes: the change still takes memory
// behind the mailbox, and with a disk that hangs this count is all that bounds it.
func (s *Server) accept(req request, t *ticket) error {
	if req.change.Keys.Len() == 0 {
		return nil
	}
	if s.draining.Load() {
		return errDraining // its body took so long to come that the stop has overtaken it
	}
	if err := s.options.Admit(req.change.Keys); err != nil {
		return s.refused(err)
	}
	reply, keys := make(chan error, 1), req.change.Keys.Len() // the relay may change the set from now on
	s.options.Accept(reply, req.change)
	timeout := time.NewTimer(s.options.AnswerTimeout)
	defer timeout.Stop()
	select {
	case err := <-reply:
		if err != nil {
			return errUnconfirmed
		}
		s.metrics.accepted[req.change.Verb].Add(float64(keys))
		return nil
	case <-timeout.C:
		late := t.handOver()
		go func() {
			<-reply
			late.release()
		}()
		return errNoAnswer
	}
}

// noteIgnored counts and logs the entries that are no key, without showing them (I7).
func (s *Server) noteIgnored(c echo.Context, req request) {
	if req.ignored == (ignored{}) {
		return
	}
	s.metrics.ignoredNull.Add(float64(req.ignored.null))
	s.metrics.ignoredBlank.Add(float64(req.ignored.blank))
	s.ignored.Note(ignoredOf{req.ignored, req.change.Segment, c.RealIP()})
}

// ignoredOf is a post with entries that are no key.
type ignoredOf struct {
	ignored
	segment audience.Segment
	from    string
}

// gatherIgnored has one line for all such posts of a period: the sums, and whose the
// latest was.
func gatherIgnored(logger zerolog.Logger) *logging.Gathered[ignoredOf] {
	sum := func(earlier, later ignoredOf) ignoredOf {
		later.null += earlier.null
		later.blank += earlier.blank
		return later
	}
	return logging.Gather(logging.GatherFor, sum, func(count int, latest ignoredOf) {
		logger.Info().Int("count", count).Int("null", latest.null).Int("blank", latest.blank).
			Stringer("tenant", latest.segment.Tenant).Str("segment", latest.segment.Name).Str("from", latest.from).
			Msg("ignored MPIDs that are null or blank")
	})
}
