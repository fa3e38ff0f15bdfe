package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of the sandbox's traffic, so that a slow machine is not buried.
const (
	trafficAtOnce = 64 // requests under way; what comes due beyond it is left out
	trafficUsers  = 100_000
)

var trafficSegments = []string{"sNew_users", "sBig_spenders", "sLapsed", "sNewsletter", "sBeta_testers"}

// post sends what the lambda sends: one user and one audience a request, three
// in four to add, each over a connection of its own. It counts the answers that
// were 200 and returns when ctx ends and all its requests have.
func post(ctx context.Context, url string, perSecond int, posted *atomic.Int64) {
	var underWay sync.WaitGroup
	defer underWay.Wait()
	places := make(chan struct{}, trafficAtOnce)
	ticker := time.NewTicker(time.Second / time.Duration(perSecond))
	defer ticker.Stop()
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,                                  // as the lambda does
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // #nosec G402 -- as the lambda does; to this process only
	}}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		select {
		case places <- struct{}{}:
		default:
			continue
		}
		underWay.Go(func() {
			defer func() { <-places }()
			if postOne(ctx, client, url) == nil {
				posted.Add(1)
			}
		})
	}
}

func postOne(ctx context.Context, client *http.Client, url string) error {
	verb := "add"
	if rand.IntN(4) == 0 {
		verb = "delete"
	}
	body := fmt.Sprintf(`{"apiToken":"demo","workspaceId":"w","environmentId":"e","trafficTypeId":"t","verb":%q,"mpids":["%d"],"segment":%q}`,
		verb, rand.IntN(trafficUsers)-trafficUsers/2, trafficSegments[rand.IntN(len(trafficSegments))])
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", sandboxToken)
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err = io.Copy(io.Discard, response.Body); err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", response.StatusCode)
	}
	return err
}
