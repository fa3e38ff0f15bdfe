package main

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// metrics are the relay's, by their names; of a histogram the sum, the count and
// the cumulative buckets as name_bucket{le}.
type metrics map[string]float64

// since is by how much one has grown.
func (m metrics) since(before metrics, name string) float64 { return m[name] - before[name] }

func (s *site) metrics() (metrics, error) {
	response, err := http.Get("http://" + s.relay.at.Admin + "/metrics")
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	values := metrics{}
	for name, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, label := range m.GetLabel() {
				labels = append(labels, label.GetValue())
			}
			full := name
			if len(labels) > 0 {
				full += "{" + strings.Join(labels, ",") + "}"
			}
			values[full] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
			if h := m.GetHistogram(); h != nil {
				values[name+"_sum"], values[name+"_count"] = h.GetSampleSum(), float64(h.GetSampleCount())
				for _, b := range h.GetBucket() {
					values[name+"_bucket{"+strconv.FormatFloat(b.GetUpperBound(), 'g', -1, 64)+"}"] = float64(b.GetCumulativeCount())
				}
			}
		}
	}
	return values, nil
}

// freePort is one that nobody listens on at the moment.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address) // the relay wrote it; a wrong one fails at the first request
	return port
}
