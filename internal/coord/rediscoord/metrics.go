package rediscoord

import "github.com/prometheus/client_golang/prometheus"

// metrics are the figures of one node's line to Redis.
type metrics struct {
	calls   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	gaps    *prometheus.CounterVec
	sent    prometheus.Counter
	dropped prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, c *Coord) *metrics {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "heyi", Subsystem: "coord", Name: name, Help: help}
	}
	gauge := func(name, help string, f func() float64) prometheus.GaugeFunc {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "heyi", Subsystem: "coord", Name: name, Help: help}, f)
	}
	m := &metrics{
		calls: prometheus.NewCounterVec(counter("calls_total", "Calls to Redis, by what became of them; refused: the breaker was open."), []string{"op", "result"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "heyi", Subsystem: "coord", Name: "call_seconds", Help: "Duration of calls to Redis that were answered.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 13),
		}, []string{"op"}),
		gaps:    prometheus.NewCounterVec(counter("gaps_total", "Times that nudges of other nodes may have been lost."), []string{"why"}),
		sent:    prometheus.NewCounter(counter("nudges_sent_total", "Nudges handed to Redis.")),
		dropped: prometheus.NewCounter(counter("nudges_dropped_total", "Nudges that the other nodes did not get.")),
	}
	for _, why := range []string{"subscribed", "lost", "newer"} { // series that exist before anything happened
		m.gaps.WithLabelValues(why)
	}
	if reg == nil {
		return m
	}
	reg.MustRegister(m.calls, m.seconds, m.gaps, m.sent, m.dropped,
		gauge("breaker", "State of the breaker: 0 closed, 1 one call tries, 2 open.", func() float64 { return float64(c.breaker.state()) }),
		gauge("degraded", "1 while nudges of other nodes may not arrive.", func() float64 {
			if c.Degraded() {
				return 1
			}
			return 0
		}))
	return m
}
