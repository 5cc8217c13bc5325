package devices

import (
	"context"
	"slices"
	"time"

	"heyi/internal/ident"
)

// LinkSpan is one link that ended.
type LinkSpan struct {
	Device   ident.DeviceID
	Epoch    int64
	Node     string
	From, To int64
	Cause    string // network, idle, reboot, ..., node_lost, superseded
	Bytes    int64
}

// NodeLoss is what an operator hears when a gateway is gone: one line, however many devices it held.
type NodeLoss struct {
	Node      string
	Inc       int64
	Why       string // lost, restarted
	At        int64
	Links     int // devices that were linked to it
	Moving    int // of them, still inside their grace
	Off       int // of them, not back after it
	SettledAt int64
}

// Back is how many of the devices have a link again.
func (l NodeLoss) Back() int { return max(0, l.Links-l.Moving-l.Off) }

// NodeLinks is a gateway by its lease, with the devices whose rows name it.
type NodeLinks struct {
	Node     string
	Inc      int64
	LeaseEnd int64 // when its last renewal ends
	Released bool  // it went by itself
	Links    int
}

// HistoryStore keeps what was: links that ended, nodes that were lost; and compares what is.
type HistoryStore interface {
	// DeviceLinks returns links of devices in the scope that ended since an instant, per device the newest first.
	DeviceLinks(ctx context.Context, s Scope, ids []ident.DeviceID, since int64, limit int) ([]LinkSpan, error)
	// NodeLosses returns losses since an instant and those that are not over, the newest first.
	NodeLosses(ctx context.Context, since int64, limit int) ([]NodeLoss, error)
	NodeLinks(ctx context.Context) ([]NodeLinks, error)
	// DevicePast counts visits since two instants and lists the claims of a device, the newest first.
	DevicePast(ctx context.Context, s Scope, id ident.DeviceID, day, month int64) (Past, error)
	// ForgetLinks removes up to limit links that ended before an instant, and losses that old.
	ForgetLinks(ctx context.Context, before int64, limit int) (int64, error)
	// LinksOf returns rows that name a node's incarnation, by id; At is when the link came up.
	LinksOf(ctx context.Context, n NodeID, after ident.DeviceID, limit int) ([]Sighting, error)
	// LinkedHere returns those of a batch whose row names this node and epoch.
	LinkedHere(ctx context.Context, n NodeID, batch []Sighting) ([]ident.DeviceID, error)
	// RecountFleet compares the counters with what they count, repairs them, and returns by how much they were wrong.
	RecountFleet(ctx context.Context) (drift int, err error)
}

// dayLinks bounds the ended links of one day that one question reads, of all its devices together.
const dayLinks = 20_000

// History answers what was. It is safe for concurrent use; what it hands out is shared between callers.
type History struct {
	store HistoryStore
	now   func() time.Time
	board *shared[Board]
}

// NewHistory returns a ready History.
func NewHistory(s HistoryStore, now func() time.Time) *History {
	return &History{store: s, now: now, board: newShared[Board](now, time.Second)}
}

// Board is the gateways and the losses of late.
type Board struct {
	Nodes  []NodeLinks
	Losses []NodeLoss
}

// Open reports whether devices of a node are still on their way to another one.
func (b Board) Open(n NodeLinks) bool {
	return slices.ContainsFunc(b.Losses, func(l NodeLoss) bool { return l.Node == n.Node && l.Inc == n.Inc && l.SettledAt == 0 })
}

// losses is how many losses a board shows.
const losses = 20

// Board returns the gateways, and the losses of a span of time; at most a second old.
func (h *History) Board(ctx context.Context, span time.Duration) (Board, error) {
	return h.board.get(ctx, span.String(), func(ctx context.Context) (Board, error) {
		nodes, err := h.store.NodeLinks(ctx)
		if err != nil {
			return Board{}, err
		}
		list, err := h.store.NodeLosses(ctx, h.now().Add(-span).UnixMicro(), losses)
		return Board{Nodes: nodes, Losses: list}, err
	})
}

// Links returns links of one device that ended since an instant, the newest first, at most limit.
func (h *History) Links(ctx context.Context, s Scope, id ident.DeviceID, since time.Time, limit int) ([]LinkSpan, error) {
	return h.store.DeviceLinks(ctx, s, []ident.DeviceID{id}, since.UnixMicro(), limit)
}

// Past is what a device's page tells of people and of its enrolment: how many and when, never who.
type Past struct {
	VisitsToday, VisitsMonth int
	Claims                   []Claim
}

// Past returns the visits of a day and of 30 days and the claims of a device.
func (h *History) Past(ctx context.Context, s Scope, id ident.DeviceID) (Past, error) {
	now := h.now()
	return h.store.DevicePast(ctx, s, id, now.Add(-24*time.Hour).UnixMicro(), now.Add(-30*24*time.Hour).UnixMicro())
}

// DayHours is how many parts a day's bar has.
const DayHours = 24

// Days draws the last 24 hours of devices, an hour a letter, the oldest first: o online all the time, p part of it, x not
// at all, - nothing is known (it was not there yet).
func (h *History) Days(ctx context.Context, s Scope, rows []Row) (map[ident.DeviceID]string, error) {
	ids := make([]ident.DeviceID, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	now := h.now()
	spans, err := h.store.DeviceLinks(ctx, s, ids, now.Add(-DayHours*time.Hour).UnixMicro(), dayLinks)
	if err != nil {
		return nil, err
	}
	by := map[ident.DeviceID][]LinkSpan{}
	for _, l := range spans {
		by[l.Device] = append(by[l.Device], l)
	}
	days := make(map[ident.DeviceID]string, len(rows))
	for _, r := range rows {
		days[r.ID] = Day(r, by[r.ID], now)
	}
	return days, nil
}

// Day draws one device's last 24 hours from the links that ended in them and its present state.
func Day(r Row, spans []LinkSpan, now time.Time) string {
	end := now.UnixMicro()
	const hour = int64(time.Hour / time.Microsecond)
	var up [DayHours]int64 // microseconds with a link
	add := func(from, to int64) {
		for i := range up {
			lo := end - int64(DayHours-i)*hour
			up[i] += max(0, min(to, lo+hour)-max(from, lo))
		}
	}
	for _, l := range spans {
		add(l.From, l.To)
	}
	if r.Presence == Connected {
		add(r.SinceAt, end)
	}
	bar := make([]byte, DayHours)
	for i := range up {
		switch lo := end - int64(DayHours-i)*hour; {
		case lo+hour <= r.At:
			bar[i] = '-'
		case up[i] >= hour-int64(time.Minute/time.Microsecond):
			bar[i] = 'o'
		case up[i] > 0:
			bar[i] = 'p'
		default:
			bar[i] = 'x'
		}
	}
	return string(bar)
}
