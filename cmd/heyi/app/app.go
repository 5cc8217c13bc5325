// Package app wires one process from a Config. It is the only place that knows every package; tests start it too.
package app

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"heyi/cases"
	"heyi/configs"
	"heyi/devices"
	"heyi/gateway"
	"heyi/gateway/auth"
	"heyi/gateway/link"
	"heyi/gateway/rest"
	"heyi/internal/lifecycle"
	kioskui "heyi/kiosk-ui"
	"heyi/media"
	"heyi/media/nodes"
	"heyi/media/rtc"
	"heyi/mediation/flow"
	"heyi/mediation/handoff"
	"heyi/mediation/partylink"
	"heyi/mediation/queue"
	"heyi/mediation/session"
)

// Version is set by the build.
var Version = "dev" //nolint:gochecknoglobals // -ldflags -X needs a variable

// serviceTZ is the time zone of ticket numbers and "today".
const serviceTZ = "Asia/Shanghai"

// Run serves until ctx is done; out gets the addresses for people. It returns after everything has stopped.
func Run(ctx context.Context, cfg configs.Config, out io.Writer) error {
	unlock, err := lockData(cfg.Data)
	if err != nil {
		return err
	}
	defer unlock()
	p, err := openParts(ctx, cfg)
	if err != nil {
		return err
	}
	defer p.close()
	n := &node{parts: p}
	err = n.build(ctx)
	if err == nil {
		err = n.announce(ctx, out)
	}
	if err != nil { // what is open already, sockets above all, is closed by running and stopping it at once
		over, cancel := context.WithCancel(ctx)
		cancel()
		return errors.Join(err, n.group.Run(over))
	}
	return n.group.Run(ctx)
}

// announce makes the demo's accounts and tells people where to go.
func (n *node) announce(ctx context.Context, out io.Writer) (err error) {
	d := demoFile{}
	if n.cfg.Demo {
		if d, err = seedDemo(ctx, n.people, n.tree, n.cfg.Data, n.local); err != nil {
			return err
		}
	}
	return banner(out, n.local, n.public, d)
}

// node is one running process: its parts in the order in which they start.
type node struct {
	*parts
	group  lifecycle.Group
	local  string // address of the pages on this machine
	public string // address that stands in links and QR codes

	self     devices.NodeID
	leases   *leases
	nodes    *nodes.Directory
	presence *devices.Presence
	streams  *devices.Streams
	commands *devices.Commands
	registry *devices.Registry
	history  *devices.History
	upkeep   *devices.Upkeep
	tokens   *auth.Tokens
	auth     *auth.Authenticator
	engine   *rtc.Engine
	rooms    *session.Executor
	captures *session.Captures
	links    *partylink.Links
	dockets  *flow.Dockets
	render   handoff.Render
	cases    *cases.Intake
	desk     *queue.Desk
	flow     *flow.Flow
	views    *flow.Views
	hub      *link.Hub
	retire   func() // turns readiness off
	tz       *time.Location
	deaf     atomic.Bool // other nodes live that this one cannot hear
}

// build makes the parts in the order in which they start.
func (n *node) build(ctx context.Context) (err error) {
	n.group.StopTimeout = max(n.cfg.HTTP.DrainTimeout, n.cfg.Media.DrainDeadline+n.cfg.Media.DrainOverlap) + 10*time.Second
	n.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	buildInfo(n.metrics)
	if n.tz, err = time.LoadLocation(serviceTZ); err != nil {
		n.tz = time.FixedZone("CST", 8*60*60)
	}
	if n.local, n.public, err = addresses(n.cfg.HTTP); err != nil {
		return err
	}
	holder, err := folderID(n.cfg.Data)
	if err != nil {
		return err
	}
	caseStore := slices.Contains(n.cfg.Roles, configs.RoleCases)
	wanted := []string{devices.SweeperLease}
	if !caseStore {
		wanted = append(wanted, nodes.Lease(n.cfg.Node.Name))
	}
	l, incarnation, others, err := newLeases(ctx, n.store, n.cfg, holder, n.now, n.logger, wanted...)
	if err != nil {
		return err
	}
	n.leases = l
	if n.carry != nil {
		n.group.Add("coordination", n.carry) // first: it stops last, and the others' last words still travel
	}
	if caseStore {
		return n.casesOnly(ctx, incarnation)
	}
	if err := n.identity(ctx, incarnation); err != nil {
		return err
	}
	if err := n.mediation(ctx, others); err != nil {
		return err
	}
	return n.front(ctx)
}

