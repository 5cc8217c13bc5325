package devices

import (
	"context"

	"heyi/gateway/wire"
	"heyi/internal/coord"
	"heyi/internal/fault"
	"heyi/internal/ident"
)

// Anonymous is the only way a visit opens in this build: somebody pressed a key.
const Anonymous = "anonymous"

// Visit is one person's time at a terminal; outside it the screen shows nothing personal. At most one is open at a
// device, and none is ever reopened.
type Visit struct {
	ID       ident.VisitID
	DeviceID ident.DeviceID
	How      string
	OpenedAt int64
	ClosedAt int64 // 0 while open
	Why      string
}

// VisitClose ends a visit of a device.
type VisitClose struct {
	DeviceID ident.DeviceID
	VisitID  ident.VisitID
	Why      string // left, idle, reboot; the system also writes device
	At       int64
}

// VisitClosed is what closing a visit changed; its zero value is nothing.
type VisitClosed struct {
	Grants []ident.GrantID // phones whose rights ended with it
	Ver    int64           // version of what the terminal shows
}

// OpenVisit begins a visit; one that is open already is returned as it is.
//
// Errors: fault.Invalid "visit.bad_how"; fault.Precondition "device.not_active".
func (r *Registry) OpenVisit(ctx context.Context, device ident.DeviceID, how, key string) (Visit, error) {
	if how != Anonymous {
		return Visit{}, fault.InField("visit.bad_how", "how")
	}
	v := Visit{ID: ident.New[ident.VisitID](), DeviceID: device, How: how, OpenedAt: r.now().UnixMicro()}
	return r.fleet.OpenVisit(ctx, v, key)
}

// CloseVisit ends a visit, drops its rights and the phone that was paired in it, and tells both screens. Closing a
// closed visit does nothing.
//
// Errors: fault.Invalid "visit.bad_why"; fault.NotFound "visit.not_found" also for another device's.
func (r *Registry) CloseVisit(ctx context.Context, device ident.DeviceID, id ident.VisitID, why string) error {
	switch why {
	case "left", "idle", "reboot":
	default:
		return fault.InField("visit.bad_why", "why")
	}
	at := r.now().UnixMicro()
	done, err := r.fleet.CloseVisit(ctx, VisitClose{DeviceID: device, VisitID: id, Why: why, At: at})
	if err != nil || done.Ver == 0 {
		return err
	}
	n := coord.Nudge{To: "device/" + string(device), T: wire.VisitClose, ID: string(id), Ver: done.Ver, Why: why}
	r.nudges.Publish(ctx, n)
	for _, g := range done.Grants {
		n.To = "capture/" + string(g)
		r.nudges.Publish(ctx, n)
	}
	return nil
}

// Situated returns a device and its open visit, nil when there is none: what a terminal may know about itself.
//
// Errors: fault.NotFound "device.not_found".
func (r *Registry) Situated(ctx context.Context, id ident.DeviceID) (Device, *Visit, error) {
	return r.fleet.Situated(ctx, id)
}
