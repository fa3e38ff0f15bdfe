package postgres

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
)

// ports are those that servers and proxies of this process have, also while nobody
// listens there.
var ports = struct {
	sync.Mutex
	taken map[int]bool
}{taken: map[int]bool{}}

// takePort finds a port where nobody listens. It lies below those that the system
// gives to connections by itself: while a server is down, a client that dials its
// port again and again would sooner or later get it as its own, and the server could
// not come back.
func takePort() (int, error) {
	ports.Lock()
	defer ports.Unlock()
	lowest, highest := 15000, firstOfSystem()-1
	if highest <= lowest {
		lowest, highest = 1024, 14999
	}
	var cause error
	for range 100 {
		port := lowest + rand.IntN(highest-lowest+1)
		if ports.taken[port] {
			continue
		}
		listener, err := net.Listen("tcp", loopback(port))
		if err != nil {
			cause = err
			continue
		}
		if err := listener.Close(); err != nil {
			return 0, err
		}
		ports.taken[port] = true
		return port, nil
	}
	return 0, fmt.Errorf("find a free port: %w", cause)
}

func givePortBack(port int) {
	ports.Lock()
	defer ports.Unlock()
	delete(ports.taken, port)
}

// firstOfSystem is the first port that the system gives to connections by itself.
func firstOfSystem() (port int) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return 32768 // the usual one
	}
	if _, err := fmt.Sscan(string(text), &port); err != nil {
		return 32768
	}
	return port
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