// identity makes what knows who is calling.
func (n *node) identity(ctx context.Context, incarnation int64) error {
	secret, err := n.hmacKey(ctx)
	if err != nil {
		return err
	}
	c := n.cfg.Fleet
	reg := devices.Config{Demo: n.cfg.Demo, ClaimsPerMinute: c.ClaimsPerMin}
	if n.cfg.Demo {
		u, ok := n.tree.ByCode(pad(c.DemoUnit))
		if !ok {
			return fmt.Errorf("fleet.demo_unit %q: no unit has this code", c.DemoUnit)
		}
		reg.DemoUnit, reg.DemoName = u.ID, "演示电视"
	}
	n.registry = devices.NewRegistry(reg, devices.Deps{
		Claims: n.store, Fleet: n.store, Lists: n.store, CA: n.keys, Limiter: n.loose, Nudges: n.coord, Now: n.now, Logger: n.logger,
	})
	n.self = devices.NodeID{Name: n.cfg.Node.Name, Inc: incarnation}
	n.streams = devices.NewStreams(devices.StreamsDeps{Store: n.store, Node: n.self, Kept: c.EventsKept, Logger: n.logger})
	n.commands = devices.NewCommands(devices.CommandsConfig{
		Open: c.CommandsOpen, Kept: c.CommandsKept, Silent: c.CommandSilent, FilesKept: c.FilesKept, FileMax: c.FileMax, Sweep: c.Sweep,
	}, devices.CommandsDeps{Store: n.store, Leases: n.leases, Nudges: n.coord, Node: n.self, Now: n.now, Logger: n.logger})
	n.presence = devices.NewPresence(devices.PresenceConfig{Grace: c.Grace, Sweep: c.Sweep}, devices.PresenceDeps{
		Store: n.store, Leases: n.leases, Nudges: n.coord, Node: n.self,
		Live: func() []devices.Sighting { return link.Sightings(n.hub.Seen()) }, Now: n.now, Logger: n.logger,
	})
	n.history = devices.NewHistory(n.store, n.now)
	n.upkeep = devices.NewUpkeep(devices.UpkeepConfig{Every: c.Audit, Kept: c.LinksKept}, devices.UpkeepDeps{
		Store: n.store, Leases: n.leases, Node: n.self, Drift: driftGauge(n.metrics), Now: n.now, Logger: n.logger,
		Links: func(share float64) []devices.Sighting { return link.Sightings(n.hub.Linked(share)) },
	})
	n.tokens = auth.NewTokens(n.keys, n.store)
	n.links = n.partyLinks()
	n.auth = auth.NewAuthenticator(auth.Deps{
		Keys: n.keys, Tokens: n.tokens, Epochs: n.store, Signins: n.people, Grants: n.store, Links: n.links, CSRFKey: subkey(secret, "csrf"), Now: n.now,
	})
	n.captures = session.NewCaptures(session.CapturesDeps{
		Store: n.store, Limiter: n.coord, Loose: n.loose, Nudges: n.coord, Key: subkey(secret, "captures"), Now: n.now, Life: n.cfg.Room.Capture,
		Wake: func() { n.rooms.Wake() },
	})
	return n.presence.Restart(ctx) //nolint:wrapcheck // names itself
}

// driftGauge shows by how much things differ that must agree.
func driftGauge(reg prometheus.Registerer) func(kind string, n int) {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: "heyi", Subsystem: "fleet", Name: "drift", Help: "Devices about which presence does not agree with itself; must be 0.",
	}, []string{"kind"})
	reg.MustRegister(g)
	for _, kind := range []string{devices.DriftCounters, devices.DriftNoRow, devices.DriftNoSocket} {
		g.WithLabelValues(kind).Set(0)
	}
	return func(kind string, n int) { g.WithLabelValues(kind).Set(float64(n)) }
}

