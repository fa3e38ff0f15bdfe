//go:build e2e

package test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"audiences/sandbox"
	"audiences/test/harness"
)

var (
	volumeSizes = flag.String("volumes.mib", "64", "sizes of the volumes of TestVolumes in MiB; make volumes has 64,128,512")
	volumeKills = flag.Int("volumes.kills", 1, "kills in each of its three parts; make volumes has 10")
)

const (
	volumePatience = 15 * time.Minute // for each part, at full size on a busy machine
	volumeSegments = 40
	volumeTenants  = 4
)

// TestVolumes gives the journal a small volume of its own, posts until the relay
// refuses because it is nearly full while Split is down, and lets Split come back: all
// that was answered is delivered, and posts are taken again (I3, I8). It is killed at
// moments of the filling, at the mark and of the draining, once while somebody else fills the
// volume to the last byte, and starts every time. It mounts file systems in memory, so it needs root.
func TestVolumes(t *testing.T) {
	t.Logf("%8s %10s %14s %10s %7s %7s %12s %9s", "volume", "accepted", "bytes at mark", "drained", "kills", "starts", "lowest free", "took")
	for _, size := range strings.Split(*volumeSizes, ",") {
		t.Run(size+" MiB", func(t *testing.T) {
			mib, err := strconv.Atoi(size)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			v := newVolume(t, mib)
			v.fill()
			v.atMark()
			v.filledByOthers()
			v.drain()
			v.verify()
			t.Logf("%4d MiB %10d %14d %10d %7d %7d %8d KiB %9s", mib, v.accepted, v.atMarkUsed, v.Split.Counts().Keys, v.kills, v.starts, v.lowest.Load()>>10, time.Since(began).Round(time.Second))
		})
	}
}

// volume is a relay with its journal alone on a volume.
type volume struct {
	*harness.Site
	path    string
	process *harness.Process
	calls   chan struct{} // has a value when there were calls
	random  *rand.Rand
	posted  [volumeSegments]volumePosts

	posts, kills, starts int
	accepted, atMarkUsed int
	lowest               atomic.Int64 // bytes free at the worst moment that was looked at
}

// volumePosts are the posts of one segment by their number.
type volumePosts struct{ accepted, unsure []int }

func newVolume(t *testing.T, mib int) *volume {
	v := &volume{path: filepath.Join(t.TempDir(), "volume"), random: rand.New(rand.NewPCG(uint64(mib), 1))}
	if err := os.Mkdir(v.path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", v.path, "tmpfs", 0, fmt.Sprintf("size=%dm", mib)); err != nil {
		t.Fatalf("mount a volume: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(v.path, 0); err != nil {
			t.Error(err)
		}
	})
	look, calls := signalled(sandbox.Options{MaxMembers: 1 << 30})
	v.calls = calls
	v.Site = harness.NewSite(t, look, map[string]any{
		"journalDir":                 filepath.Join(v.path, "journal"),
		"minFreeDiskBytes":           8 << 20,
		"segmentsFlushRateInSeconds": 0.5,
		"splitTimeout":               5,
	})
	v.Split.Fault(sandbox.Rule{Kind: sandbox.Status, Code: 503})
	v.lowest.Store(int64(mib) << 20)
	v.start()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		v.watch(stop)
	}()
	t.Cleanup(func() { close(stop); <-stopped })
	return v
}

// watch looks at the volume a hundred times a second.
func (v *volume) watch(stop chan struct{}) {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			v.lowest.Store(min(v.lowest.Load(), v.free()))
		}
	}
}

func (v *volume) free() int64 {
	var of syscall.Statfs_t
	if err := syscall.Statfs(v.path, &of); err != nil {
		return 1 << 60
	}
	return int64(of.Bavail) * of.Bsize
}

func (v *volume) start() {
	v.T.Helper()
	v.process = v.Site.Start()
	v.process.Listening()
	v.starts++
}

// kill kills the relay, which must not have ended by itself, and starts it again.
func (v *volume) kill() {
	v.T.Helper()
	v.alive()
	v.process.Kill()
	v.kills++
	v.start()
}

