package app

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heyi/devices"
	"heyi/internal/notify"
	"heyi/media/rtc"
	"heyi/mediation/queue"
	"heyi/mediation/session"
	"heyi/store"
)

// figures are the gauges that are read from the database, every http.metrics_every: a scrape itself asks nothing.
// docs/operations.md says what each is for.
type figures struct {
	tickets, seats, sessions, held                           *prometheus.GaugeVec
	offers, wait, suspect, handoff                           prometheus.Gauge
	textsDue, textsLate, nodes, bytes, backup, readAt, lease prometheus.Gauge
}

func newFigures(reg prometheus.Registerer) *figures {
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
		reg.MustRegister(g)
		return g
	}
	vec := func(name, help, label string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{label})
		reg.MustRegister(g)
		return g
	}
	return &figures{
		tickets:   vec("heyi_queue_tickets", "Open tickets of the installation that are not served yet, by state.", "state"),
		seats:     vec("heyi_queue_seats", "Seats of mediators and lawyers of the installation, by state.", "state"),
		sessions:  vec("heyi_sessions_live", "Live sessions of the installation, by state.", "state"),
		held:      vec("heyi_lease_held", "1 when this node holds the right that only one node has.", "lease"),
		offers:    gauge("heyi_queue_offers_open", "Offers that a mediator may take now."),
		wait:      gauge("heyi_queue_oldest_wait_seconds", "How long the first of those who wait has waited."),
		suspect:   gauge("heyi_presence_suspect", "Terminals of the installation whose link is lost and whose grace runs."),
		handoff:   gauge("heyi_handoff_oldest_seconds", "How long the oldest package that is still tried is on its way."),
		textsDue:  gauge("heyi_texts_due", "Texts to people whose time has come and that are not sent."),
		textsLate: gauge("heyi_texts_oldest_seconds", "How long the oldest of them is due."),
		nodes:     gauge("heyi_nodes_alive", "Nodes whose lease holds."),
		bytes:     gauge("heyi_store_bytes", "Size of the database."),
		backup:    gauge("heyi_backup_timestamp_seconds", "When the last backup was taken with this node's data folder, Unix time; 0: never."),
		readAt:    gauge("heyi_figures_timestamp_seconds", "When the figures of the installation were last read, Unix time."),
		lease:     gauge("heyi_lease_age_seconds", "How long ago this node's leases were last renewed."),
	}
}

// registerParts makes the figures that parts of the process know themselves.
func (n *node) registerParts() {
	fn := func(name, help string, f func() float64) {
		n.metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
	}
	count := func(name, help string, f func() uint64) {
		n.metrics.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(f()) }))
	}
	figures := func(f func(rtc.Figures) int) func() float64 {
		return func() float64 { return float64(f(n.engine.Figures())) }
	}
	totals := n.engine.Figures().Totals
	fn("heyi_media_rooms", "Rooms on this node.", figures(func(f rtc.Figures) int { return f.Rooms }))
	fn("heyi_media_members", "People in those rooms.", figures(func(f rtc.Figures) int { return f.Members }))
	fn("heyi_media_sessions", "Media lines that are open.", figures(func(f rtc.Figures) int { return f.Sessions }))
	count("heyi_media_gate_violations_total", "Gates found open that no rule allows; one is a defect.", func() uint64 { return n.engine.Figures().GateViolations })
	count("heyi_media_socket_drops_total", "Datagrams dropped because a socket's buffer was full.", n.engine.Dropped)
	count("heyi_media_packets_in_total", "Packets taken from publishers.", totals.In.Load)
	count("heyi_media_packets_refused_total", "Packets of publishers that were late, doubled or too many.", totals.Refused.Load)
	count("heyi_media_packets_out_total", "Packets sent to subscribers.", totals.Out.Load)
	count("heyi_media_packets_resent_total", "Packets sent to subscribers again.", totals.Resent.Load)
	count("heyi_media_nacks_in_total", "Packets that subscribers missed.", totals.NacksIn.Load)
	count("heyi_media_nacks_out_total", "Requests for missing packets to publishers.", totals.NacksOut.Load)
	count("heyi_media_plis_in_total", "Keyframe requests of subscribers.", totals.PLIsIn.Load)
	count("heyi_media_keyframes_asked_total", "Keyframe requests to publishers.", totals.Keyframes.Load)
}

// buildInfo tells the version, for alarms on a cluster that runs two.
func buildInfo(reg prometheus.Registerer) {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "heyi_build_info", Help: "1, with the version of this program."}, []string{"version"})
	g.WithLabelValues(Version).Set(1)
	reg.MustRegister(g)
}

// countTexts counts tries to send a text.
func countTexts(reg prometheus.Registerer) func(notify.Result) {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "heyi_texts_total", Help: "Tries to send a text to a person, by what became of them."}, []string{"result"})
	for _, r := range []notify.Result{notify.Sent, notify.Again, notify.Dead} {
		c.WithLabelValues(string(r))
	}
	reg.MustRegister(c)
	return func(r notify.Result) { c.WithLabelValues(string(r)).Inc() }
}

// watchFigures reads the figures until ctx ends.
func (n *node) watchFigures(ctx context.Context) error {
	f := newFigures(n.metrics)
	tick := time.NewTicker(n.cfg.HTTP.MetricsEvery)
	defer tick.Stop()
	for {
		if err := n.readFigures(ctx, f); err != nil && ctx.Err() == nil {
			n.logger.WarnContext(ctx, "figures are not read", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (n *node) readFigures(ctx context.Context, f *figures) error {
	now := n.now()
	f.lease.Set(n.leases.age().Seconds())
	f.backup.Set(float64(lastBackupAt(n.cfg.Data)) / 1e6)
	v, err := n.store.Figures(ctx, now)
	if err != nil {
		return err //nolint:wrapcheck // logged at once
	}
	states(f.tickets, v.Tickets, queue.Waiting, queue.Parked, queue.Offered, queue.Ringing, queue.Missed)
	states(f.seats, v.Seats, queue.SeatOffline, queue.SeatReady, queue.SeatBusy, queue.SeatWrapUp, queue.SeatAway)
	states(f.sessions, v.Sessions, session.Lobby, session.Checking, session.Joint, session.Suspended)
	for _, name := range []string{queue.LeaseName, devices.SweeperLease} {
		f.held.WithLabelValues(name).Set(one(v.Holders[name] == n.cfg.Node.Name))
	}
	f.set(v, now)
	return nil
}

func (f *figures) set(v store.Figures, now time.Time) {
	f.offers.Set(float64(v.Offers))
	f.wait.Set(v.OldestWait.Seconds())
	f.suspect.Set(float64(v.Suspect))
	f.handoff.Set(v.Handoff.Seconds())
	f.textsDue.Set(float64(v.TextsDue))
	f.textsLate.Set(v.TextsLate.Seconds())
	f.nodes.Set(float64(v.Nodes))
	f.bytes.Set(float64(v.Bytes))
	f.readAt.Set(float64(now.Unix()))
}

// states sets a gauge for every state, also for those in which nothing stands.
func states[S ~string](g *prometheus.GaugeVec, counts map[string]int, all ...S) {
	for _, s := range all {
		g.WithLabelValues(string(s)).Set(float64(counts[string(s)]))
	}
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// lastBackupAt is when the database was last saved, Unix microseconds, 0 when no backup is noted.
func lastBackupAt(dir string) int64 {
	var note backupNote
	b, err := os.ReadFile(filepath.Join(dir, lastBackup)) //nolint:gosec // the operator's own folder
	if err != nil || json.Unmarshal(b, &note) != nil {
		return 0
	}
	return note.At
}
