package store_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"heyi/devices"
	"heyi/internal/audit"
	"heyi/internal/ident"
)

// modelDevice is what must be true of one device, told without SQL.
type modelDevice struct {
	box   *box
	epoch int64
	state devices.State
	lost  bool // suspect because its node was lost, not because its socket ended
	node  devices.NodeID
	since time.Time
	until time.Time // suspect: end of grace
}

// opened is one connect that happened; its end may be told at any later time, or twice.
type opened struct {
	device, epoch int
	node          *node
}

// Two nodes, two devices: connects, ends that come late or twice, time, pauses of the whole service and restarts in any
// order. The row always says what the model says (I3), and no device is called offline under an epoch that is not its
// newest (I4).
func TestPresenceModel(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		round := 0
		rapid.Check(t, func(rt *rapid.T) {
			round++
			names := []string{fmt.Sprintf("a%d", round), fmt.Sprintf("b%d", round)}
			nodes := map[string]*node{names[0]: f.node(t, names[0]), names[1]: f.node(t, names[1])}
			var model []*modelDevice
			for i := range 2 {
				b := newBox(t, devices.Ed25519, fmt.Sprintf("R%d-%d", round, i))
				f.enrol(t, b, f.village)
				model = append(model, &modelDevice{box: b, state: devices.Offline})
			}
			sweeper := f.node(t, fmt.Sprintf("s%d", round))
			delete(sweeper.held, devices.SweeperLease)
			f.clock.Advance(5 * time.Second) // the former round's sweeper has lost its lease
			f.sweep(t, sweeper, 0)
			swept := f.clock.Now()
			var history []opened

			judge := func() {
				now := f.clock.Now()
				gap := now.Sub(swept)
				for _, m := range model {
					if m.state != devices.Suspect {
						continue
					}
					if gap > 10*time.Second {
						from := swept
						if m.since.After(from) {
							from = m.since
						}
						m.until = m.until.Add(now.Sub(from))
					}
					if !m.until.After(now) {
						m.state = devices.Offline
					}
				}
				f.sweep(t, sweeper, 0)
				swept = now
			}
			pick := rapid.IntRange(0, 1)
			rt.Repeat(map[string]func(*rapid.T){
				"connect": func(rt *rapid.T) {
					i := pick.Draw(rt, "device")
					m, n := model[i], nodes[names[pick.Draw(rt, "node")]]
					got := f.connect(t, n, m.box)
					m.epoch++
					if got.Epoch != m.epoch {
						rt.Fatalf("epoch %d, want %d", got.Epoch, m.epoch)
					}
					m.state, m.lost, m.node, m.since = devices.Connected, false, n.id, f.clock.Now()
					history = append(history, opened{device: i, epoch: int(m.epoch), node: n})
				},
				"an end is told": func(rt *rapid.T) {
					if len(history) == 0 {
						rt.Skip("nothing was opened")
					}
					h := history[rapid.IntRange(0, len(history)-1).Draw(rt, "which")]
					m := model[h.device]
					f.gone(t, h.node, m.box, int64(h.epoch), "network")
					open := m.state == devices.Connected || m.state == devices.Suspect && m.lost
					if open && m.epoch == int64(h.epoch) && m.node == h.node.id {
						m.state, m.lost, m.since, m.until = devices.Suspect, false, f.clock.Now(), f.clock.Now().Add(time.Minute)
					}
				},
				"time passes": func(rt *rapid.T) {
					for range rapid.IntRange(1, 8).Draw(rt, "sweeps") {
						f.clock.Advance(time.Duration(rapid.IntRange(1, 10).Draw(rt, "seconds")) * time.Second)
						judge()
					}
				},
				"the service is down": func(rt *rapid.T) {
					f.clock.Advance(time.Duration(rapid.IntRange(11, 4000).Draw(rt, "seconds")) * time.Second)
					if rapid.Bool().Draw(rt, "and swept at once") {
						judge()
					}
				},
				"a node restarts": func(rt *rapid.T) {
					name := names[pick.Draw(rt, "node")]
					old := nodes[name]
					n := f.node(t, name)
					if n.id.Inc <= old.id.Inc {
						rt.Fatalf("incarnation %d after %d", n.id.Inc, old.id.Inc)
					}
					nodes[name] = n
					must(t, n.Restart(t.Context()))
					for _, m := range model {
						if m.state == devices.Connected && m.node == old.id {
							m.state, m.lost, m.since, m.until = devices.Suspect, true, f.clock.Now(), f.clock.Now().Add(2*time.Minute)
						}
					}
				},
				"": func(rt *rapid.T) {
					for i, m := range model {
						row, err := f.store.DeviceRow(t.Context(), f.city, m.box.id)
						must(t, err)
						if row.Presence != m.state || row.Epoch != m.epoch {
							rt.Fatalf("device %d is %s under epoch %d, want %s under %d", i, row.Presence, row.Epoch, m.state, m.epoch)
						}
						if want := devices.ChipOf(row.Life, m.state, row.Class, time.UnixMicro(row.SinceAt), f.clock.Now()); row.Chip != want {
							rt.Fatalf("device %d shows %s, want %s", i, row.Chip, want)
						}
					}
					// counters equal a recount (I5)
					if drift, err := f.store.RecountFleet(t.Context()); err != nil || drift != 0 {
						rt.Fatalf("the counters are wrong by %d, %v", drift, err)
					}
				},
			})
			for i, m := range model {
				events, err := f.store.Events(t.Context(), "device", string(m.box.id))
				must(t, err)
				last := int64(0)
				for _, e := range events {
					var epoch int64
					if e.Type != "device.offline" {
						continue
					}
					if _, err := fmt.Sscan(e.Data["epoch"], &epoch); err != nil || epoch < last || epoch > m.epoch {
						rt.Fatalf("device %d: offline under epoch %d after %d, newest %d (%v)", i, epoch, last, m.epoch, err)
					}
					last = epoch
				}
				spans, err := f.store.DeviceLinks(t.Context(), f.city, []ident.DeviceID{m.box.id}, 0, 10_000)
				must(t, err)
				// every epoch that is over left one row, and no row lies about the order of its ends
				over := m.epoch
				if m.state == devices.Connected {
					over--
				}
				if len(spans) != int(over) {
					rt.Fatalf("device %d: %d links in the history under epoch %d (%s), want %d", i, len(spans), m.epoch, m.state, over)
				}
				for _, l := range spans {
					if l.To < l.From || l.Cause == "" || l.Node == "" {
						rt.Fatalf("device %d: history %+v", i, l)
					}
				}
				if audit.Verify(events) >= 0 {
					rt.Fatalf("device %d: the chain of events is broken", i)
				}
			}
		})
	})
}
