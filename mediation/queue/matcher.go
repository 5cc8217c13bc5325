package queue

import (
	"context"
	"log/slog"
	"time"

	"heyi/gateway/wire"
	"heyi/internal/coord"
	"heyi/internal/fault"
	"heyi/internal/ident"
)

// Show is what a waiting ticket's holder is shown from now on.
type Show struct {
	Ticket ident.TicketID
	Ahead  int
	Passed bool
	Range  Range
}

// Work is what one run of the matcher asks the store to do.
type Work struct {
	Epoch   int64 // of the matcher lease
	At      int64 // Unix microseconds
	LeaseTo int64 // end of the offers' lease
	Plan    Plan
	Shows   []Show
}

// Shown is a ticket whose shown values were saved.
type Shown struct {
	Ticket ident.TicketID
	Device ident.DeviceID
	Phone  ident.GrantID
	Ver    int64 // of the terminal's situation
}

// Outcome is what the store did of a Work; pairs whose ticket or seat changed meanwhile are left out.
type Outcome struct {
	Offers []Offer
	Shown  []Shown
}

// MatchStore is the truth that the matcher reads and writes.
type MatchStore interface {
	AcquireLease(ctx context.Context, name, owner string, ttl time.Duration, now time.Time) (epoch int64, ok bool, err error)
	RenewLeases(ctx context.Context, owner string, held map[string]int64, ttl time.Duration, now time.Time) (lost []string, err error)
	ReleaseLease(ctx context.Context, name, owner string, epoch int64) error
	// Snapshot reads the line and the seats on duty.
	Snapshot(ctx context.Context, at int64) (Snapshot, error)
	// Commit makes the offers of a plan in one transaction. For each pair it re-checks the ticket's version and
	// state, the seat's state, link and capacity; a unique index allows one open offer a ticket. Errors:
	// fault.Conflict "matcher.lost_lease" when the epoch no longer holds the lease.
	Commit(ctx context.Context, w Work) (Outcome, error)
}

// MatcherDeps are what a Matcher works with.
type MatcherDeps struct {
	Store    MatchStore
	Nudges   coord.Nudges
	Node     string
	Limits   Limits
	Handling HandlingTimes
	Now      func() time.Time
	Logger   *slog.Logger
	Every    time.Duration // longest time between two runs; 0 means 500 ms
	Lease    time.Duration // of the matcher lease; 0 means 4 s
}

// LeaseName is the lease that one matcher of the installation holds.
const LeaseName = "matcher"

// rangeEvery is how often a shown range may grow by its one step.
const rangeEvery = time.Minute

// Matcher runs Match while it holds the matcher lease.
type Matcher struct {
	d     MatcherDeps
	wake  chan struct{}
	epoch int64 // 0 = not held
	renew time.Time
	grown time.Time // when ranges were last allowed to grow
}

// NewMatcher returns a Matcher; Run does the work.
func NewMatcher(d MatcherDeps) *Matcher {
	if d.Every == 0 {
		d.Every = 500 * time.Millisecond
	}
	if d.Lease == 0 {
		d.Lease = 4 * time.Second
	}
	if d.Limits.OfferLease == 0 {
		d.Limits = Defaults()
	}
	if d.Handling.Consult.P50 == 0 {
		d.Handling = DefaultHandling()
	}
	return &Matcher{d: d, wake: make(chan struct{}, 1)}
}

