package devices

import (
	"context"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"heyi/internal/audit"
	"heyi/internal/coord"
	"heyi/internal/fault"
	"heyi/internal/ident"
)

// ClaimStore keeps claims and carries out enrolments.
type ClaimStore interface {
	// InsertClaim keeps a waiting claim.
	InsertClaim(ctx context.Context, c Claim) error
	// Claim returns a claim and, when approved, the credential's text. fault.NotFound "claim.not_found".
	Claim(ctx context.Context, id ident.ClaimID) (Claim, string, error)
	// OpenClaims lists what waits at now: claims of unknown serials and of devices in the scope; code "" is all.
	OpenClaims(ctx context.Context, s Scope, code string, now int64) ([]Claim, error)
	// DeviceBySerial returns the device with a serial that is not retired. fault.NotFound "device.not_found".
	DeviceBySerial(ctx context.Context, serial string) (Device, error)
	// Enrol commits an enrolment. fault.Conflict "claim.answered", "claim.changed"; fault.Expired "claim.expired";
	// fault.NotFound "claim.not_found", "org.no_unit".
	Enrol(ctx context.Context, e Enrolment) (Enrolled, error)
	// RefuseClaim turns a waiting claim down. fault.NotFound "claim.not_found"; fault.Conflict "claim.answered".
	RefuseClaim(ctx context.Context, s Scope, id ident.ClaimID, at int64) error
}

// FleetStore keeps devices and visits. Everything with a Scope answers "device.not_found" for what lies outside it.
type FleetStore interface {
	// ImportDevices adds expected devices, each on its own; the results stand in the order of the lines.
	ImportDevices(ctx context.Context, s Scope, lines []ImportLine, at int64) ([]ImportResult, error)
	// SetLife moves a device along an edge of Life. fault.Conflict "device.life".
	SetLife(ctx context.Context, c LifeChange) (Enrolled, error)
	DeviceRow(ctx context.Context, s Scope, id ident.DeviceID) (Row, error)
	DeviceEvents(ctx context.Context, s Scope, id ident.DeviceID, limit int) ([]audit.Event, error)
	OpenVisit(ctx context.Context, v Visit, key string) (Visit, error)
	Situated(ctx context.Context, id ident.DeviceID) (Device, *Visit, error)
}

// CA gives the active key of the device CA.
type CA interface {
	DeviceCA(ctx context.Context) (CAKey, error)
}

// Config holds the limits and the demo's policy. Zero values take the defaults of docs/protocol.md.
type Config struct {
	Demo            bool
	DemoUnit        ident.UnitID  // where the demo's own TV stands
	DemoName        string        // what it is called
	WeakestKeyStore KeyStore      // outside demo webcrypto, in demo soft
	ClaimsPerMinute int           // an address; 30
	WrongCodes      int           // an operator in 10 minutes; 10
	ClaimSweep      time.Duration // how often a long poll looks again without a nudge; 5 s
	CountsKept      time.Duration // how old the counts beside a list may be; 1 s
}

// Deps are what a Registry works with. All must be set.
type Deps struct {
	Claims  ClaimStore
	Fleet   FleetStore
	Lists   ListStore
	CA      CA
	Limiter coord.Limiter
	Nudges  coord.Nudges
	Now     func() time.Time
	Logger  *slog.Logger
}

// Registry carries out what terminals and operators ask for.
type Registry struct {
	cfg     Config
	claims  ClaimStore
	fleet   FleetStore
	lists   *lists
	ca      CA
	limiter coord.Limiter
	nudges  coord.Nudges
	now     func() time.Time
	logger  *slog.Logger
}

// NewRegistry returns a ready Registry.
func NewRegistry(cfg Config, d Deps) *Registry {
	if cfg.WeakestKeyStore == "" {
		cfg.WeakestKeyStore = WebCryptoKey
		if cfg.Demo {
			cfg.WeakestKeyStore = SoftKey
		}
	}
	if cfg.ClaimsPerMinute == 0 {
		cfg.ClaimsPerMinute = 30
	}
	if cfg.WrongCodes == 0 {
		cfg.WrongCodes = 10
	}
	if cfg.ClaimSweep == 0 {
		cfg.ClaimSweep = 5 * time.Second
	}
	if cfg.CountsKept == 0 {
		cfg.CountsKept = time.Second
	}
	return &Registry{
		cfg: cfg, claims: d.Claims, fleet: d.Fleet, lists: newLists(d.Lists, d.Now, cfg.CountsKept), ca: d.CA, limiter: d.Limiter, nudges: d.Nudges, now: d.Now, logger: d.Logger,
	}
}

