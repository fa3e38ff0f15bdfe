package sandbox

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
)

// answer is what a call gets. Status 0 cuts the connection.
type answer struct {
	status            int
	header            http.Header
	body              []byte
	replaced          map[string]string // headers, in place of those of that name
	cutAfter          int               // bytes of the body, then the connection ends; 0: whole
	outcome           string
	orgReset, ipReset time.Duration // what a 429 asked for
}

// failure is the body of Split's errors (Split docs: errors).
type failure struct {
	Code        int    `json:"code"`
	Message     string `json:"message"`
	Details     string `json:"details"`
	Transaction string `json:"transactionId"`
}

func cut(outcome string) answer { return answer{outcome: outcome} }

func raw(status int, contentType string, body []byte, outcome string) answer {
	a := answer{status: status, header: http.Header{}, body: body, outcome: outcome}
	if len(body) > 0 && contentType != "" {
		a.header.Set("Content-Type", contentType)
	}
	return a
}

// with replaces headers.
func (a answer) with(headers map[string]string) answer {
	a.replaced = headers
	return a
}

func reply(status int, body any, outcome string) answer {
	data, err := json.Marshal(body, seconds)
	if err != nil {
		panic(fmt.Errorf("encode answer: %w", err)) // only types of this package come here
	}
	return raw(status, "application/json", data, outcome)
}

// refuse is an error in Split's form that the call earned.
func (s *Split) refuse(status int, message string) answer {
	return s.fail(status, message, OutcomeRefused)
}

func (s *Split) fail(status int, message, outcome string) answer {
	return reply(status, s.failure(status, message), outcome)
}

func (s *Split) failure(status int, message string) failure {
	return failure{Code: status, Message: message, Transaction: fmt.Sprintf("00000000-0000-4000-8000-%012x", s.transactions.Add(1))}
}

// limited is the 429 of the limiters (Split docs: rate limiting).
func (s *Split) limited(x *exchange) answer {
	a := s.fail(http.StatusTooManyRequests, "Too many requests", OutcomeLimited)
	x.rates.writeTo(a.header)
	if x.rates.org.over {
		a.orgReset = x.rates.org.reset
	}
	if x.rates.ip.over {
		a.ipReset = x.rates.ip.reset
	}
	return a
}

func (a answer) write(w http.ResponseWriter) {
	if a.status == 0 {
		panic(http.ErrAbortHandler) // net/http's way to close the connection without a word
	}
	for name, values := range a.header {
		w.Header()[name] = values
	}
	for name, value := range a.replaced {
		w.Header().Set(name, value)
	}
	if len(a.body) > 0 && w.Header()["Content-Type"] == nil {
		w.Header()["Content-Type"] = nil // or net/http guesses one
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	if a.cutAfter > 0 {
		_, _ = w.Write(a.body[:a.cutAfter])
		_ = http.NewResponseController(w).Flush() // or nothing at all would leave
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(a.body) // a client that left gets no answer; the call is recorded as it was served
}
