package admin

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// guarded keeps other people's web pages from reading what is served here; package
// access keeps them from changing anything. A request that came in over a loopback
// address must have been meant for this machine: otherwise a page in the operator's
// browser could have its own host name resolve to 127.0.0.1 (DNS rebinding), and would
// count as one of ours. On other addresses names are free, as Prometheus and
// orchestrators use service names there; nobody is let in by his address there.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if overLoopback(r) && !namesThisMachine(r.Host) {
			refuse(w, r, http.StatusForbidden, "use localhost or 127.0.0.1 as the host name")
			return
		}
		header := w.Header()
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func overLoopback(r *http.Request) bool {
	address, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && address.IP.IsLoopback()
}

// namesThisMachine reports whether a Host header is localhost or a loopback
// address, with or without a port.
func namesThisMachine(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}