// Enrolled is a device after a change that moved its epoch.
type Enrolled struct {
	ID    ident.DeviceID
	Epoch int64
}

// LifeChange is an operator's decision about a device.
type LifeChange struct {
	ID     ident.DeviceID
	To     Life
	Reason string // the operator's words; the event log holds their digest only
	Key    string // idempotency
	Scope  Scope
	At     int64
}

// Disable takes a device out of service for a while: its link closes 4505, its key stays.
//
// Errors: fault.NotFound "device.not_found"; fault.Conflict "device.life"; fault.Invalid "device.bad_reason".
func (r *Registry) Disable(ctx context.Context, c LifeChange) (Row, error) {
	return r.setLife(ctx, c, Disabled)
}

// Enable lets a disabled or quarantined device in again. Errors as Disable.
func (r *Registry) Enable(ctx context.Context, c LifeChange) (Row, error) {
	return r.setLife(ctx, c, Active)
}

// Revoke retires a device for ever: its link closes 4501, its credential is void. Its serial may enrol again as a
// new device. Errors as Disable.
func (r *Registry) Revoke(ctx context.Context, c LifeChange) (Row, error) {
	return r.setLife(ctx, c, Retired)
}

func (r *Registry) setLife(ctx context.Context, c LifeChange, to Life) (Row, error) {
	if !text(c.Reason, 0, 200) {
		return Row{}, fault.InField("device.bad_reason", "reason")
	}
	c.To, c.At = to, r.now().UnixMicro()
	done, err := r.fleet.SetLife(ctx, c)
	if err != nil {
		return Row{}, err
	}
	if to != Active {
		r.kick(ctx, done.ID, done.Epoch, to)
	}
	r.changed(ctx, done.ID)
	return r.fleet.DeviceRow(ctx, c.Scope, c.ID)
}

// Device returns one device. fault.NotFound "device.not_found".
func (r *Registry) Device(ctx context.Context, s Scope, id ident.DeviceID) (Row, error) {
	return r.fleet.DeviceRow(ctx, s, id)
}

// Devices lists devices of the scope. fault.Invalid "list.bad_cursor", "list.bad_filter".
func (r *Registry) Devices(ctx context.Context, s Scope, f Filter) (Page, error) {
	if err := f.check(); err != nil {
		return Page{}, err
	}
	page, err := r.lists.store.DeviceRows(ctx, s, f)
	if err != nil {
		return Page{}, err
	}
	if whole := f.Chip == "" && f.Cursor == "" && f.Offset == 0 && page.Next == ""; whole { // the page is the list: it counts itself
		page.Chips = Tally{}
		for _, row := range page.Rows {
			page.Chips[row.Chip]++
		}
	} else if page.Chips, err = r.lists.tally(ctx, s, f); err != nil {
		return Page{}, err
	}
	page.Total = page.Chips.Of(f.Chip)
	return page, nil
}

// Watched is how the rows of a window stand now.
type Watched struct {
	Rows  []Row // those that are in the scope and still match the filter
	Total int   // of the whole filter
}

// Watch reads the rows of a window again, at most MaxRows. It costs by the number of ids, not by the size of the fleet;
// under tells which units lie in the filter's subtree. fault.Invalid "list.bad_filter".
func (r *Registry) Watch(ctx context.Context, s Scope, f Filter, ids []ident.DeviceID, under func(root, unit ident.UnitID) bool) (Watched, error) {
	if err := f.check(); err != nil {
		return Watched{}, err
	}
	if len(ids) > MaxRows {
		return Watched{}, fault.InField("list.bad_filter", "ids")
	}
	rows, err := r.lists.rows(ctx, s, ids)
	if err != nil {
		return Watched{}, err
	}
	var out Watched
	for _, row := range rows {
		if f.Match(row, under) {
			out.Rows = append(out.Rows, row)
		}
	}
	tally, err := r.lists.tally(ctx, s, f)
	out.Total = tally.Of(f.Chip)
	return out, err
}

