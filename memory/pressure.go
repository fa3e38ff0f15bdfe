package memory

import (
	"context"
	"errors"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/rs/zerolog"
)

// ErrFull is what callers and /readyz are told.
var ErrFull = errors.New("memory nearly full")

// The marks are parts of the limit: beyond the first posts are refused, below the
// second they are taken again. Between the Go runtime's own limit, which is at nine
// tenths, and the first mark is what the kernel takes for connections.
const (
	refuseMemoryAt = 0.95
	takeMemoryAt   = 0.92
	feelEvery      = 100 * time.Millisecond
	relieveEvery   = time.Second // at most: it costs a whole collection
)

// Pressure has changes refused while the memory limit is nearly reached: before the
// kernel ends the process. The budgets keep it from getting there; this is for what
// they do not know of, such as others in the same container.
type Pressure struct {
	used    func() (int64, error)
	limit   int64  // bytes; 0: there is none, and nothing is refused
	relieve func() // gives back what can be given back
	logger  zerolog.Logger

	high     atomic.Bool
	relieved time.Time
	blind    bool // the last look failed
}

// NewPressure returns a Pressure that refuses nothing before it is watched.
func NewPressure(a Allowance, logger zerolog.Logger, registerer prometheus.Registerer) *Pressure {
	factory := promauto.With(registerer)
	factory.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "audiences_memory_limit_bytes",
		Help: "The memory limit that was found at the start; 0: none.",
	}, func() float64 { return float64(a.Limit) })
	factory.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "audiences_memory_used_bytes",
		Help: "Bytes that count against the memory limit, without what the kernel keeps of files.",
	}, func() float64 {
		used, _ := a.used()
		return float64(used)
	})
	return &Pressure{used: a.used, limit: a.Limit, relieve: debug.FreeOSMemory, logger: logger}
}

// Refuse is nil unless memory is nearly full.
func (p *Pressure) Refuse() error {
	if p.high.Load() {
		return ErrFull
	}
	return nil
}

// Watch looks at the memory every tenth of a second until ctx ends. Without a limit
// it returns at once.
func (p *Pressure) Watch(ctx context.Context) {
	if p.limit == 0 {
		return
	}
	ticker := time.NewTicker(feelEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			p.look()
		}
	}
}

// look notes how much is used. When that has become too much it gives back what
// it can, which may be enough, unless it has just done so. The last answer stands
// while the usage cannot be read.
func (p *Pressure) look() {
	used, err := p.used()
	if err == nil && !p.high.Load() && p.over(used, refuseMemoryAt) {
		p.high.Store(true) // also while it is being given back
		if time.Since(p.relieved) >= relieveEvery {
			p.relieved = time.Now()
			p.relieve()
			if used, err = p.used(); err == nil && !p.over(used, refuseMemoryAt) {
				p.high.Store(false)
				return
			}
		}
		p.logger.Error().Int64("used", used).Int64("limit", p.limit).Msg("memory nearly full: changes are refused until there is room again; deliveries go on")
	}
	switch {
	case err != nil && !p.blind:
		p.logger.Warn().Err(err).Msg("how much memory is used cannot be read")
	case err == nil && p.high.Load() && !p.over(used, takeMemoryAt):
		p.high.Store(false)
		p.logger.Info().Int64("used", used).Msg("there is memory again: changes are taken")
	}
	p.blind = err != nil
}

func (p *Pressure) over(used int64, part float64) bool { return float64(used) > part*float64(p.limit) }
