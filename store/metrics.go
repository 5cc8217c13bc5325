package store

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heyi/internal/audit"
	"heyi/internal/fault"
)

// metrics are what the commits of a process say.
type metrics struct {
	took     prometheus.Histogram
	commands prometheus.Histogram
	failures *prometheus.CounterVec
	events   *prometheus.CounterVec
}

func newMetrics(s *Store, reg prometheus.Registerer) *metrics {
	m := &metrics{
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "heyi_store_commit_seconds", Help: "Duration of a transaction that writes, from its begin to its commit.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		commands: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "heyi_store_commit_commands", Help: "Commands that shared one commit; always 1 on PostgreSQL.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 9),
		}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "heyi_store_failures_total", Help: "Commands that the database did not take.",
		}, []string{"code"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "heyi_events_total", Help: "Audited events committed by this process, by type: what people and terminals did.",
		}, []string{"type"}),
	}
	for _, code := range []string{errReadOnly.Code, errUnavailable.Code} {
		m.failures.WithLabelValues(code)
	}
	if reg != nil {
		reg.MustRegister(m.took, m.commands, m.failures, m.events, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "heyi_store_waiting", Help: "Commands that wait for the embedded database's writer.",
		}, func() float64 { return float64(s.waiting()) }))
	}
	return m
}

// waiting is how many commands wait for SQLite's writer.
func (s *Store) waiting() int {
	if s.writer == nil {
		return 0
	}
	s.writer.mu.Lock()
	defer s.writer.mu.Unlock()
	return len(s.writer.queue)
}

func (m *metrics) committed(commands int, took time.Duration) {
	m.took.Observe(took.Seconds())
	m.commands.Observe(float64(commands))
}

// answered counts a command; its events count when it is in the database.
func (m *metrics) answered(events []audit.Event, err error) {
	switch code := fault.CodeOf(err); {
	case err == nil:
		for i := range events {
			m.events.WithLabelValues(events[i].Type).Inc()
		}
	case code == errReadOnly.Code || code == errUnavailable.Code:
		m.failures.WithLabelValues(code).Inc()
	}
}
