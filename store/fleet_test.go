package store_test

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"heyi/devices"
	"heyi/internal/audit"
	"heyi/internal/ident"
	"heyi/internal/org"
	"heyi/store"
	"heyi/store/storetest"
)

// sampled opens a store with a small made-up fleet.
func sampled(t *testing.T, c store.Config, size int) (*store.Store, devices.Scope, *org.Tree, time.Time) {
	t.Helper()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	s := storetest.Open(t, c)
	sc, tree := sampleFleet(t, s, size, now)
	return s, sc, tree, now
}

// What a filter says in SQL is what it says of rows in memory: the same rows, in the same order, on pages of any size, by
// cursor and by offset; and its tally counts them (fleet.md §15, M).
func TestFilterInSQLIsFilterInMemory(t *testing.T) {
	t.Parallel()
	storetest.EachConfig(t, func(t *testing.T, c store.Config) {
		t.Helper()
		s, city, tree, _ := sampled(t, c, 700)
		var all []devices.Row
		for _, chip := range []devices.Chip{"", devices.ChipRetired} {
			f := devices.Filter{Chip: chip, Limit: devices.MaxRows}
			for {
				page, err := s.DeviceRows(t.Context(), city, f)
				must(t, err)
				all = append(all, page.Rows...)
				if f.Cursor = page.Next; f.Cursor == "" {
					break
				}
			}
		}
		if len(all) != 700 {
			t.Fatalf("%d of 700 devices are listed", len(all))
		}
		county, _ := tree.ByCode("150430000000")
		township, _ := tree.ByCode("150430206000")
		units := []ident.UnitID{"", city.Unit, county.ID, township.ID}
		rapid.Check(t, func(rt *rapid.T) {
			one := rapid.SampledFrom(all).Draw(rt, "somebody")
			some := func(name string, v string) string {
				if rapid.IntRange(0, 3).Draw(rt, name) == 0 {
					return v
				}
				return ""
			}
			prefix := func(v string) string {
				r := []rune(v)
				return string(r[:rapid.IntRange(0, len(r)).Draw(rt, "length")])
			}
			f := devices.Filter{
				Unit: rapid.SampledFrom(append(slices.Clone(units), one.UnitID)).Draw(rt, "unit"), Chip: devices.Chip(some("chip", string(one.Chip))),
				Kind: devices.Kind(some("kind", string(one.Kind))), Class: devices.Class(some("class", string(one.Class))), Tier: devices.Tier(some("tier", string(one.Tier))),
				Model: some("model", one.Model), Q: some("q", prefix(rapid.SampledFrom([]string{one.Name, one.Serial, strings.ToLower(one.Serial), "%", "没有"}).Draw(rt, "text"))),
				Order: rapid.SampledFrom([]devices.SortKey{
					devices.ByName, devices.BySerial, devices.ByModel, devices.ByChip, devices.BySince, devices.ByAppVer,
				}).Draw(rt, "order"),
				Desc: rapid.Bool().Draw(rt, "desc"),
			}
			scope := devices.Scope{Unit: rapid.SampledFrom(units[1:]).Draw(rt, "scope")}
			var want []string
			sorted := slices.SortedFunc(slices.Values(all), f.Compare)
			for _, r := range sorted {
				if tree.Under(scope.Unit, r.UnitID) && f.Match(r, tree.Under) {
					want = append(want, string(r.ID))
				}
			}
			f.Limit = rapid.IntRange(max(1, len(want)/5), devices.MaxRows).Draw(rt, "limit")
			var got []string
			page := f
			for {
				p, err := s.DeviceRows(t.Context(), scope, page)
				must(t, err)
				for _, r := range p.Rows {
					got = append(got, string(r.ID))
				}
				if page.Cursor = p.Next; p.Next == "" {
					break
				}
			}
			if !slices.Equal(got, want) {
				rt.Fatalf("%+v in SQL gives %d rows, in memory %d", f, len(got), len(want))
			}
			f.Offset = rapid.IntRange(0, len(want)+1).Draw(rt, "offset")
			p, err := s.DeviceRows(t.Context(), scope, f)
			must(t, err)
			for i, r := range p.Rows {
				if string(r.ID) != want[f.Offset+i] {
					rt.Fatalf("%+v: row %d of the window is another one", f, i)
				}
			}
			if len(p.Rows) != max(0, min(f.Limit, len(want)-f.Offset)) {
				rt.Fatalf("%+v: %d rows in the window of %d", f, len(p.Rows), len(want))
			}
			tally, err := s.Tally(t.Context(), scope, f)
			must(t, err)
			if tally.Of(f.Chip) != len(want) {
				rt.Fatalf("%+v counts %d, want %d", f, tally.Of(f.Chip), len(want))
			}
		})
	})
}

