package main

import (
	"context"
	"fmt"
	mrand "math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"heyi/gateway/wire"
)

// orderEvery is about how often an operator orders something.
const orderEvery = 700 * time.Millisecond

// order is a command that was taken, 201.
type order struct {
	id, key, name string
	b             *box
	at            time.Time
	notAfter      time.Time
	cancel        bool // asked to be left
}

// operator orders things of devices all the time and takes some back.
type operator struct {
	d     *desk
	boxes []*box
	idle  []*box // where nobody is ever served
	rnd   *mrand.Rand

	mu   sync.Mutex
	list []order
	keys int
}

func (o *operator) run(ctx context.Context) error {
	for wait(ctx, time.Duration((.5+o.rnd.Float64())*float64(orderEvery))) {
		if err := o.issue(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (o *operator) issue(ctx context.Context) error {
	body := map[string]any{"key": newKey()}
	b := o.boxes[o.rnd.IntN(len(o.boxes))]
	life := 2 * time.Minute
	switch o.rnd.IntN(5) {
	case 0:
		b, body["name"], body["args"], life = o.idle[o.rnd.IntN(len(o.idle))], "reboot", struct{}{}, 10*time.Minute
	case 1:
		b, body["name"], life = o.idle[o.rnd.IntN(len(o.idle))], "message.show", 20*time.Second
		body["args"] = map[string]any{"text": "今日停电检修", "seconds": 10, "speak": false}
	default:
		body["name"], body["args"] = "volume.set", map[string]int{"level": o.rnd.IntN(101)}
	}
	notAfter := time.Now().Add(life)
	body["not_after_at"] = notAfter.UnixMicro()
	o.mu.Lock()
	o.keys++
	o.mu.Unlock()
	var got struct{ ID string }
	err := o.d.do(ctx, http.MethodPost, "/devices/"+b.dev.ID+"/commands", nil, body, &got)
	if codeOf(err) == "command.bad_end" { // it took so long to be heard that the end was over
		return nil
	}
	if err != nil {
		return err
	}
	cancel := o.rnd.IntN(8) == 0
	o.mu.Lock()
	o.list = append(o.list, order{id: got.ID, key: fmt.Sprint(body["key"]), name: fmt.Sprint(body["name"]), b: b, at: time.Now(), notAfter: notAfter, cancel: cancel})
	o.mu.Unlock()
	if !cancel {
		return nil
	}
	err = o.d.do(ctx, http.MethodPost, "/devices/"+b.dev.ID+"/commands/"+got.ID+"/cancel", nil, map[string]string{"key": newKey()}, nil)
	if codeOf(err) != "" { // over already
		return nil
	}
	return err
}

// did notes that a command took effect.
func (b *box) did(c wire.CmdBody) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.ran[c.CmdID] = append(b.ran[c.CmdID], now)
	if c.Name == "reboot" || c.Name == "page.reload" { // it says so and goes
		b.closeSpan(now, loss{off: true})
	}
}

// openOrders tells how many commands have no end yet, though their devices are on.
func (r *run) openOrders(ctx context.Context, b *books) (int, error) {
	if r.op == nil {
		return 0, nil
	}
	return b.count(ctx, `SELECT count(*) FROM device_command WHERE finished_at = 0`)
}

// checkOrders holds the commands that were taken against what took effect at the devices: I1 down, I2, I6.
func (r *run) checkOrders(ctx context.Context, b *books) error {
	if r.op == nil {
		return nil
	}
	type row struct {
		device, state, code string
		notAfter            int64
	}
	have := map[string]row{}
	states := map[string]int{}
	var took []float64
	err := b.each(ctx, `SELECT id, device_id, state, code, not_after_at, queued_at, delivered_at FROM device_command`, nil, func(scan func(...any) error) error {
		var (
			id                string
			k                 row
			queued, delivered int64
		)
		err := scan(&id, &k.device, &k.state, &k.code, &k.notAfter, &queued, &delivered)
		have[id] = k
		states[k.state]++
		if delivered > 0 {
			took = append(took, float64(delivered-queued)/1e6)
		}
		return err
	})
	if err != nil {
		return err
	}
	r.op.mu.Lock()
	defer r.op.mu.Unlock()
	for _, o := range r.op.list {
		k, ok := have[o.id]
		switch {
		case !ok:
			r.violate("command_lost", "%s %s of %s for %s is not in the books", o.name, o.id, r.at(o.at), o.b.dev.Serial)
			continue
		case k.device != o.b.dev.ID:
			r.violate("command_changed", "%s %s was for %s", o.name, o.id, o.b.dev.Serial)
		}
		o.b.mu.Lock()
		ran := slices.Clone(o.b.ran[o.id])
		o.b.mu.Unlock()
		switch {
		case len(ran) > 1:
			r.violate("command_doubled", "%s %s for %s took effect %d times", o.name, o.id, o.b.dev.Serial, len(ran))
		case k.state == "succeeded" && len(ran) == 0:
			r.violate("command_invented", "%s %s for %s is told to have succeeded and never ran", o.name, o.id, o.b.dev.Serial)
		case slices.Contains([]string{"expired", "cancelled", "superseded", "rejected", "failed"}, k.state) && len(ran) > 0:
			r.violate("command_ran", "%s %s for %s is %s and took effect at %s", o.name, o.id, o.b.dev.Serial, k.state, r.at(ran[0]))
		case len(ran) == 1 && ran[0].UnixMicro() > k.notAfter+clockSlack.Microseconds():
			r.violate("command_late", "%s %s for %s took effect at %s, its end was %s", o.name, o.id, o.b.dev.Serial, r.at(ran[0]), r.at(time.UnixMicro(k.notAfter)))
		case !slices.Contains([]string{"succeeded", "expired", "cancelled", "superseded", "rejected"}, k.state):
			r.violate("command_open", "%s %s of %s for %s is %s %s", o.name, o.id, r.at(o.at), o.b.dev.Serial, k.state, k.code)
		}
	}
	if len(have) > r.op.keys {
		r.violate("command_twice", "%d keys, %d commands", r.op.keys, len(have))
	}
	for _, t := range took {
		r.fig.add("command_delivered", t)
	}
	r.fig.spread("command_delivered", "s", 50, 99)
	r.fig.put("commands", float64(len(r.op.list)), "commands")
	for state, n := range states {
		r.fig.put("commands_"+state, float64(n), "commands")
	}
	return nil
}

// clockSlack is what a device's reckoning of server time may be off: half a round trip.
const clockSlack = 2 * time.Second