// Run matches until ctx is done: at every nudge to "matcher", at least every 500 ms. A failed round is logged and
// repeated.
func (m *Matcher) Run(ctx context.Context) error {
	stop := m.d.Nudges.Subscribe(func(n coord.Nudge) {
		if n.To == coord.ToMatcher || n.To == coord.ToGap {
			select {
			case m.wake <- struct{}{}:
			default:
			}
		}
	})
	defer stop()
	tick := time.NewTicker(m.d.Every)
	defer tick.Stop()
	for {
		if err := m.Step(ctx); err != nil && ctx.Err() == nil {
			m.d.Logger.ErrorContext(ctx, "match", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return m.release(ctx)
		case <-tick.C:
		case <-m.wake:
		}
	}
}

func (m *Matcher) release(ctx context.Context) error {
	if m.epoch != 0 {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if err := m.d.Store.ReleaseLease(ctx, LeaseName, m.d.Node, m.epoch); err != nil {
			m.d.Logger.WarnContext(ctx, "release the matcher lease", slog.Any("error", err))
		}
		m.epoch = 0
	}
	return ctx.Err()
}

// Took tells the matcher that this node holds the lease already: it took its own rows over after a restart.
func (m *Matcher) Took(epoch int64) { m.epoch = epoch }

// Step is one run: hold the lease, read, match, commit, tell. Without the lease it does nothing.
func (m *Matcher) Step(ctx context.Context) error {
	now := m.d.Now()
	if err := m.hold(ctx, now); err != nil || m.epoch == 0 {
		return err
	}
	snap, err := m.d.Store.Snapshot(ctx, now.UnixMicro())
	if err != nil {
		return err
	}
	w := Work{Epoch: m.epoch, At: now.UnixMicro(), LeaseTo: now.Add(m.d.Limits.OfferLease).UnixMicro(), Plan: Match(snap), Shows: m.shows(snap, now)}
	if len(w.Plan.Pairs)+len(w.Plan.Raises)+len(w.Shows) == 0 {
		return nil
	}
	out, err := m.d.Store.Commit(ctx, w)
	if err != nil {
		if fault.CodeOf(err) == "matcher.lost_lease" {
			m.epoch = 0
			return nil
		}
		return err
	}
	for _, o := range out.Offers {
		m.d.Nudges.Publish(ctx, coord.Nudge{To: "staff/" + string(o.Seat), T: wire.OfferNew, ID: string(o.ID), Ver: o.Ver})
	}
	for _, s := range out.Shown {
		n := coord.Nudge{To: "device/" + string(s.Device), T: wire.TicketState, ID: string(s.Ticket), Ver: s.Ver, Why: "line"}
		m.d.Nudges.Publish(ctx, n)
		if s.Phone != "" {
			n.To = "capture/" + string(s.Phone)
			m.d.Nudges.Publish(ctx, n)
		}
	}
	if len(out.Offers) > 0 {
		m.d.Nudges.Publish(ctx, coord.Nudge{To: coord.ToConsole, ID: "queue"})
	}
	return nil
}

// hold takes or renews the lease; it is renewed at a third of its length.
func (m *Matcher) hold(ctx context.Context, now time.Time) error {
	if m.epoch == 0 {
		epoch, ok, err := m.d.Store.AcquireLease(ctx, LeaseName, m.d.Node, m.d.Lease, now)
		if err != nil || !ok {
			return err
		}
		m.epoch, m.renew = epoch, now
		return nil
	}
	if now.Sub(m.renew) < m.d.Lease/3 {
		return nil
	}
	lost, err := m.d.Store.RenewLeases(ctx, m.d.Node, map[string]int64{LeaseName: m.epoch}, m.d.Lease, now)
	if err != nil {
		return err
	}
	m.renew = now
	if len(lost) > 0 {
		m.epoch = 0
	}
	return nil
}

// showBatch bounds how many tickets get new shown values in one run; the rest follow in the next ones.
const showBatch = 200

// shows returns what changed for those who wait.
func (m *Matcher) shows(s Snapshot, now time.Time) []Show {
	ahead := Ahead(s.Tickets)
	ranges := Estimate(s, m.d.Handling)
	mayGrow := now.Sub(m.grown) >= rangeEvery
	if mayGrow {
		m.grown = now
	}
	var list []Show
	for _, t := range waiting(s.Tickets) {
		last := Range{t.Lo, t.Hi}
		show := Show{
			Ticket: t.ID, Ahead: ShownAhead(t.Shown, ahead[t.ID]), Passed: t.Passed || ahead[t.ID] > t.Shown,
			Range: ShownRange(last, ranges[t.ID], mayGrow),
		}
		if show.Ahead != t.Shown || show.Passed != t.Passed || show.Range != last {
			if list = append(list, show); len(list) == showBatch {
				break
			}
		}
	}
	return list
}
