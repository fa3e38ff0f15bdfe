package telemetry

import (
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// settings are what the environment says, by the names of the OpenTelemetry
// specification. Of these the SDK reads OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG,
// OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES itself.
type settings struct {
	traces, metrics destination
	interval        time.Duration // between two exports of metrics
	queue           queueSettings
}

// destination is where one signal is sent.
type destination struct {
	on      bool
	url     string
	host    string
	header  http.Header // may hold secrets: never logged
	gzip    bool
	timeout time.Duration // of one attempt
}

// shown is for the log: the host alone, as a path may hold a secret.
func (d destination) shown() string {
	if !d.on {
		return "off"
	}
	return d.host
}

// defaultEndpoint is the specification's, for who asks for otlp and names no endpoint.
const defaultEndpoint = "http://localhost:4318"

// samplers are the values of OTEL_TRACES_SAMPLER that the SDK knows.
var samplers = []string{"", "always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"}

// reader reads variables and gathers what is wrong, a sentence each, without values.
type reader struct{ problems []string }

func readEnvironment() (settings, []string) {
	if strings.EqualFold(variable("OTEL_SDK_DISABLED"), "true") {
		return settings{}, nil
	}
	var r reader
	s := settings{traces: r.destination("TRACES", "v1/traces"), metrics: r.destination("METRICS", "v1/metrics")}
	if !s.traces.on && !s.metrics.on {
		return s, r.problems
	}
	s.interval = r.milliseconds("OTEL_METRIC_EXPORT_INTERVAL", time.Minute)
	s.queue = queueSettings{
		length: r.number("OTEL_BSP_MAX_QUEUE_SIZE", 2048, 1_000_000),
		batch:  r.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512, 100_000),
		delay:  r.milliseconds("OTEL_BSP_SCHEDULE_DELAY", 5*time.Second),
	}
	r.checkSampler()
	return s, r.problems
}

func variable(name string) string { return strings.TrimSpace(os.Getenv(name)) }

// wrong notes what is wrong with a variable, once, as several signals may read it.
func (r *reader) wrong(name, what string) {
	if problem := name + " " + what; !slices.Contains(r.problems, problem) {
		r.problems = append(r.problems, problem)
	}
}

// destination reads the variables of a signal, which go before the general ones.
func (r *reader) destination(signal, path string) (d destination) {
	switch value := variable("OTEL_" + signal + "_EXPORTER"); value {
	case "otlp":
		d.on = true
	case "":
	case "none":
		return d
	default:
		r.wrong("OTEL_"+signal+"_EXPORTER", `must be "otlp" or "none"; this signal is off`)
		return d
	}
	name, endpoint, whole := r.ofSignal(signal, "ENDPOINT")
	if endpoint == "" && !d.on {
		return d
	}
	if of, protocol, _ := r.ofSignal(signal, "PROTOCOL"); protocol != "" && protocol != "http/protobuf" {
		r.wrong(of, `must be "http/protobuf"; this signal is off`)
		return destination{}
	}
	if endpoint == "" {
		endpoint = defaultEndpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		r.wrong(name, "must be a URL with http:// or https:// and without a login; this signal is off")
		return destination{}
	}
	if !whole {
		u = u.JoinPath(path)
	}
	d.on, d.url, d.host = true, u.String(), u.Host
	d.header = r.headers(signal)
	d.gzip = r.compressed(signal)
	r.checkCertificates(signal)
	name, _, _ = r.ofSignal(signal, "TIMEOUT")
	d.timeout = r.milliseconds(name, 10*time.Second)
	return d
}

// ofSignal is the variable of a signal, or the general one where that is not set.
func (r *reader) ofSignal(signal, what string) (name, value string, own bool) {
	if name = "OTEL_EXPORTER_OTLP_" + signal + "_" + what; variable(name) != "" {
		return name, variable(name), true
	}
	name = "OTEL_EXPORTER_OTLP_" + what
	return name, variable(name), false
}

// headers are key=value, with commas between and percent-encoded values.
func (r *reader) headers(signal string) http.Header {
	header := http.Header{}
	name, list, _ := r.ofSignal(signal, "HEADERS")
	for pair := range strings.SplitSeq(list, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		key, value, found := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if key = strings.TrimSpace(key); !found || err != nil || !sendable(key, value) {
			r.wrong(name, "must be a list of key=value with commas between; what is not is ignored")
			continue
		}
		header.Set(key, value)
	}
	return header
}

func (r *reader) compressed(signal string) bool {
	name, value, _ := r.ofSignal(signal, "COMPRESSION")
	if value != "" && value != "none" && value != "gzip" {
		r.wrong(name, `must be "gzip" or "none"; it is ignored`)
	}
	return value == "gzip"
}

// checkCertificates says what is not done: SSL_CERT_FILE is for all that the relay calls.
func (r *reader) checkCertificates(signal string) {
	for _, what := range []string{"CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"} {
		if name, value, _ := r.ofSignal(signal, what); value != "" {
			r.wrong(name, "is ignored: authorities to trust are named by SSL_CERT_FILE, and certificates of clients are not shown")
		}
	}
}

// sendable reports whether net/http would send it: otherwise no attempt could succeed.
func sendable(key, value string) bool {
	for _, c := range []byte(key) {
		if !strings.ContainsRune("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", rune(c)) {
			return false
		}
	}
	for _, c := range []byte(value) {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return key != ""
}

func (r *reader) milliseconds(name string, def time.Duration) time.Duration {
	return time.Duration(r.number(name, int(def.Milliseconds()), int((24*time.Hour).Milliseconds()))) * time.Millisecond
}

// number is a whole number from 1 to most.
func (r *reader) number(name string, def, most int) int {
	text := variable(name)
	if text == "" {
		return def
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		r.wrong(name, "must be a whole number from 1 to "+strconv.Itoa(most)+"; it is ignored")
		return def
	}
	return n
}

// checkSampler says what the SDK would pass over in silence.
func (r *reader) checkSampler() {
	name := strings.ToLower(variable("OTEL_TRACES_SAMPLER"))
	if !slices.Contains(samplers, name) {
		r.wrong("OTEL_TRACES_SAMPLER", "is not known; it is ignored")
	}
	if arg := variable("OTEL_TRACES_SAMPLER_ARG"); arg != "" && strings.HasSuffix(name, "traceidratio") {
		if ratio, err := strconv.ParseFloat(arg, 64); err != nil || ratio < 0 || ratio > 1 {
			r.wrong("OTEL_TRACES_SAMPLER_ARG", "must be a number from 0 to 1; it is ignored")
		}
	}
}
