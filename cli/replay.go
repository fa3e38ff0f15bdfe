package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"audiences/replay"
	"audiences/status"
)

// replayPatience bounds one post. The server before this one took half a minute for an
// answer under load.
const replayPatience = time.Minute

// usualRate is how many posts a second a replay makes where it is not told.
const usualRate = 100

// replayed is what the command line of a replay says.
type replayed struct {
	to, token         string // URL, file
	expect, expectTok string
	authority         string
	insecure, dryRun  bool
	from              int
	rate              float64
}

func replayCommand(p process) *cobra.Command {
	var r replayed
	cmd := &cobra.Command{
		Use:   "replay FILE --to URL --token-file FILE",
		Short: "post recorded requests of the lambda to a server, or compare the answers of two",
		Long: `Posts the recorded requests of a file to a server, those of one segment one after the
other and in the order of the file. A line of the file is the body of a post as the
lambda sends it, or an object that has it as "body", as text or as the object itself;
what else such an object has, such as a time, is passed over.

A post that is answered 503 or 429 is made again when the answer says (Retry-After), and
those of its segment wait for it. Another answer of 500 or more, none at all, and Ctrl-C
end it: it then says from which line --from goes on. Doing so repeats some posts in their
order, which leaves each key with the same verb in the end. A post that is refused (400,
401) is counted, and is not made again.

With --expect each request is posted to that server first, and the two answers are
compared: their status, and what they say. That server does with it what it does with
any post: let it be one that cannot reach Split.

  audiences replay posts.ndjson --dry-run
  audiences replay posts.ndjson --to https://127.0.0.1:5010 --token-file token --ca cert.pem
  audiences replay posts.ndjson --to https://new:5010 --expect https://old:5010 \
    --token-file token --insecure

Exit codes: 0 all were taken, or with --expect all answers are the same; 1 some were
not, or it did not come to the end; 2 the command line is wrong; 3 there was nothing to
post.
`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := r.check(cmd, args); err != nil {
				return err
			}
			return r.run(cmd.Context(), p, args[0])
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&r.to, "to", "", "the server that is posted to: its `URL`; /audiences is the path where it has none")
	flags.StringVar(&r.token, "token-file", "", "a `file` with what goes into the Authorization header, the authToken")
	flags.StringVar(&r.expect, "expect", "", "the `URL` of a server whose answers are compared with")
	flags.StringVar(&r.expectTok, "expect-token-file", "", "a `file` with the token of that one, where it has another")
	flags.StringVar(&r.authority, "ca", "", "a PEM `file` with the certificates to trust")
	flags.BoolVar(&r.insecure, "insecure", false, "trust any certificate, as the lambda does")
	flags.BoolVar(&r.dryRun, "dry-run", false, "post nothing: read the file, and say what it has")
	flags.IntVar(&r.from, "from", 1, "the first `line` that is posted")
	flags.Float64Var(&r.rate, "rate", usualRate, "posts a second at most")
	return cmd
}

func (r *replayed) check(cmd *cobra.Command, args []string) (err error) {
	switch {
	case len(args) != 1:
		return wrong(cmd, "it takes a file of recorded requests")
	case r.from < 1:
		return wrong(cmd, "--from is a line, from 1 on")
	case !(r.rate > 0):
		return wrong(cmd, "--rate is more than 0")
	case r.dryRun:
		return nil
	case r.to == "" || r.token == "":
		return wrong(cmd, "--to and --token-file say where the requests are posted, or --dry-run that they are not")
	}
	if r.to, err = replay.At(r.to); err != nil {
		return wrong(cmd, "--to: %v", err)
	}
	if r.expect != "" {
		if r.expect, err = replay.At(r.expect); err != nil {
			return wrong(cmd, "--expect: %v", err)
		}
	}
	return nil
}

