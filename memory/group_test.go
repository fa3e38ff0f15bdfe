package memory

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
)

const (
	none1   = "9223372036854771712\n"
	mounts1 = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n34 31 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
	mounts2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	hybrid  = mounts1 + "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
	under1  = "sys/fs/cgroup/memory/"
	under2  = "sys/fs/cgroup/"
)

// tree makes files under a root of its own.
func tree(t *testing.T, files map[string]string) (root string) {
	t.Helper()
	root = t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// process are the files of /proc that tell where the process is.
func process(groups, mounts string, more map[string]string) map[string]string {
	files := map[string]string{"proc/self/cgroup": groups, "proc/self/mountinfo": mounts}
	maps.Copy(files, more)
	return files
}

func TestTightest(t *testing.T) {
	const in1, in2 = "5:cpu,cpuacct:/x\n4:memory:/a/b\n1:name=systemd:/\n", "0::/a/b\n"
	for name, c := range map[string]struct {
		files map[string]string
		limit int64  // 0: none
		dir   string // under the root
	}{
		"no Linux":                         {nil, 0, ""},
		"no groups":                        {process("", "21 1 8:1 / / rw - ext4 /dev/sda rw\n", nil), 0, ""},
		"1: own":                           {process(in1, mounts1, map[string]string{under1 + "a/b/memory.limit_in_bytes": "100\n", under1 + "a/memory.limit_in_bytes": none1, under1 + "memory.limit_in_bytes": none1}), 100, under1 + "a/b"},
		"1: an outer one":                  {process(in1, mounts1, map[string]string{under1 + "a/b/memory.limit_in_bytes": "100\n", under1 + "a/memory.limit_in_bytes": "90\n"}), 90, under1 + "a"},
		"1: none":                          {process(in1, mounts1, map[string]string{under1 + "a/b/memory.limit_in_bytes": none1}), 0, ""},
		"1: none, 64K pages":               {process(in1, mounts1, map[string]string{under1 + "a/b/memory.limit_in_bytes": "9223372036854710272\n"}), 0, ""},
		"1: with others":                   {process("4:cpu,memory,pids:/a\n", "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,cpu,memory,pids\n", map[string]string{under1 + "a/memory.limit_in_bytes": "100"}), 100, under1 + "a"},
		"1: container told its outer name": {process("4:memory:/docker/0123\n", "35 31 0:32 /docker/0123 /sys/fs/cgroup/memory ro master:9 - cgroup cgroup rw,memory\n", map[string]string{under1 + "memory.limit_in_bytes": "100\n"}), 100, under1},
		"1: container with a name that is not seen": {process("4:memory:/kubepods/pod1/c1\n", mounts1, map[string]string{under1 + "memory.limit_in_bytes": "100\n"}), 100, under1},
		"1: a name above the top":                   {process("4:memory:/../../c1\n", mounts1, map[string]string{under1 + "memory.limit_in_bytes": "100\n"}), 100, under1},
		"1: a sibling's name that begins alike":     {process("4:memory:/docker/12\n", "35 31 0:32 /docker/1 /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n", map[string]string{under1 + "memory.limit_in_bytes": "100\n"}), 100, under1},
		"1: a colon in the name":                    {process("4:memory:/a:b\n", mounts1, map[string]string{under1 + "a:b/memory.limit_in_bytes": "100\n"}), 100, under1 + "a:b"},
		"1: a blank in the place":                   {process("4:memory:/a\n", `35 31 0:32 / /my\040groups rw - cgroup cgroup rw,memory`+"\n", map[string]string{"my groups/a/memory.limit_in_bytes": "100\n"}), 100, "my groups/a"},
		"2: own":                                    {process(in2, mounts2, map[string]string{under2 + "a/b/memory.max": "100\n", under2 + "a/memory.max": "max\n"}), 100, under2 + "a/b"},
		"2: an outer one":                           {process(in2, mounts2, map[string]string{under2 + "a/b/memory.max": "max\n", under2 + "a/memory.max": "90\n"}), 90, under2 + "a"},
		"2: none":                                   {process(in2, mounts2, map[string]string{under2 + "a/b/memory.max": "max\n", under2 + "a/b/memory.high": "max\n"}), 0, ""},
		"2: slowed down":                            {process(in2, mounts2, map[string]string{under2 + "a/b/memory.max": "100\n", under2 + "a/b/memory.high": "80\n"}), 80, under2 + "a/b"},
		"2: container":                              {process("0::/\n", mounts2, map[string]string{under2 + "memory.max": "100\n"}), 100, under2},
		"2: above the top":                          {process("0::/../c1\n", mounts2, map[string]string{under2 + "memory.max": "100\n"}), 100, under2},
		"2: nothing at all":                         {process(in2, mounts2, map[string]string{under2 + "a/b/memory.max": "0\n"}), 0, under2 + "a/b"},
		"both, memory in 1":                         {process("4:memory:/a\n0::/\n", hybrid, map[string]string{under1 + "a/memory.limit_in_bytes": "100\n", under2 + "unified/cgroup.procs": ""}), 100, under1 + "a"},
		"both, memory in 2":                         {process("1:name=systemd:/u\n0::/a\n", hybrid, map[string]string{under2 + "unified/a/memory.max": "100\n", under1 + "memory.limit_in_bytes": "7\n"}), 100, under2 + "unified/a"},
		"both limited":                              {process("4:memory:/a\n0::/a\n", hybrid, map[string]string{under1 + "a/memory.limit_in_bytes": "100\n", under2 + "unified/a/memory.max": "70\n"}), 70, under2 + "unified/a"},
	} {
		root := tree(t, c.files)
		got, ok, err := Tightest(root)
		if err != nil || got.Limit != c.limit || ok != (c.dir != "") || ok && got.Dir != filepath.Join(root, c.dir) {
			t.Errorf("%s: %+v, %v, %v; want %d in %s", name, got, ok, err, c.limit, c.dir)
		}
	}
}

// TestTightestFaults: what cannot be read is told, and the limits that can be count.
func TestTightestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		limit int64
	}{
		"rubbish":           {process("0::/a\n", mounts2, map[string]string{under2 + "a/memory.max": "many\n"}), 0},
		"rubbish above":     {process("0::/a\n", mounts2, map[string]string{under2 + "a/memory.max": "100\n", under2 + "memory.max": ""}), 100},
		"a directory":       {process("0::/a\n", mounts2, map[string]string{under2 + "a/memory.max/x": ""}), 0},
		"groups, directory": {map[string]string{"proc/self/cgroup/x": ""}, 0},
		"mounts, directory": {map[string]string{"proc/self/mountinfo/x": ""}, 0},
	} {
		if got, ok, err := Tightest(tree(t, c.files)); err == nil || got.Limit != c.limit || ok != (c.limit > 0) {
			t.Errorf("%s: %+v, %v, %v", name, got, ok, err)
		}
	}
}