func (v *volume) alive() {
	v.T.Helper()
	select {
	case <-v.process.Ended:
		v.T.Fatalf("the relay ended by itself with code %d, %d KiB free", v.process.ExitCode(), v.free()>>10)
	default:
	}
}

// post sends the next change, of 10,000 keys or of 300, and reports whether it was
// accepted.
func (v *volume) post(ctx context.Context) bool {
	v.T.Helper()
	n := v.posts
	v.posts++
	of := &v.posted[n%volumeSegments]
	a, err := v.process.Post(ctx, volumeChange(n))
	switch {
	case err == nil && a.Status == http.StatusOK:
		of.accepted = append(of.accepted, n)
		v.accepted += volumePostKeys(n)
		return true
	case err == nil && a.Status != http.StatusServiceUnavailable:
		v.T.Fatalf("a post: %d %s", a.Status, a.Body)
	}
	of.unsure = append(of.unsure, n)
	return false
}

func volumePostKeys(n int) int {
	if n%3 == 0 {
		return 300
	}
	return 10_000
}

// volumeChange is the n-th change. Its keys are spread over all numbers, as MPIDs are.
func volumeChange(n int) harness.Change {
	segment := n % volumeSegments
	random, keys := rand.New(rand.NewPCG(uint64(n), 2)), make([]string, volumePostKeys(n))
	for i := range keys {
		keys[i] = strconv.FormatInt(int64(random.Uint64()), 10)
	}
	return harness.Change{Token: fmt.Sprint("token-", segment%volumeTenants), Segment: fmt.Sprint("s", segment), Keys: keys}
}

func (v *volume) isFull() bool {
	a, err := v.process.AdminGet("/readyz")
	return err == nil && strings.Contains(a.Body, "disk nearly full")
}

// fill posts until the relay says that its disk is nearly full, and kills it meanwhile
// after some posts, or in the middle of one.
func (v *volume) fill() {
	v.T.Helper()
	ctx, cancel := context.WithTimeout(v.T.Context(), volumePatience)
	defer cancel()
	every := max(1, int(v.free()>>20)/(3*(*volumeKills+1)))
	for n := 1; !v.isFull(); n++ {
		v.alive()
		v.post(ctx)
		if n%every == 0 && v.kills < *volumeKills {
			p, after := v.process, v.random.IntN(30)
			done := make(chan struct{})
			go func() {
				defer close(done)
				pause(after)
				_ = p.Cmd.Process.Kill()
			}()
			v.post(ctx)
			<-done
			<-p.Ended
			v.kills++
			v.start()
		}
		if ctx.Err() != nil {
			v.T.Fatalf("not full after %d keys, %d KiB free", v.accepted, v.free()>>10)
		}
	}
}

// atMark kills the relay while it is full.
func (v *volume) atMark() {
	v.T.Helper()
	for range *volumeKills {
		pause(v.random.IntN(1000))
		v.kill()
	}
	var of syscall.Statfs_t
	if err := syscall.Statfs(v.path, &of); err != nil {
		v.T.Fatal(err)
	}
	v.atMarkUsed = int(int64(of.Blocks-of.Bfree) * of.Bsize)
}

// filledByOthers has somebody else take all that is free while the relay is down: it
// starts all the same.
func (v *volume) filledByOthers() {
	v.T.Helper()
	v.process.Kill()
	v.kills++
	other, err := os.Create(filepath.Join(v.path, "other"))
	if err != nil {
		v.T.Fatal(err)
	}
	block := make([]byte, 1<<16)
	for err == nil {
		_, err = other.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		v.T.Fatal(err)
	}
	v.start()
	if a, err := v.process.Send(v.T.Context(), http.MethodGet, "/ping", "", nil); err != nil || a.Status != http.StatusOK {
		v.T.Errorf("/ping on a full disk: %d, %v", a.Status, err)
	}
	if err := errors.Join(other.Close(), os.Remove(other.Name())); err != nil {
		v.T.Error(err)
	}
}