// The roll-up of units, the tally and the list agree; a counter that is wrong is found and repaired.
func TestCountersAgree(t *testing.T) {
	t.Parallel()
	storetest.EachConfig(t, func(t *testing.T, c store.Config) {
		t.Helper()
		s, city, _, _ := sampled(t, c, 400)
		units, err := s.CountUnits(t.Context(), city)
		must(t, err)
		var sum devices.Count
		for _, n := range units {
			sum = sum.Add(n)
		}
		tally, err := s.Tally(t.Context(), city, devices.Filter{})
		must(t, err)
		if sum.Total != tally.Of("") || sum.Online != tally[devices.ChipOnline] || sum.Offline != tally[devices.ChipOffline]+tally[devices.ChipLost] || sum.Total+tally[devices.ChipRetired] != 400 {
			t.Errorf("units count %+v, the tally %v", sum, tally)
		}
		if drift, err := s.RecountFleet(t.Context()); err != nil || drift != 0 {
			t.Errorf("fresh counters are wrong by %d, %v", drift, err)
		}
		must(t, s.Write(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(`UPDATE fleet_count SET n = n + 3 WHERE chip = 'online' AND n = (SELECT MAX(n) FROM fleet_count WHERE chip = 'online') AND unit_id = (SELECT MIN(unit_id) FROM fleet_count WHERE chip = 'online' AND n = (SELECT MAX(n) FROM fleet_count WHERE chip = 'online'))`)
			return err
		}))
		drift, err := s.RecountFleet(t.Context())
		must(t, err)
		if drift < 3 {
			t.Errorf("a wrong counter is seen as %d", drift)
		}
		if drift, err := s.RecountFleet(t.Context()); err != nil || drift != 0 {
			t.Errorf("repaired counters are wrong by %d, %v", drift, err)
		}
		must(t, s.SampleFleet(t.Context(), store.Sample{Size: 0})) // an empty sample changes nothing
	})
}

// A node that is gone is one row and two events, whatever it held; what comes back is counted, what does not is off.
func TestLostNodeIsOneEvent(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		g3, other := f.node(t, "g3"), f.node(t, "g1")
		list := f.boxes(t, 12)
		f.sweep(t, other, 0)
		for _, b := range list {
			f.connect(t, g3, b)
		}
		f.clock.Advance(9 * time.Second)
		f.sweep(t, other, 0)
		f.clock.Advance(9 * time.Second) // g3 has not renewed for 18 s
		if got := f.sweep(t, other, 11*time.Second); got.Lost != 12 {
			t.Fatalf("%d links of the lost node are suspect, want 12", got.Lost)
		}
		loss := func() devices.NodeLoss {
			t.Helper()
			losses, err := f.store.NodeLosses(t.Context(), 0, 10)
			must(t, err)
			if len(losses) != 1 || losses[0].Node != "g3" || losses[0].Why != "lost" || losses[0].Links != 12 {
				t.Fatalf("losses %+v", losses)
			}
			return losses[0]
		}
		if l := loss(); l.Moving != 12 || l.Back() != 0 || l.SettledAt != 0 {
			t.Errorf("at once: %+v", l)
		}
		for _, b := range list[:9] {
			f.connect(t, other, b)
		}
		if l := loss(); l.Moving != 3 || l.Back() != 9 {
			t.Errorf("nine are back: %+v", l)
		}
		f.steps(t, other, 3*time.Minute)
		if l := loss(); l.Moving != 0 || l.Off != 3 || l.Back() != 9 || l.SettledAt == 0 {
			t.Errorf("settled: %+v", l)
		}
		events, err := f.store.Events(t.Context(), "node", "g3")
		must(t, err)
		var types []string
		for _, e := range events {
			types = append(types, e.Type)
		}
		if !slices.Equal(types, []string{"node.lost", "node.settled"}) {
			t.Errorf("events of the node: %v", types)
		}
		off := 0
		for _, b := range list {
			events, err := f.store.Events(t.Context(), "device", string(b.id))
			must(t, err)
			off += len(slices.DeleteFunc(events, func(e audit.Event) bool { return e.Type != "device.offline" }))
			spans, err := f.store.DeviceLinks(t.Context(), f.city, []ident.DeviceID{b.id}, 0, 9)
			must(t, err)
			if len(spans) != 1 || spans[0].Cause != "node_lost" || spans[0].Node != "g3" {
				t.Errorf("history of %s: %+v", b.serial, spans)
			}
		}
		if off != 3 {
			t.Errorf("%d devices are said to be offline, want the 3 that did not come back", off)
		}
		again := f.node(t, "g1")
		must(t, again.Restart(t.Context()))
		losses, err := f.store.NodeLosses(t.Context(), 0, 10)
		must(t, err)
		slices.SortFunc(losses, func(a, b devices.NodeLoss) int { return cmp.Compare(a.Node, b.Node) })
		if len(losses) != 2 || losses[0].Why != "restarted" || losses[0].Links != 9 {
			t.Errorf("after a restart under the same name: %+v", losses)
		}
		nodes, err := f.store.NodeLinks(t.Context())
		must(t, err)
		if len(nodes) != 2 || nodes[0].Node != "g1" || nodes[0].Inc != again.id.Inc || nodes[0].Links != 0 {
			t.Errorf("gateways %+v", nodes)
		}
	})
}

