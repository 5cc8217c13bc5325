package devices

import (
	"context"

	"heyi/internal/fault"
	"heyi/internal/ident"
)

// Anonymous is the only way a visit opens in this build: somebody pressed a key.
const Anonymous = "anonymous"

// Visit is one person's time at a terminal; outside it the screen shows nothing personal. At most one is open at a
// device, and none is ever reopened. It is closed by mediation/flow, which ends what the person left at a shared one.
type Visit struct {
	ID       ident.VisitID
	DeviceID ident.DeviceID
	How      string
	OpenedAt int64
	ClosedAt int64  // 0 while open
	Why      string // left, idle, reboot; the system also writes device
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

// Situated returns a device and its open visit, nil when there is none: what a terminal may know about itself.
//
// Errors: fault.NotFound "device.not_found".
func (r *Registry) Situated(ctx context.Context, id ident.DeviceID) (Device, *Visit, error) {
	return r.fleet.Situated(ctx, id)
}