// drain lets Split come back, and kills the relay meanwhile.
func (v *volume) drain() {
	v.T.Helper()
	v.Split.ClearFaults()
	ctx, cancel := context.WithTimeout(v.T.Context(), volumePatience)
	defer cancel()
	killed := 0
	for v.missing() > 0 {
		v.alive()
		select {
		case <-v.calls:
		case <-v.process.Ended:
		case <-ctx.Done():
			v.T.Fatalf("%d of %d keys are not delivered, %d KiB free", v.missing(), v.accepted, v.free()>>10)
		}
		if done := v.accepted - v.missing(); killed < *volumeKills && done > v.accepted*(killed+1)/(*volumeKills+2) {
			killed++
			v.kill()
		}
	}
	harness.Eventually(v.T, volumePatience, "posts are taken again", func() bool {
		v.alive()
		return v.post(ctx)
	})
}

// missing is about how many accepted keys Split does not have.
func (v *volume) missing() int {
	missing := 0
	for segment := range volumeSegments {
		c, accepted := volumeChange(segment), 0
		for _, n := range v.posted[segment].accepted {
			accepted += volumePostKeys(n)
		}
		missing += max(0, accepted-v.Split.Size(c.Token, harness.Environment, c.Segment))
	}
	return missing
}

// verify looks for each accepted key, and for keys that nobody posted.
func (v *volume) verify() {
	v.T.Helper()
	harness.Eventually(v.T, harness.Patience, "the last post is delivered", func() bool { return v.missing() == 0 })
	if code := v.process.Terminate(); code != 0 {
		v.T.Errorf("exit code %d", code)
	}
	for segment := range volumeSegments {
		c := volumeChange(segment)
		members := v.Split.Members(c.Token, harness.Environment, c.Segment)
		lost, most := 0, 0
		for _, n := range v.posted[segment].accepted {
			for _, key := range volumeChange(n).Keys {
				if _, found := slices.BinarySearch(members, key); !found {
					lost++
				}
			}
			most += volumePostKeys(n)
		}
		for _, n := range v.posted[segment].unsure {
			most += volumePostKeys(n)
		}
		if lost > 0 || len(members) > most {
			v.T.Errorf("segment %d: %d accepted keys are lost; %d members of %d posted", segment, lost, len(members), most)
		}
	}
	v.Judge()
}

func pause(milliseconds int) { <-time.After(time.Duration(milliseconds) * time.Millisecond) }

// TestMountedOver: a relay whose volume is covered by another one, or taken out of the
// tree, answers no 200 into what no start would find (I1). It delivers on, and goes on
// when the cover is taken away.
func TestMountedOver(t *testing.T) {
	s := harness.NewSite(t, sandbox.Options{}, nil)
	volume := filepath.Join(s.Dir, "volume")
	mount := func() {
		t.Helper()
		if err := syscall.Mount("tmpfs", volume, "tmpfs", 0, "size=64m"); err != nil {
			t.Fatalf("mount a volume: %v", err)
		}
	}
	unmount := func() {
		t.Helper()
		if err := syscall.Unmount(volume, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}
	if err := os.Mkdir(volume, 0o700); err != nil {
		t.Fatal(err)
	}
	mount()
	mounted := 1
	defer func() {
		for range mounted {
			unmount()
		}
	}()
	s.Configure(map[string]any{"journalDir": filepath.Join(volume, "journal")})
	p := s.Start()
	p.Ready()
	posts := func(want int) {
		t.Helper()
		for range 5 {
			a, err := p.Post(t.Context(), harness.Change{Segment: "s", Keys: []string{"1"}})
			if err != nil || a.Status != want {
				t.Fatalf("a post: %d %s, %v; want %d", a.Status, a.Body, err, want)
			}
		}
	}
	posts(http.StatusOK)
	mount()
	mounted++
	posts(http.StatusServiceUnavailable)
	unmount()
	mounted--
	harness.Eventually(t, harness.Patience, "posts are taken again", func() bool {
		a, err := p.AdminGet("/readyz")
		return err == nil && a.Status == http.StatusOK
	})
	posts(http.StatusOK)
	unmount()
	mounted--
	posts(http.StatusServiceUnavailable)
	p.Kill()
}
