package admin

import (
	"bytes"
	"context"
	"net/http"
	"sync"
	"time"

	"audiences/api/admin/dashboard"
	"audiences/api/connections"
)

// The page has a stream of events (SSE). Once a second it sends the live part of the page
// where that has changed, and a "tick", which has the page's other parts ask for theirs.

// streamWrite is how long a reader may take for one message. Then it is let go: the
// browser comes back by itself.
const streamWrite = 10 * time.Second

// liveText is the HTML of the live part, which all streams share.
type liveText struct {
	mu   sync.Mutex
	of   *snapshot
	at   time.Time // when it was made
	text []byte
}

// liveShown is how long the live part of a snapshot is shown: what it says of the last
// seconds moves, however long the snapshot stays.
const liveShown = 900 * time.Millisecond

// liveHTML is made once a second, or for each new snapshot.
func (s *Server) liveHTML(ctx context.Context) ([]byte, error) {
	now, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	s.liveText.mu.Lock()
	defer s.liveText.mu.Unlock()
	if s.liveText.of == now && time.Since(s.liveText.at) < liveShown {
		return s.liveText.text, nil
	}
	view, err := s.live(ctx, now)
	if err != nil {
		return nil, err
	}
	s.liveText.of, s.liveText.at, s.liveText.text = now, time.Now(), dashboard.Make(view)
	return s.liveText.text, nil
}

// stream goes on until the reader or the server ends. Whether the reader may still look is asked
// before each message, since a session can end meanwhile.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("X-Accel-Buffering", "no")
	ticksAlone := r.URL.RawQuery == "ticks"
	ticks := time.NewTicker(time.Second)
	defer ticks.Stop()
	var sent []byte
	for {
		var message bytes.Buffer
		text, err := s.liveHTML(r.Context())
		if err == nil && !ticksAlone && !bytes.Equal(text, sent) {
			writeMessage(&message, text)
			sent = text
		}
		message.WriteString("event: tick\ndata:\n\n")
		if !s.send(w, r, message.Bytes()) {
			return
		}
		select {
		case <-ticks.C:
		case <-r.Context().Done():
			return
		case <-s.stopping:
			return
		}
	}
}

// writeMessage has a "data:" before each line.
func writeMessage(to *bytes.Buffer, text []byte) {
	for line := range bytes.Lines(text) {
		to.WriteString("data: ")
		to.Write(bytes.TrimRight(line, "\n"))
		to.WriteByte('\n')
	}
	to.WriteByte('\n')
}

func (s *Server) send(w http.ResponseWriter, r *http.Request, message []byte) bool {
	if s.access.Who(r).Role == 0 {
		return false
	}
	connections.From(r.Context()).Touch()
	control := http.NewResponseController(w)
	if control.SetWriteDeadline(time.Now().Add(streamWrite)) != nil {
		return false
	}
	if _, err := w.Write(message); err != nil {
		return false
	}
	return control.Flush() == nil
}
