package postgres

import (
	"context"
	"fmt"
	"os"
	"time"
)

// Share runs the tests of a package, which find one server in to and make databases of
// their own on it. It returns the exit code, for TestMain.
func Share(m interface{ Run() int }, to **Server) int {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := Start(ctx, Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	*to = s
	code := m.Run()
	if err := s.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// NewDatabase makes one more database that belongs to the relay's user, and returns the
// URL that it connects with. The options are those of CREATE DATABASE.
func (s *Server) NewDatabase(ctx context.Context, options string) (string, error) {
	name := fmt.Sprint(relayName, s.databases.Add(1))
	if _, err := s.SQL(ctx, "CREATE DATABASE "+name+" OWNER "+relayName+" "+options); err != nil {
		return "", fmt.Errorf("make a database: %w", err)
	}
	return s.url(relayName, s.relayPassword, name), nil
}