// mediation makes the line, the sessions and the rooms.
func (n *node) mediation(ctx context.Context, leases map[string]int64) error {
	q, r := n.cfg.Queue, n.cfg.Room
	lines := queue.Defaults()
	lines.OfferLease, lines.Ring, lines.MissedKeep, lines.LinkGrace = q.OfferLease, q.Ring, q.Missed, q.Grace
	lines.ParkedKeep, lines.WrapUp, lines.SeatLink, lines.TicketsAHour = q.Parked, q.WrapUp, q.SeatLost, q.TicketsPerHour
	limits := session.Limits{Grace: r.Grace, Suspended: r.Suspended}
	profile := rtc.ProfileAuto
	if n.cfg.Media.Profile == "e2e" {
		profile = rtc.ProfileE2E
	}
	engine, err := rtc.New(rtc.Config{ //nolint:contextcheck // binding a socket waits for nothing

		ListenUDP: n.mediaAddresses(), PublicIPs: n.cfg.Media.PublicIPs, Profile: profile, MaxRooms: n.cfg.Media.MaxRooms, Logger: n.logger,
		Watcher: func(p media.Presence) { n.rooms.Watch(p) },
	})
	if err != nil {
		return fmt.Errorf("media: %w", err)
	}
	n.engine = engine
	if err := n.directory(ctx); err != nil {
		return err
	}
	name := n.cfg.Node.Name
	n.rooms = session.NewExecutor(session.ExecutorDeps{
		Store: n.store, Engine: engine, Nudges: n.coord, Node: name, Hosts: n.nodes, Held: n.holdsRooms, FrozenMax: n.cfg.Media.FrozenMax, Limits: limits, Now: n.now, Logger: n.logger, Sweep: n.cfg.Media.SpecSweep,
	})
	n.desk = queue.NewDesk(queue.Deps{Store: n.store, Nudges: n.coord, Node: name, Now: n.now, Limits: lines, TZ: n.tz})
	n.flow = flow.New(flow.Deps{Store: n.store, Rooms: n.rooms, Nudges: n.coord, Node: name, Place: n.nodes.Place, Queue: lines, Session: limits, Logger: n.logger})
	board := queue.NewBoard(queue.BoardDeps{Store: n.store, Now: n.now})
	n.views = &flow.Views{Store: n.store, Service: board, Now: n.now, TZ: n.tz, Lease: q.OfferLease}
	matcher := queue.NewMatcher(queue.MatcherDeps{
		Store: n.store, Nudges: n.coord, Node: name, Limits: lines, Handling: queue.DefaultHandling(), Now: n.now, Logger: n.logger, Every: q.MatchEvery,
	})
	if epoch, ok := leases[queue.LeaseName]; ok {
		matcher.Took(epoch)
	}
	if err := n.disputes(ctx, limits); err != nil {
		return err
	}
	sweeper := &flow.Sweeper{Flow: n.flow, Now: n.now}
	n.group.Add("keys", n.keys.Run)
	n.group.Add("clock", n.runClock)
	n.group.Add("leases", n.leases.Run)
	n.group.Add("media", engine.Run)
	n.group.Add("rooms", n.rooms.Run)
	n.group.Add("frozen", n.rooms.Guard)
	n.group.Add("nodes", n.nodes.Run)
	n.group.Add("presence", n.presence.Run)
	n.group.Add("commands", n.commands.Run)
	n.group.Add("upkeep", n.upkeep.Run)
	n.group.Add("matcher", matcher.Run)
	n.group.Add("timers", sweeper.Run)
	n.group.Add("finisher", (&flow.Finisher{Dockets: n.dockets}).Run)
	if err := n.packages(); err != nil {
		return err
	}
	n.group.Add("housekeeping", n.housekeeping)
	if err := n.desk.Restarted(ctx); err != nil {
		return err //nolint:wrapcheck // names itself
	}
	// before anybody is let in: a ring answered at once must not meet the deadline from before the downtime
	if err := sweeper.Step(ctx); err != nil {
		n.logger.WarnContext(ctx, "the first sweep is repeated", slog.Any("error", err))
	}
	return nil
}

// front makes the doors: links, REST, screens, one port.
func (n *node) front(ctx context.Context) error {
	n.hub = link.New(n.linkConfig(), link.Deps{
		Verifier: link.NewVerifier(n.auth, n.tokens), Presence: link.NewPresence(n.presence), Streams: n.streams, Down: n.commands, Rooms: n.rooms, RoomPages: n.pageOf, Nudges: n.coord,
		Facts: n.facts(n.self), Sync: n.sync, Views: n.liveView, Watch: n.seatWatch, Cloned: n.cloned, Metrics: n.metrics, Logger: n.logger, Now: n.now,
	})
	link.Topics{Requests: n.requests(), Dockets: n.dockets}.Register(n.hub)
	n.registerParts()
	n.group.Add("figures", n.watchFigures)
	n.group.Add("audit", n.audit)
	if err := n.open(ctx, n.areas()); err != nil {
		return err
	}
	n.group.Add("rooms move away", n.moveAway) // the last part stops first
	return nil
}

// open makes the REST door with its areas, and the port.
func (n *node) open(ctx context.Context, areas []rest.Area) error {
	api, err := rest.New(rest.Deps{Auth: n.auth, Info: n.info, Logger: n.logger, Now: n.now, MaxUpload: n.cfg.HTTP.UploadLimit, Metrics: n.metrics}, areas...) //nolint:contextcheck // requests bring their own
	if err != nil {
		return fmt.Errorf("routes: %w", err)
	}
	c := n.cfg.HTTP
	tls := gateway.TLS{CertFile: c.CertFile, KeyFile: c.KeyFile}
	if c.TLS {
		tls.Dir = n.cfg.Data
	}
	server, err := gateway.New(ctx, gateway.Config{
		Listen: c.Listen, Plain: c.PlainListen, TLS: tls, Trusted: n.trusted(), Nodes: n.sockets, MetricsToken: c.MetricsToken,
		DrainWindow: n.drainWindow, DrainMax: c.DrainTimeout,
	}, gateway.Deps{API: api, Hub: n.hub, UI: kioskui.Handler(), Ready: n.store.Ping, Coord: n.coordState, Metrics: n.metrics, Logger: n.logger, Now: n.now})
	if err != nil {
		return fmt.Errorf("front door: %w", err)
	}
	n.retire = server.Retire
	n.group.Add("texts", n.textSender().Run)
	n.group.Add("memory", n.memory)
	n.group.Add("load", n.load)
	n.group.Add("front door", server.Run)
	return nil
}

// housekeeping forgets spent tokens that are over.
func (n *node) housekeeping(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if err := n.store.Sweep(ctx, n.now()); err != nil && ctx.Err() == nil {
				n.logger.WarnContext(ctx, "old tokens stay", slog.Any("error", err))
			}
		}
	}
}

// subkey derives the key of one use.
func subkey(secret []byte, use string) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte("heyi " + use))
	return h.Sum(nil)
}
