package test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
)

// kept keeps its connections open, unlike the lambda: what is measured through it
// is the relay's own work and not a TLS handshake.
var kept = &http.Client{Transport: &http.Transport{
	MaxIdleConnsPerHost: 64,
	TLSClientConfig:     &tls.Config{InsecureSkipVerify: true},
}}

// postKept posts a change through kept.
func (p *process) postKept(ctx context.Context, c change) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+p.https+"/audiences", bytes.NewReader(c.body()))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", authToken)
	response, err := kept.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("answered %d %s", response.StatusCode, text)
	}
	return err
}

// memory is what the process takes now, and the most it ever took, as Linux
// counts it.
func (p *process) memory() string {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return err.Error()
	}
	values := map[string]string{}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		values[name] = strings.TrimSpace(value)
	}
	return fmt.Sprintf("RSS %s, at most %s", values["VmRSS"], values["VmHWM"])
}

// numbers are n MPIDs in a row.
func numbers(from, n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = strconv.Itoa(8_735_621_876_000_000_000 + from + i)
	}
	return keys
}
