package harness

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Metrics are the relay's, by their names, with the values of their labels
// as name{value,value}; of a histogram the sum, the count and
// the cumulative buckets as name_bucket{le}.
type Metrics map[string]float64

// Since is by how much one has grown.
func (m Metrics) Since(before Metrics, name string) float64 { return m[name] - before[name] }

// Metrics reads them from the admin address.
func (a *Addresses) Metrics() (Metrics, error) {
	response, err := http.Get("http://" + a.Admin + "/metrics")
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	values := Metrics{}
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