// TestUsed: what the kernel keeps of files is not counted, and the two versions call
// it by different names.
func TestUsed(t *testing.T) {
	const stat = "cache 50\ninactive_file 10\nactive_file 1\nshmem 5\ntotal_inactive_file 20\ntotal_active_file 2\n"
	root1 := tree(t, process("4:memory:/a\n", mounts1, map[string]string{under1 + "a/memory.limit_in_bytes": "100\n", under1 + "a/memory.usage_in_bytes": "90\n", under1 + "a/memory.stat": stat}))
	root2 := tree(t, process("0::/a\n", mounts2, map[string]string{under2 + "a/memory.max": "100\n", under2 + "a/memory.current": "90\n", under2 + "a/memory.stat": stat}))
	for root, want := range map[string]int64{root1: 68, root2: 79} {
		group, _, err := Tightest(root)
		if err != nil {
			t.Fatal(err)
		}
		if used, err := group.Used(); err != nil || used != want {
			t.Errorf("%s: %d, %v; want %d", group.Dir, used, err, want)
		}
		for _, name := range []string{group.files.usage, "memory.stat"} {
			path := filepath.Join(group.Dir, name)
			kept, _ := os.ReadFile(path)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if _, err := group.Used(); err == nil {
				t.Errorf("without %s it says how much is used", name)
			}
			if err := os.WriteFile(path, kept, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestOwnGroup: on a real Linux the files of the process can be read.
func TestOwnGroup(t *testing.T) {
	group, ok, err := Tightest("/")
	t.Logf("%+v, %v", group, ok)
	if err != nil {
		t.Error(err)
	}
	if ok {
		if used, err := group.Used(); err != nil || used <= 0 {
			t.Errorf("%d used, %v", used, err)
		}
	}
}
