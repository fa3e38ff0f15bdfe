package embedded

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"audiences/audience"
	"audiences/journal"
	"audiences/journal/embedded/disk"
)

var faults = flag.Int("journal.faults", 2, "faults of each kind of file operation in TestEveryFault")

// faultKinds are the operations on files that fail in turn, and what with.
var faultKinds = []struct {
	name  string
	kinds []errorfs.OpKind
	err   error
}{
	{"create", []errorfs.OpKind{errorfs.OpCreate}, syscall.EMFILE},
	{"reuse", []errorfs.OpKind{errorfs.OpReuseForWrite}, syscall.EACCES},
	{"open", []errorfs.OpKind{errorfs.OpOpen}, syscall.EMFILE},
	{"directory", []errorfs.OpKind{errorfs.OpOpenDir}, syscall.ENOENT},
	{"write", []errorfs.OpKind{errorfs.OpFileWrite, errorfs.OpFileWriteAt}, syscall.ENOSPC},
	{"sync", []errorfs.OpKind{errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo}, syscall.EIO},
	{"rename", []errorfs.OpKind{errorfs.OpRename, errorfs.OpLink}, syscall.EROFS},
	{"remove", []errorfs.OpKind{errorfs.OpRemove}, syscall.EROFS},
	{"allocate", []errorfs.OpKind{errorfs.OpFilePreallocate}, syscall.EOPNOTSUPP},
	{"usage", []errorfs.OpKind{errorfs.OpGetDiskUsage}, syscall.EIO},
	{"stat", []errorfs.OpKind{errorfs.OpStat, errorfs.OpFileStat}, syscall.EACCES},
	{"read", []errorfs.OpKind{errorfs.OpFileRead, errorfs.OpFileReadAt}, syscall.EIO},
}

// TestEveryFault lets one operation on files after the other fail, from then on for
// good, while a journal is opened, written, read, flushed and compacted. Whatever fails:
// Open refuses with an error, or no answer is nil that the next start does not find (I1), the end is one call of Fatal, and
// the process never ends in a panic or a stack trace. It takes a process for each, as
// there is no going on after Fatal.
func TestEveryFault(t *testing.T) {
	if place := os.Getenv("JOURNAL_TEST_FAULT"); place != "" {
		underFault(t, place)
		return
	}
	sound := faultRun(t, "none", 0)
	for _, kind := range faultKinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			all := sound.operations[kind.name]
			if all == 0 {
				t.Fatal("the journal makes no such operation")
			}
			ended := 0
			for i := range min(*faults, all) {
				if run := faultRun(t, kind.name, 1+i*all/min(*faults, all)); run.fatal {
					ended++
				}
			}
			t.Logf("%d operations, %d of %d faults ended the process", all, ended, min(*faults, all))
		})
	}
}

// faulted is what a process under fault told.
type faulted struct {
	operations map[string]int // that it made, by kind
	fatal      bool
}

// faultRun runs a process whose n-th operation of a kind fails, and all after it; 0:
// none. It opens what the process left and looks for what that was answered.
func faultRun(t *testing.T, kind string, n int) (run faulted) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "j")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // it takes seconds, on a busy machine many
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestEveryFault$")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) } // it says what it waits for
	cmd.Env = append(os.Environ(), fmt.Sprintf("JOURNAL_TEST_FAULT=%s %d %s", kind, n, dir))
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	answered := map[string]bool{}
	run.operations = map[string]int{}
	for line := range strings.Lines(out.String()) {
		var i int
		if _, err := fmt.Sscanf(line, "answered %d\n", &i); err == nil {
			answered[fmt.Sprint(i)] = true
		}
		var of string
		if _, err := fmt.Sscanf(line, "operations %s %d\n", &of, &i); err == nil {
			run.operations[of] = i
		}
	}
	run.fatal = strings.Contains(out.String(), "FATAL ")
	code := cmd.ProcessState.ExitCode()
	if (code != 0 || run.fatal) && code != exitOfFatal || strings.Count(out.String(), "FATAL ") > 1 || strings.Contains(out.String()+errs.String(), "goroutine ") {
		t.Fatalf("%s %d: %v\n%s%s", kind, n, err, out.String(), errs.String())
	}
	if n == 0 && (run.fatal || len(answered) != faultAppends) {
		t.Fatalf("without a fault: %d answers\n%s%s", len(answered), out.String(), errs.String())
	}
	j, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatalf("%s %d: %v", kind, n, err)
	}
	defer j.Close()
	there := pending(t, j, segment(tenant("a"), "s"))
	for key := range answered {
		if there[key] == 0 {
			t.Errorf("%s %d: key %s was answered and is lost", kind, n, key)
		}
	}
	if j.SetAside() != "" {
		t.Errorf("%s %d: the store was set aside", kind, n)
	}
	return run
}

const (
	faultAppends = 60
	exitOfFatal  = 7 // other than that of a test that fails
)

// underFault is the process: it appends, settles, parks and reads, on so small a disk
// that there are logs, flushes and compactions enough.
func underFault(t *testing.T, place string) {
	var kind, dir string
	var n int64
	if _, err := fmt.Sscan(place, &kind, &n, &dir); err != nil {
		t.Fatal(err)
	}
	counts := make([]atomic.Int64, len(faultKinds))
	injector := errorfs.InjectorFunc(func(op errorfs.Op) error {
		for i, fault := range faultKinds {
			if !slices.Contains(fault.kinds, op.Kind) {
				continue
			}
			if made := counts[i].Add(1); fault.name == kind && made >= n {
				return fault.err
			}
		}
		return nil
	})
	small := newSmallDisk(disk.Default, 60<<20, 64<<20)
	j, err := Open(Options{Dir: dir, files: disk.Files{FS: errorfs.Wrap(small, injector)}, Fatal: func(err error) {
		fmt.Println("FATAL", err)
		os.Exit(exitOfFatal)
	}})
	if err != nil {
		fmt.Println("refused:", err)
		return
	}
	j.allowCompactions.Reset(0) // compactions from now on
	seg, other, done := segment(tenant("a"), "s"), segment(tenant("a"), "other"), make(chan error, 1)
	for i := range faultAppends {
		j.Append(appendOf(other, audience.Add, audience.KeysOf(numbers(i*3000, 3000)...), true, nil))
		j.Append(appendOf(seg, audience.Add, audience.KeysOf(keys(i)...), true, done))
		if err := <-done; err == nil {
			fmt.Printf("answered %d\n", i)
		}
		j.Settle(settleOf(other, slices.Values(numbers(i*3000, 2900)), nil))
		if i%10 == 0 {
			j.Park(parkOf(other, audience.Add, slices.Values(numbers(i*3000+2900, 10)), journal.Refusal{}, done))
			<-done
			_ = load(j, journal.Load{Segment: other, Limit: 1000})
			j.keeper.urgent <- struct{}{} // it compacts
		}
	}
	err = j.Close()
	for i, fault := range faultKinds {
		fmt.Printf("operations %s %d\n", fault.name, counts[i].Load())
	}
	fmt.Println("closed:", err)
}
