package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// presenceWithin is how long shown presence may differ from the truth (I3).
const presenceWithin = 3 * time.Minute

// shown is what presence says about a device.
type shown struct {
	state, node, cause string
	epoch              int64
	nodeLost           bool
}

// fleetLost is when a node counts as lost: 15 s after its last renewal, which is 11 s after its lease ended.
const fleetLost = 11 * time.Second

func (b *books) presence(ctx context.Context) (map[string]shown, error) {
	list := map[string]shown{}
	// by the clock of the same query: we may be slow ourselves
	err := b.each(ctx, `SELECT device_id, state, device_link.node, cause, device_link.epoch,
			coalesce(lease.expires_at, 0) < extract(epoch FROM clock_timestamp()) * 1000000 - $1
		FROM device_link LEFT JOIN lease ON lease.name = 'node/' || device_link.node`, []any{fleetLost.Microseconds()}, func(scan func(...any) error) error {
		var (
			id string
			s  shown
		)
		err := scan(&id, &s.state, &s.node, &s.cause, &s.epoch, &s.nodeLost)
		list[id] = s
		return err
	})
	return list, err
}

// agrees says how shown presence differs from the truth, empty when it does not.
func (s shown) agrees(t truth) string {
	online := s.state == "connected" && !s.nodeLost
	switch {
	case t.linked && (!online || s.epoch != t.epoch || s.node != t.node):
		return fmt.Sprintf("linked to %s with epoch %d, shown %+v", t.node, t.epoch, s)
	case t.off && s.state != "offline":
		return fmt.Sprintf("switched off, shown %+v", s)
	case !t.linked && online:
		return fmt.Sprintf("not linked, shown %+v", s)
	}
	return ""
}

// differs is a device that is shown otherwise than it is.
type differs struct {
	truth truth
	since time.Time // of the first look that found it
}

// monitor compares shown presence with the truth every few seconds until ctx ends: a difference that lasts longer than
// three minutes is a violation. A look that finds one which is gone at the next is counted.
func (r *run) monitor(ctx context.Context) {
	wrong, told, looks := map[string]differs{}, map[string]bool{}, 0
	for wait(ctx, 5*time.Second) {
		b, err := r.books(ctx)
		if err != nil {
			continue // PostgreSQL is down: nothing is shown
		}
		list, err := b.presence(ctx)
		b.close(context.WithoutCancel(ctx))
		if err != nil {
			continue
		}
		looks++
		for _, x := range r.boxes {
			t := x.truth()
			diff := list[x.dev.ID].agrees(t)
			if diff == "" || t.since.IsZero() {
				delete(wrong, x.dev.Serial)
				continue
			}
			d, known := wrong[x.dev.Serial]
			if !known || d.truth != t {
				d = differs{t, time.Now()}
				wrong[x.dev.Serial] = d
			}
			if time.Since(d.since) >= presenceWithin && !told[x.dev.Serial] {
				told[x.dev.Serial] = true
				r.violate("presence", "%s is so since %s, shown otherwise since %s: %s", x.dev.Serial, r.at(t.since), r.at(d.since), diff)
			}
		}
		r.fig.add("presence_differs", float64(len(wrong)))
	}
	r.fig.put("presence_looks", float64(looks), "looks")
}

// unsettled lists which devices are shown otherwise than they are.
func (r *run) unsettled(ctx context.Context, b *books) (list []string, err error) {
	all, err := b.presence(ctx)
	for _, x := range r.boxes {
		if diff := all[x.dev.ID].agrees(x.truth()); diff != "" {
			list = append(list, x.dev.Serial+": "+diff)
		}
	}
	return list, err
}

// vitals are what a node's process takes.
type vitals struct{ goroutines, heap, fds float64 }

func (s *server) vitals(ctx context.Context) (v vitals, err error) {
	status, body := get(ctx, s.direct()+"/metrics")
	if status != 200 {
		return v, fmt.Errorf("%s: metrics: HTTP %d", s.name, status)
	}
	for line := range strings.Lines(string(body)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		f, err := strconv.ParseFloat(value, 64)
		if err != nil {
			continue
		}
		switch name {
		case "go_goroutines":
			v.goroutines = f
		case "go_memstats_heap_inuse_bytes":
			v.heap = f / 1e6
		case "process_open_fds":
			v.fds = f
		}
	}
	return v, nil
}
