package cli

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
)

func versionCommand(p process) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "print the version",
		Long: `Prints the version, the commit and the Go release that this program was built from.

  audiences version

Exit codes: 0 they were printed, 2 the command line is wrong.
`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return p.build.show(p.stdout) },
	}
}

// buildInfo says which program this is.
type buildInfo struct {
	version  string // "devel" for a build that nobody gave a version
	revision string // the commit, with "-dirty" when files differed from it; "unknown" without a checkout
	goes     string // the Go release that built it
}

// build prefers what the linker was told to what the go command found.
func build(version, revision string) buildInfo {
	b := buildInfo{version: version, revision: revision, goes: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	if module := info.Main.Version; b.version == "" && module != "(devel)" {
		b.version = module
	}
	if b.revision == "" {
		b.revision = checkedOut(info.Settings)
	}
	b.version, b.revision = cmp.Or(b.version, "devel"), cmp.Or(b.revision, "unknown")
	return b
}

// checkedOut is the commit that the go command built, "" when it saw none.
func checkedOut(settings []debug.BuildSetting) (commit string) {
	dirty := ""
	for _, s := range settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	if commit == "" {
		return ""
	}
	return commit + dirty
}

// MarshalZerologObject is for the line of a start.
func (b buildInfo) MarshalZerologObject(e *zerolog.Event) {
	e.Str("version", b.version).Str("revision", b.revision).Str("go", b.goes)
}

// register shows the program's version among the metrics.
func (b buildInfo) register(registerer prometheus.Registerer) {
	registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "audiences_build_info",
		Help:        "Always 1; the labels say which program this is.",
		ConstLabels: prometheus.Labels{"version": b.version, "revision": b.revision, "goversion": b.goes},
	}, func() float64 { return 1 }))
}

// show prints one line.
func (b buildInfo) show(out io.Writer) error {
	_, err := fmt.Fprintf(out, "audiences %s (revision %s, %s %s/%s)\n", b.version, b.revision, b.goes, runtime.GOOS, runtime.GOARCH)
	return err
}