// NoteExport writes down who took a list with him, by which filter and how long it was. fault.Invalid "list.bad_filter".
func (r *Registry) NoteExport(ctx context.Context, s Scope, f Filter, rows int) error {
	if err := f.check(); err != nil {
		return err
	}
	return r.lists.store.NoteExport(ctx, s, f, rows, r.now().UnixMicro())
}

// Models lists the models of the scope, the most frequent first; at most a minute old.
func (r *Registry) Models(ctx context.Context, s Scope) (Models, error) {
	return r.lists.models(ctx, s)
}

// Events returns the newest events of a device, newest first. fault.NotFound "device.not_found".
func (r *Registry) Events(ctx context.Context, s Scope, id ident.DeviceID, limit int) ([]audit.Event, error) {
	return r.fleet.DeviceEvents(ctx, s, id, limit)
}

// Count is how many devices a unit has, retired ones left out. Offline has the lost ones in it; Fault are those whose
// absence is one: fixed in a public place and off.
type Count struct{ Total, Online, Suspect, Offline, Lost, Fault, Quarantined int }

// Add returns the sum.
func (c Count) Add(o Count) Count {
	return Count{c.Total + o.Total, c.Online + o.Online, c.Suspect + o.Suspect, c.Offline + o.Offline, c.Lost + o.Lost, c.Fault + o.Fault, c.Quarantined + o.Quarantined}
}

// Put adds n devices of a class with a chip.
func (c Count) Put(class Class, chip Chip, n int) Count {
	if chip == ChipRetired {
		return c
	}
	c.Total += n
	switch chip {
	case ChipOnline:
		c.Online += n
	case ChipSuspect:
		c.Suspect += n
	case ChipOffline, ChipLost:
		c.Offline += n
		if chip == ChipLost {
			c.Lost += n
		}
		if class == Public {
			c.Fault += n
		}
	case ChipQuarantined:
		c.Quarantined += n
	case ChipDisabled, ChipRetired, ChipPending:
	}
	return c
}

// Counts returns for every unit of the scope what stands in that very unit; the caller sums up the tree.
func (r *Registry) Counts(ctx context.Context, s Scope) (map[ident.UnitID]Count, error) {
	return r.lists.units(ctx, s)
}

// KickWhy is the Why of the nudge to "device/<id>" that ends a device's links after its life or key changed. The nudge
// has no frame type; its Ver is the device's new epoch, and only links with a lower one close.
func KickWhy(l Life) string { return "kick." + string(l) }

// kick tells every node to close links of a device that are older than epoch. Losing it re-admits nobody: the
// former link's next guarded write touches no row.
func (r *Registry) kick(ctx context.Context, id ident.DeviceID, epoch int64, l Life) {
	r.nudges.Publish(ctx, coord.Nudge{To: "device/" + string(id), ID: string(id), Ver: epoch, Why: KickWhy(l)})
}

// changed tells live views that a device's row changed.
func (r *Registry) changed(ctx context.Context, id ident.DeviceID) {
	r.lists.forget()
	r.nudges.Publish(ctx, coord.Nudge{To: coord.ToConsole, ID: "devices", Why: string(id)})
}

func (r *Registry) nudge(ctx context.Context, to, id, why string) {
	r.nudges.Publish(ctx, coord.Nudge{To: to, ID: id, Why: why})
}

// listen puts a token into c for every nudge to an address, and when nudges were lost, until stop.
func (r *Registry) listen(to string, c chan<- struct{}) (stop func()) {
	return r.nudges.Subscribe(func(n coord.Nudge) {
		if n.To != to && n.To != coord.ToGap {
			return
		}
		select {
		case c <- struct{}{}:
		default:
		}
	})
}

// allow takes one event of a limit and fails closed.
func (r *Registry) allow(ctx context.Context, key string, n int, window time.Duration, code string) error {
	ok, retry, err := r.limiter.Allow(ctx, key, n, window)
	if err != nil {
		return err
	}
	if !ok {
		return fault.New(fault.TooMany, code).After(retry)
	}
	return nil
}

// plain reports whether s is printable ASCII without spaces, its length in [lo, hi]; model names may hold spaces.
func plain(s string, lo, hi int) bool {
	return len(s) >= lo && len(s) <= hi && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// text reports whether s is printable text of lo to hi characters.
func text(s string, lo, hi int) bool {
	n := utf8.RuneCountInString(s)
	return utf8.ValidString(s) && n >= lo && n <= hi && strings.TrimSpace(s) == s && !strings.ContainsFunc(s, unicode.IsControl)
}
