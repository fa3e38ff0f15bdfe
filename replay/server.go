package replay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Server is where requests are posted to.
type Server struct {
	URL    string // with the path
	Token  string // for the Authorization header, raw
	Client *http.Client
}

// At is a server's URL with the path of posts, where it has none.
func At(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return "", errors.New("it is a URL such as https://127.0.0.1:5010")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/audiences"
	}
	return u.String(), nil
}

// answer is what a server says to a post.
type answer struct {
	status int
	words  string        // the message of a refusal, or the body
	wait   time.Duration // it says to come again after that; 0: it does not say
}

// How long is waited before a post that is answered 503 or 429 is made again.
const (
	usualWait = time.Second // where the server does not say
	mostWait  = time.Minute
)

// mostWords is how much of an answer is looked at, in bytes.
const mostWords = 64 << 10

// post posts until it is taken or refused: 503 and 429 mean that it is neither.
func (s *Server) post(ctx context.Context, p *post) (answer, error) {
	for {
		a, err := s.once(ctx, p)
		if err != nil || a.status != http.StatusServiceUnavailable && a.status != http.StatusTooManyRequests {
			return a, err
		}
		select {
		case <-time.After(a.wait):
		case <-ctx.Done():
			return a, ctx.Err()
		}
	}
}

func (s *Server) once(ctx context.Context, p *post) (a answer, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(p.body))
	if err != nil {
		return a, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", s.Token)
	response, err := s.Client.Do(request)
	if err != nil {
		return a, err
	}
	defer response.Body.Close()
	words, err := io.ReadAll(io.LimitReader(response.Body, mostWords))
	return answer{response.StatusCode, saidIn(words), waitOf(response.Header)}, err
}

// saidIn is the message in an answer, or all of it.
func saidIn(words []byte) string {
	var refusal struct{ Message string }
	if json.Unmarshal(words, &refusal) == nil && refusal.Message != "" {
		return refusal.Message
	}
	return strings.TrimSpace(string(words))
}

func waitOf(header http.Header) time.Duration {
	seconds, err := strconv.Atoi(header.Get("Retry-After"))
	if err != nil || seconds <= 0 {
		return usualWait
	}
	return min(time.Duration(seconds)*time.Second, mostWait)
}
