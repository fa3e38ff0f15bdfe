package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"audiences/test/harness"

	"github.com/google/pprof/profile"
)

// profiledSite is a started relay that can tell where its processor time goes, and
// where to ask it.
func (h *house) profiledSite(ctx context.Context, key string) (s *site, profile string, err error) {
	if err := harness.Build(ctx, h.profiled, append(smaller, "-tags", "profiling")...); err != nil {
		return nil, "", err
	}
	port, err := harness.UnusedPort()
	if err != nil {
		return nil, "", err
	}
	if s, err = h.newSite(key, nil); err != nil {
		return nil, "", err
	}
	s.binary, s.env = h.profiled, []string{fmt.Sprint("AUDIENCES_PROFILING_ADDRESS=127.0.0.1:", port)}
	return s, fmt.Sprintf("http://127.0.0.1:%d/debug/pprof/profile?seconds=", port), s.start(nil)
}

// during takes a profile while a load runs, which has to last a little longer.
func during(address string, lasting time.Duration, load func() error) (sums costs, err error) {
	taken := make(chan error, 1)
	go func() {
		var err error
		sums, err = takeProfile(fmt.Sprint(address, max(1, int(lasting.Seconds()))))
		taken <- err
	}()
	err = errors.Join(load(), <-taken)
	return sums, err
}

func takeProfile(url string) (costs, error) {
	response, err := http.Get(url)
	if err != nil {
		return nil, fmt.Errorf("take profile: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("take profile: %w", err)
	}
	if dir := os.Getenv("BENCH_PROFILES"); dir != "" { // to look closer with go tool pprof
		if err := os.WriteFile(filepath.Join(dir, time.Now().Format("150405.000")+".pb.gz"), text, 0o600); err != nil {
			return nil, err
		}
	}
	p, err := profile.ParseData(text)
	if err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	return costsOf(p), nil
}