func (r *replayed) run(ctx context.Context, p process, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open requests: %w", err)
	}
	defer file.Close()
	if r.dryRun {
		return r.read(p.stdout, file)
	}
	options, err := r.options(file)
	if err != nil {
		return err
	}
	run := replay.New(options)
	end := waitingFor(func() string { return status.Count(run.Progress(), "post") })
	report, err := run.Run(untilTold(ctx, p.stderr, os.Interrupt, syscall.SIGTERM))
	end()
	if failed := r.print(p.stdout, report); failed != nil {
		return failed
	}
	switch {
	case err != nil:
		return fmt.Errorf("replay requests: %w; --from %d goes on", err, report.Reached+1)
	case report.Posts == 0:
		return fmt.Errorf("%w: %s has no request from line %d on", errNothing, path, r.from)
	case report.Refused > 0 && r.expect != "":
		return fmt.Errorf("%s of %s were answered otherwise", status.Number(report.Refused), status.Count(report.Posts, "post"))
	case report.Refused > 0:
		return fmt.Errorf("%s of %s were not taken", status.Number(report.Refused), status.Count(report.Posts, "post"))
	}
	return nil
}

// read says what the file has.
func (r *replayed) read(stdout io.Writer, file io.Reader) error {
	has, err := replay.Read(file, r.from)
	if err != nil {
		return fmt.Errorf("read requests: %w", err)
	}
	if has.Posts == 0 {
		return fmt.Errorf("%w: there is no request from line %d on", errNothing, r.from)
	}
	_, err = fmt.Fprintf(stdout, "%s for %s of %s, up to line %d. Nothing was posted.\n",
		status.Count(has.Posts, "post"), status.Count(has.Segments, "segment"), status.Count(has.Tenants, "tenant"), has.Last)
	return err
}

func (r *replayed) options(file io.Reader) (o replay.Options, err error) {
	client, err := r.client()
	if err != nil {
		return o, err
	}
	token, err := tokenIn(r.token)
	if err != nil {
		return o, err
	}
	o = replay.Options{In: file, From: r.from, Rate: r.rate, To: replay.Server{URL: r.to, Token: token, Client: client}}
	if r.expect == "" {
		return o, nil
	}
	o.Expect = &replay.Server{URL: r.expect, Token: token, Client: client}
	if r.expectTok != "" {
		o.Expect.Token, err = tokenIn(r.expectTok)
	}
	return o, err
}

// client goes to no proxy and follows no redirect: the token is for the server alone.
func (r *replayed) client() (*http.Client, error) {
	trust := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: r.insecure} // #nosec G402 -- where it is asked for
	if r.authority != "" {
		var err error
		if trust, err = trusting(r.authority); err != nil {
			return nil, err
		}
	}
	return &http.Client{
		Transport:     &http.Transport{TLSClientConfig: trust, MaxIdleConnsPerHost: replay.Lanes, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       replayPatience,
	}, nil
}

func tokenIn(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return "", errors.New("read token: " + path + " is empty")
	}
	return token, nil
}

// print says how many were answered how.
func (r *replayed) print(stdout io.Writer, report replay.Report) error {
	out := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	compared := r.expect != ""
	switch {
	case len(report.Answers) == 0:
	case compared:
		_, _ = fmt.Fprint(out, "POSTS\tEXPECTED\tANSWERED\tDIFFERS IN\tLINES\tSAYS\n")
	default:
		_, _ = fmt.Fprint(out, "POSTS\tANSWERED\tLINES\tSAYS\n")
	}
	for _, a := range report.Answers {
		answered := fmt.Sprint(a.Status)
		if compared {
			answered = fmt.Sprintf("%d\t%d\t%s", a.Expected, a.Status, a.Differ)
		}
		lines, words := remarkable(a)
		_, _ = fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", status.Number(a.Posts), answered, lines, words)
	}
	if report.Posts > 0 {
		_, _ = fmt.Fprintf(out, "%s, up to line %d.\n", status.Count(report.Posts, "post"), report.Reached)
	}
	return out.Flush()
}

// remarkable are the first lines and the words of answers that somebody has to look at;
// "": of others. What may be a key in the server's words is masked (I7).
func remarkable(a replay.Answers) (lines, words string) {
	if a.Differ == "" && a.Status/100 == 2 {
		return "", ""
	}
	slices.Sort(a.Lines)
	words = strings.Join(strings.Fields(status.MaskWords(a.Words, "")), " ")
	return strings.Trim(fmt.Sprint(a.Lines), "[]"), fmt.Sprintf("%.100s", words)
}
