package connections

import "crypto/tls"

// overTLS is what net/http reads HTTP/1 from.
//
// While a handler runs, net/http reads one byte more in a goroutine of its own, so
// that it can cancel the request's context when the client goes away. Nobody needs
// that for a request that has shown the token: its change is waited for in any case.
// Such a read gets nothing, at once and without an error, and net/http takes that for
// a read that has ended; the connection stays as it was. That saves each post a
// system call, three deadlines and two switches between goroutines.
type overTLS struct {
	*tls.Conn
	below *Conn
}

func (c overTLS) Read(p []byte) (int, error) {
	if len(p) == 1 && c.below.answering.Load() > 0 { // all other reads of net/http have a larger buffer
		return 0, nil
	}
	return c.Conn.Read(p)
}
