package memory

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Group is a control group that limits the memory of this process: its own, or one
// that this lies in.
type Group struct {
	Dir   string // of its files
	Limit int64  // bytes
	files *files
}

// files are the names that a version of control groups has for what is read
// (kernel docs: cgroup-v1/memory, cgroup-v2).
type files struct {
	limits   []string // bytes each, the least counts
	usage    string   // bytes, with all that the kernel could take back
	inactive string   // of memory.stat: bytes of files that it could take back first
	active   string   // of memory.stat: more of them
}

var (
	version1 = &files{limits: []string{"memory.limit_in_bytes"}, usage: "memory.usage_in_bytes", inactive: "total_inactive_file", active: "total_active_file"}
	// Beyond memory.high the kernel slows the process down until nothing moves.
	version2 = &files{limits: []string{"memory.max", "memory.high"}, usage: "memory.current", inactive: "inactive_file", active: "active_file"}
)

// unlimited is where version 1 begins to mean no limit: it writes the greatest
// number of whole pages that fit into 63 bits.
const unlimited = 1 << 62

// Tightest returns the group with the least limit among those of this process; ok is
// false when none has a limit, or this is no Linux. root is "/" but in tests. An
// error means that there may be a limit which could not be read.
func Tightest(root string) (tightest Group, ok bool, err error) {
	own, err := memberships(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return Group{}, false, err
	}
	mounts, err := mounts(filepath.Join(root, "proc/self/mountinfo"))
	if err != nil {
		return Group{}, false, err
	}
	var faults []error
	for _, m := range mounts {
		path, member := own[m.files]
		if !member {
			continue
		}
		for _, dir := range m.dirs(root, path) {
			limit, limited, err := m.files.limit(dir)
			if err != nil {
				faults = append(faults, err)
			}
			if limited && (!ok || limit < tightest.Limit) {
				tightest, ok = Group{Dir: dir, Limit: limit, files: m.files}, true
			}
		}
	}
	return tightest, ok, errors.Join(faults...)
}

// memberships tells for each version in which group the process is, from lines such
// as 4:memory:/a/b for version 1 and 0::/a/b for version 2. There may be none.
func memberships(file string) (map[*files]string, error) {
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read control groups: %w", err)
	}
	own := map[*files]string{}
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimRight(line, "\n"), ":", 3)
		switch {
		case len(parts) < 3:
		case slices.Contains(strings.Split(parts[1], ","), "memory"):
			own[version1] = parts[2]
		case parts[0] == "0" && parts[1] == "":
			own[version2] = parts[2]
		}
	}
	return own, nil
}

// mount is a place where a hierarchy of groups can be seen, or a part of it.
type mount struct {
	files *files
	group string // that is seen at the place itself
	place string
}

// mounts reads a mountinfo (man proc_pid_mountinfo):
//
//	35 31 0:32 /group /place rw,relatime shared:9 - cgroup cgroup rw,memory
func mounts(file string) ([]mount, error) {
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read mounts: %w", err)
	}
	var found []mount
	for line := range strings.Lines(string(text)) {
		where, what, _ := strings.Cut(line, " - ")
		place, kind := strings.Fields(where), strings.Fields(what)
		if len(place) < 5 || len(kind) < 1 {
			continue
		}
		m := mount{group: unescape.Replace(place[3]), place: unescape.Replace(place[4])}
		switch {
		case kind[0] == "cgroup2":
			m.files = version2
		case kind[0] == "cgroup" && slices.Contains(strings.Split(kind[len(kind)-1], ","), "memory"):
			m.files = version1
		default:
			continue
		}
		found = append(found, m)
	}
	return found, nil
}

var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// dirs are the directories of the group and of those that it lies in, as far as this
// mount shows them, its own first. A container may see its group as the top, and be
// told its name outside, or none that makes sense in here: then the place of the
// mount is all there is to look at.
func (m mount) dirs(root, group string) (dirs []string) {
	top := filepath.Join(root, m.place)
	dir := top
	if inside, err := filepath.Rel(m.group, group); err == nil && filepath.IsLocal(inside) {
		dir = filepath.Join(top, inside)
	}
	if _, err := os.Stat(dir); err != nil {
		dir = top
	}
	for ; dir != top; dir = filepath.Dir(dir) {
		dirs = append(dirs, dir)
	}
	return append(dirs, top)
}

// limit is the least limit of one group. A file that is not there limits nothing:
// the topmost group of version 2 has none.
func (f *files) limit(dir string) (least int64, limited bool, err error) {
	for _, name := range f.limits {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return least, limited, fmt.Errorf("read memory limit: %w", err)
		}
		word := strings.TrimSpace(string(text))
		bytes, err := strconv.ParseUint(word, 10, 64)
		switch {
		case word == "max":
		case err != nil:
			return least, limited, fmt.Errorf("read memory limit: %s holds no number of bytes", filepath.Join(dir, name))
		case bytes < unlimited && (!limited || int64(bytes) < least):
			least, limited = int64(bytes), true
		}
	}
	return least, limited, nil
}

// Used is how many bytes the group takes that the kernel cannot take back at once:
// all but what it keeps of files. Files in a tmpfs count.
func (g Group) Used() (int64, error) {
	text, err := os.ReadFile(filepath.Join(g.Dir, g.files.usage))
	if err != nil {
		return 0, fmt.Errorf("read memory usage: %w", err)
	}
	used, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read memory usage: %w", err)
	}
	text, err = os.ReadFile(filepath.Join(g.Dir, "memory.stat"))
	if err != nil {
		return 0, fmt.Errorf("read memory usage: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == g.files.inactive || name == g.files.active {
			bytes, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read memory usage: %w", err)
			}
			used -= bytes
		}
	}
	return max(0, used), nil
}