// The audit finds a socket whose row belongs to another link, and a row whose socket is not there; what is in order, or
// settles meanwhile, is no difference.
func TestPresenceAudit(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		n := f.node(t, "n1")
		list := f.boxes(t, 3)
		var live []devices.Sighting
		for _, b := range list {
			a := f.connect(t, n, b)
			live = append(live, devices.Sighting{Device: b.id, Epoch: a.Epoch})
		}
		drift := map[string]int{}
		up := devices.NewUpkeep(devices.UpkeepConfig{Share: 1, Settle: time.Millisecond}, devices.UpkeepDeps{
			Store: f.store, Leases: leases{devices.SweeperLease: 1}, Node: n.id, Links: func(float64) []devices.Sighting { return slices.Clone(live) },
			Drift: func(kind string, n int) { drift[kind] = n }, Now: f.clock.Now, Logger: slog.New(slog.DiscardHandler),
		})
		want := func(what string, noRow, noSocket int) {
			t.Helper()
			must(t, up.Once(t.Context()))
			if got := fmt.Sprint(drift); got != fmt.Sprint(map[string]int{devices.DriftCounters: 0, devices.DriftNoRow: noRow, devices.DriftNoSocket: noSocket}) {
				t.Errorf("%s: %v", what, got)
			}
		}
		want("in order", 0, 0)
		f.gone(t, n, list[0], live[0].Epoch, "network")
		want("a socket that presence has given up", 1, 0)
		live = live[2:]
		want("a row without a socket", 0, 1)
		// history that is old enough is forgotten
		f.clock.Advance(401 * 24 * time.Hour)
		must(t, up.Once(t.Context()))
		spans, err := f.store.DeviceLinks(t.Context(), f.city, []ident.DeviceID{list[0].id}, 0, 9)
		must(t, err)
		if len(spans) != 0 {
			t.Errorf("history after 401 days: %+v", spans)
		}
	})
}

// Whatever is asked or written for a batch of ids costs by the batch: SQLite goes from the ids to their rows and reads
// no table from end to end, at every size of batch. Its planner changed its mind at 256.
func TestBatchesFollowTheirIDs(t *testing.T) {
	t.Parallel()
	f := newFleet(t, storetest.OpenSQLite(t), storetest.NewClock(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)))
	s, ctx := f.store, t.Context()
	n := f.node(t, "n1")
	for _, size := range []int{1, 100, 200} {
		ids := make([]ident.DeviceID, size)
		var ups []devices.LinkUp
		var fallen []devices.Fallen
		var seen []devices.Sighting
		for i := range ids {
			ids[i] = ident.New[ident.DeviceID]()
			ups = append(ups, devices.LinkUp{Device: ids[i], Resume: &devices.Resume{}, At: 1})
			fallen = append(fallen, devices.Fallen{LinkDown: devices.LinkDown{Device: ids[i], Epoch: 1, Cause: "network", At: 1}, Until: 2})
			seen = append(seen, devices.Sighting{Device: ids[i], Epoch: 1, At: 1})
		}
		_, err := s.ConnectLinks(ctx, n.id, ups)
		must(t, err)
		_, err = s.DropLinks(ctx, n.id, fallen)
		must(t, err)
		_, err = s.SeeLinks(ctx, n.id, seen)
		must(t, err)
		_, err = s.DevicesByID(ctx, f.city, ids)
		must(t, err)
		_, err = s.DeviceLinks(ctx, f.city, ids, 0, 10)
		must(t, err)
		_, err = s.LinkedHere(ctx, n.id, seen)
		must(t, err)
	}
	// those that write only what is there: a node with 200 links that is lost, comes back and goes
	list := f.boxes(t, 200)
	f.sweep(t, n, 0)
	var ups []devices.LinkUp
	for _, b := range list {
		up := b.up(f)
		up.Resume = &devices.Resume{UpStream: "j", DownStream: "x"}
		ups = append(ups, up)
	}
	_, err := n.Connect(ctx, ups)
	must(t, err)
	must(t, f.node(t, "n1").Restart(ctx))
	f.steps(t, n, 3*time.Minute)
	looked := 0
	for _, text := range s.Statements() {
		if !strings.Contains(text, "(VALUES (CAST") && !strings.Contains(text, "(VALUES\n") {
			continue
		}
		plan, err := s.Plan(ctx, text)
		must(t, err)
		for _, table := range []string{"device_link", "device_stream", "device_session", "device ", "device_inventory", "device_event"} {
			if strings.Contains(plan, "SCAN "+table) || strings.Contains(plan, "AUTOMATIC") {
				short := text[:min(len(text), 300)]
				t.Errorf("a batch reads a whole table:\n%s\n%s", short, plan)
				break
			}
		}
		looked++
	}
	if looked < 12 {
		t.Errorf("only %d statements were looked at", looked)
	}
}
