package link

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heyi/gateway/wire"
)

// metrics are the figures of fleet.md §10 that a node's links have.
type metrics struct {
	links      *prometheus.GaugeVec
	connects   *prometheus.CounterVec
	refusals   *prometheus.CounterVec
	ends       *prometheus.CounterVec
	drops      *prometheus.CounterVec
	takeovers  prometheus.Counter
	clones     prometheus.Counter
	frames     prometheus.Counter
	durable    *prometheus.CounterVec
	batchSize  prometheus.Histogram
	batchTime  prometheus.Histogram
	goneRetry  prometheus.Counter
	viewDeltas prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "heyi", Subsystem: "link", Name: name, Help: help}, labels)
	}
	m := &metrics{
		links: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "heyi", Subsystem: "link", Name: "live", Help: "Links that are up.",
		}, []string{"kind"}),
		connects:  counter("connects_total", "Links that were welcomed.", "kind"),
		refusals:  counter("refusals_total", "Sockets refused at the door or in the handshake.", "reason"),
		ends:      counter("ends_total", "Links that ended.", "cause"),
		drops:     counter("drops_total", "Frames not sent to slow links.", "class"),
		durable:   counter("durable_total", "Durable frames of devices.", "result"),
		takeovers: prometheus.NewCounter(prometheus.CounterOpts{Namespace: "heyi", Subsystem: "link", Name: "takeovers_total", Help: "Links superseded by a newer one."}),
		clones:    prometheus.NewCounter(prometheus.CounterOpts{Namespace: "heyi", Subsystem: "link", Name: "clones_total", Help: "Identities found in two places."}),
		frames:    prometheus.NewCounter(prometheus.CounterOpts{Namespace: "heyi", Subsystem: "link", Name: "frames_total", Help: "Frames received."}),
		batchSize: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "heyi", Subsystem: "link", Name: "epoch_batch_size", Help: "Devices in one epoch write.",
			Buckets: []float64{1, 2, 5, 10, 20, 50, 100, 200},
		}),
		batchTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "heyi", Subsystem: "link", Name: "epoch_batch_seconds", Help: "Duration of one epoch write.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		goneRetry:  prometheus.NewCounter(prometheus.CounterOpts{Namespace: "heyi", Subsystem: "link", Name: "gone_retries_total", Help: "Failed writes of ended links, tried again."}),
		viewDeltas: prometheus.NewCounter(prometheus.CounterOpts{Namespace: "heyi", Subsystem: "link", Name: "view_deltas_total", Help: "Deltas of live views."}),
	}
	// Series that exist before anything happened: rate() sees the first one, too.
	for _, k := range []kind{kindDevice, kindSession, kindRoom} {
		m.links.WithLabelValues(k.String())
		m.connects.WithLabelValues(k.String())
	}
	for _, reason := range []string{"draining", "auth_fails", "pending", "node_rate", "address_rate", "signature", "not_admitted", "token", "overload", "protocol"} {
		m.refusals.WithLabelValues(reason)
	}
	for _, cause := range []string{causeNetwork, causeIdle, causeSlow, causeDeploy, causeServer} {
		m.ends.WithLabelValues(cause)
	}
	for _, class := range []string{"merged", "nudge", "ephemeral"} {
		m.drops.WithLabelValues(class)
	}
	for _, result := range []string{"stored", "repeated"} {
		m.durable.WithLabelValues(result)
	}
	if reg != nil {
		reg.MustRegister(m.links, m.connects, m.refusals, m.ends, m.drops, m.takeovers, m.clones, m.frames, m.durable, m.batchSize, m.batchTime, m.goneRetry, m.viewDeltas)
	}
	return m
}

func (m *metrics) up(k kind, d float64) { m.links.WithLabelValues(k.String()).Add(d) }

func (m *metrics) refused(reason string) { m.refusals.WithLabelValues(reason).Inc() }

func (m *metrics) ended(cause string) { m.ends.WithLabelValues(cause).Inc() }

func (m *metrics) dropped(class string) { m.drops.WithLabelValues(class).Inc() }

func (m *metrics) batch(n int, took time.Duration) {
	m.batchSize.Observe(float64(n))
	m.batchTime.Observe(took.Seconds())
}

// refusedAfter names a handshake that failed by its close code; a closed set, so that strangers make no new series.
func refusedAfter(code int) string {
	switch code {
	case 0:
		return "gone"
	case wire.CloseAuthTimeout:
		return "auth_timeout"
	case wire.CloseOverload:
		return "overload"
	case wire.CloseSuperseded:
		return "superseded"
	case wire.CloseCredExpired:
		return "cred_expired"
	case wire.CloseTokenExpired:
		return "token"
	case wire.CloseUnknownDevice, wire.CloseRevoked, wire.CloseQuarantined, wire.CloseDisabled:
		return "not_admitted"
	case wire.CloseBadSignature:
		return "signature"
	case wire.CloseNotAdmitted:
		return "room"
	case wire.CloseSignedOut:
		return "signed_out"
	}
	return "protocol"
}
