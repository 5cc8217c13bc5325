package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"heyi/devices"
	"heyi/internal/coord"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/internal/org"
	"heyi/store"
	"heyi/store/storetest"
)

// leases is what a node's renewal tells: the test holds leases by hand.
type leases map[string]int64

func (l leases) Held(_ context.Context, name string) (int64, bool) {
	epoch, ok := l[name]
	return epoch, ok
}

// node is one process in presence tests.
type node struct {
	*devices.Presence
	id   devices.NodeID
	held leases
}

func (f *fleet) node(t *testing.T, name string) *node {
	t.Helper()
	inc, others, err := f.store.StartNode(t.Context(), name, "folder of "+name, 4*time.Second, f.clock.Now())
	must(t, err)
	n := &node{id: devices.NodeID{Name: name, Inc: inc}, held: leases{}}
	for _, l := range others {
		n.held[l.Name] = l.Epoch
	}
	n.Presence = devices.NewPresence(devices.PresenceConfig{}, devices.PresenceDeps{
		Store: f.store, Leases: n.held, Nudges: f.coord, Node: n.id, Now: f.clock.Now, Logger: slog.New(slog.DiscardHandler),
	})
	return n
}

// sweep judges once as the holder of the sweeper's lease.
func (f *fleet) sweep(t *testing.T, n *node, lost time.Duration) devices.Swept {
	t.Helper()
	epoch, ok, err := f.store.AcquireLease(t.Context(), devices.SweeperLease, n.id.Name, 4*time.Second, f.clock.Now())
	must(t, err)
	if ok {
		n.held[devices.SweeperLease] = epoch
	} else if _, err := f.store.RenewLeases(t.Context(), n.id.Name, n.held, 4*time.Second, f.clock.Now()); err != nil {
		t.Fatal(err)
	}
	out, err := f.store.SweepPresence(t.Context(), devices.SweepOrder{
		Node: n.id, Epoch: n.held[devices.SweeperLease], Now: f.clock.Now(), Gap: 10 * time.Second, LostNode: lost, Grace: 2 * time.Minute, Limit: 100,
	})
	must(t, err)
	if !out.Held {
		t.Fatal("the sweeper's lease is not held")
	}
	return out
}

// steps advances the clock in strides a sweeper would make, sweeping at each.
func (f *fleet) steps(t *testing.T, n *node, d time.Duration) (offline []ident.DeviceID) {
	t.Helper()
	for d > 0 {
		step := min(d, 5*time.Second)
		d -= step
		f.clock.Advance(step)
		offline = append(offline, f.sweep(t, n, 0).Offline...)
	}
	return offline
}

func (f *fleet) connect(t *testing.T, n *node, b *box) devices.Admission {
	t.Helper()
	got, err := n.Connect(t.Context(), []devices.LinkUp{b.up(f)})
	must(t, err)
	if got[0].Refused != "" {
		t.Fatalf("connect refused: %s", got[0].Refused)
	}
	return got[0]
}

func (f *fleet) gone(t *testing.T, n *node, b *box, epoch int64, cause string) {
	t.Helper()
	must(t, n.Gone(t.Context(), []devices.LinkDown{{Device: b.id, Epoch: epoch, Cause: cause, At: f.clock.Now().UnixMicro()}}))
}

func (f *fleet) wantState(t *testing.T, what string, b *box, state devices.State, cause string) {
	t.Helper()
	row, err := f.store.DeviceRow(t.Context(), f.city, b.id)
	must(t, err)
	if row.Presence != state || row.Cause != cause {
		t.Errorf("%s: %s (%s), want %s (%s)", what, row.Presence, row.Cause, state, cause)
	}
}

func (f *fleet) boxes(t *testing.T, count int) []*box {
	t.Helper()
	var list []*box
	var csv strings.Builder
	csv.WriteString("serial,key_sha256,kind,class,model,org_code,name,place\n")
	for i := range count {
		b := newBox(t, devices.Ed25519, fmt.Sprintf("B-%d", i))
		list = append(list, b)
		fmt.Fprintf(&csv, "%s,%s,stb,public,fleetsim,150426106201,电视 %03d,\n", b.serial, devices.Fingerprint(b.pub), i)
	}
	_, err := f.registry.Import(t.Context(), f.city, strings.NewReader(csv.String()))
	must(t, err)
	for _, b := range list {
		f.enrol(t, b, f.village)
	}
	return list
}

func TestGraceThenOffline(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		n := f.node(t, "n1")
		list := f.boxes(t, 3)
		f.sweep(t, n, 0)
		network, rebooting, off := list[0], list[1], list[2]
		for _, b := range list {
			f.connect(t, n, b)
			f.wantState(t, "connected", b, devices.Connected, "")
		}
		f.gone(t, n, network, 2, "network")
		f.gone(t, n, rebooting, 2, "reboot")
		f.gone(t, n, off, 2, "user_off")
		f.wantState(t, "cable pulled", network, devices.Suspect, "network")
		if got := f.steps(t, n, 5*time.Second); len(got) != 1 || got[0] != off.id {
			t.Errorf("offline after 5 s: %v, want the one switched off by its user", got)
		}
		if got := f.steps(t, n, 54*time.Second); len(got) != 0 {
			t.Errorf("offline within the grace: %v", got)
		}
		if got := f.steps(t, n, time.Second); len(got) != 1 || got[0] != network.id {
			t.Errorf("offline after 60 s: %v, want %v", got, network.id)
		}
		f.wantState(t, "grace over", network, devices.Offline, "network")
		f.wantState(t, "still rebooting", rebooting, devices.Suspect, "reboot")
		if got := f.steps(t, n, 4*time.Minute); len(got) != 1 || got[0] != rebooting.id {
			t.Errorf("offline after 300 s: %v", got)
		}
		events, err := f.store.Events(t.Context(), "device", string(network.id))
		must(t, err)
		last := events[len(events)-1]
		if last.Type != "device.offline" || last.Data["cause"] != "network" || last.Data["epoch"] != "2" {
			t.Errorf("last event %+v", last)
		}
		// coming back within the grace is no event
		f.connect(t, n, rebooting)
		f.gone(t, n, rebooting, 3, "network")
		f.clock.Advance(5 * time.Second)
		f.connect(t, n, rebooting)
		if got := f.steps(t, n, 2*time.Minute); len(got) != 0 {
			t.Errorf("offline although it came back: %v", got)
		}
	})
}

// The epoch is the fence: what an older socket says late, from this node or another, changes nothing.
func TestLateGoneOfAnOldSocket(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		a, c := f.node(t, "a"), f.node(t, "c")
		b := f.boxes(t, 1)[0]
		first := f.connect(t, a, b)
		second := f.connect(t, a, b)
		if second.Epoch != first.Epoch+1 {
			t.Fatalf("takeover epochs %d, %d", first.Epoch, second.Epoch)
		}
		f.gone(t, a, b, first.Epoch, "network")
		f.wantState(t, "late end on the same node", b, devices.Connected, "")

		kicked := make(chan coord.Nudge, 8)
		defer f.coord.Subscribe(func(n coord.Nudge) {
			if strings.HasPrefix(n.Why, "kick.") {
				kicked <- n
			}
		})()
		third := f.connect(t, c, b)
		if n := <-kicked; n.To != "device/"+string(b.id) || n.Ver != third.Epoch {
			t.Errorf("kick %+v, want epoch %d", n, third.Epoch)
		}
		f.gone(t, a, b, second.Epoch, "network")
		f.gone(t, a, b, third.Epoch, "network") // a does not hold it, whatever epoch it names
		f.wantState(t, "late end on the former node", b, devices.Connected, "")
		stale, err := f.store.SeeLinks(t.Context(), a.id, []devices.Sighting{{Device: b.id, Epoch: second.Epoch, At: f.clock.Now().UnixMicro()}})
		must(t, err)
		if len(stale) != 1 || stale[0] != b.id {
			t.Errorf("the former node's sign of life is not stale: %v", stale)
		}
		if stale, err = f.store.SeeLinks(t.Context(), c.id, []devices.Sighting{{Device: b.id, Epoch: third.Epoch, At: 77}}); err != nil || len(stale) != 0 {
			t.Errorf("the live link is stale: %v, %v", stale, err)
		}
		f.gone(t, c, b, third.Epoch, "network")
		f.wantState(t, "its own end", b, devices.Suspect, "network")
	})
}

func TestConnectBatch(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		n := f.node(t, "n1")
		list := f.boxes(t, 23)
		batch := make([]devices.LinkUp, 0, len(list)+4)
		for _, b := range list {
			batch = append(batch, b.up(f))
		}
		stranger := devices.LinkUp{Device: ident.New[ident.DeviceID](), KeySHA256: strings.Repeat("0", 64), At: 1}
		wrongKey := list[3].up(f)
		wrongKey.Device, wrongKey.KeySHA256 = list[4].id, list[3].up(f).KeySHA256
		batch = append(batch, stranger, batch[0]) // batch[0] again: two links of one device at once
		got, err := n.Connect(t.Context(), batch)
		must(t, err)
		if got[0].Refused != devices.Superseded || got[24].Refused != "" || got[24].Epoch != 2 {
			t.Errorf("a device twice in a batch: %+v and %+v, want one epoch", got[0], got[24])
		}
		for i := 1; i < 23; i++ {
			if got[i].Epoch != 2 || got[i].Unit != f.village {
				t.Errorf("device %d: %+v", i, got[i])
			}
		}
		if got[23].Refused != devices.Unknown {
			t.Errorf("unknown device: %+v", got[23])
		}
		got, err = n.Connect(t.Context(), []devices.LinkUp{wrongKey})
		must(t, err)
		if got[0].Refused != devices.RefusedRetired {
			t.Errorf("another device's key: %+v", got[0])
		}
		counts, err := f.registry.Counts(t.Context(), f.city)
		must(t, err)
		if c := counts[f.village]; c != (devices.Count{Total: 23, Online: 23}) {
			t.Errorf("counts %+v", c)
		}
	})
}

func TestPendingDeviceIsNotAdmitted(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		n := f.node(t, "n1")
		b := newBox(t, devices.Ed25519, "P-1")
		got, err := f.registry.Import(t.Context(), f.city, strings.NewReader(
			"serial,key_sha256,kind,class,model,org_code,name,place\nP-1,"+devices.Fingerprint(b.pub)+",stb,public,M,150426106201,电视,\n"))
		must(t, err)
		b.id = got[0].DeviceID
		out, err := n.Connect(t.Context(), []devices.LinkUp{b.up(f)})
		must(t, err)
		if out[0].Refused != devices.Unknown {
			t.Errorf("a device that never claimed: %+v", out[0])
		}
	})
}

// A restarted process finds its former links connected in SQL: nobody is offline because the service was down.
func TestOwnRestartAndDowntime(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		n := f.node(t, "n1")
		list := f.boxes(t, 3)
		live, suspect, back := list[0], list[1], list[2]
		for _, b := range list {
			f.connect(t, n, b)
		}
		f.sweep(t, n, 0)
		f.clock.Advance(2 * time.Second)
		f.gone(t, n, suspect, 2, "network")
		f.steps(t, n, 30*time.Second) // half of its grace is used

		f.clock.Advance(time.Hour) // kill -9, an hour of nothing
		n2 := f.node(t, "n1")
		if n2.id.Inc <= n.id.Inc {
			t.Fatalf("incarnation %d after %d", n2.id.Inc, n.id.Inc)
		}
		must(t, n2.Restart(t.Context()))
		f.wantState(t, "connected at the kill", live, devices.Suspect, "node_lost")
		f.connect(t, n2, back)
		f.clock.Advance(3 * time.Second)
		got := f.sweep(t, n2, 0)
		if got.Shifted < time.Hour || len(got.Offline) != 0 {
			t.Errorf("first sweep after the return: %+v, want a shift of an hour and nobody offline", got)
		}
		if off := f.steps(t, n2, 25*time.Second); len(off) != 0 {
			t.Errorf("offline within the rest of the grace: %v", off)
		}
		if off := f.steps(t, n2, 10*time.Second); len(off) != 1 || off[0] != suspect.id {
			t.Errorf("offline when its 60 s were over: %v, want %v", off, suspect.id)
		}
		f.wantState(t, "still in grace", live, devices.Suspect, "node_lost")
		if off := f.steps(t, n2, 90*time.Second); len(off) != 1 || off[0] != live.id {
			t.Errorf("offline when node_lost's grace was over: %v, want %v", off, live.id)
		}
		f.wantState(t, "back", back, devices.Connected, "")
		must(t, n2.Restart(t.Context()))
		f.wantState(t, "links of this incarnation", back, devices.Connected, "")
	})
}

func TestLostNodeAndItsReturn(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		dead, sweeper := f.node(t, "dead"), f.node(t, "sweeper")
		list := f.boxes(t, 3)
		for _, b := range list {
			f.connect(t, dead, b)
		}
		f.sweep(t, sweeper, 0)
		f.clock.Advance(8 * time.Second)
		if got := f.sweep(t, sweeper, 11*time.Second); got.Lost != 0 {
			t.Errorf("lost 8 s after the last renewal: %+v", got)
		}
		f.clock.Advance(8 * time.Second)
		if got := f.sweep(t, sweeper, 11*time.Second); got.Lost != 3 {
			t.Errorf("16 s after the last renewal: %+v, want 3 lost", got)
		}
		f.wantState(t, "node lost", list[0], devices.Suspect, "node_lost")
		// it was only paused: links that are still open are connected again, one that ended meanwhile is not
		f.gone(t, dead, list[1], 2, "network")
		var alive []devices.Sighting
		for _, b := range list {
			alive = append(alive, devices.Sighting{Device: b.id, Epoch: 2, At: f.clock.Now().UnixMicro()})
		}
		stale, err := f.store.SeeLinks(t.Context(), dead.id, alive)
		must(t, err)
		if len(stale) != 0 {
			t.Errorf("stale %v", stale)
		}
		f.wantState(t, "paused node woke up", list[0], devices.Connected, "")
		f.wantState(t, "its link ended meanwhile", list[1], devices.Suspect, "network")
	})
}

func TestSweepNeedsTheLease(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		n := f.node(t, "n1")
		b := f.boxes(t, 1)[0]
		f.connect(t, n, b)
		f.sweep(t, n, 0)
		f.gone(t, n, b, 2, "user_off")
		f.clock.Advance(5 * time.Second) // the lease of 4 s is over
		out, err := f.store.SweepPresence(t.Context(), devices.SweepOrder{Node: n.id, Epoch: n.held[devices.SweeperLease], Now: f.clock.Now(), Gap: 10 * time.Second, Limit: 10})
		must(t, err)
		if out.Held || len(out.Offline) != 0 {
			t.Errorf("swept without the lease: %+v", out)
		}
		f.wantState(t, "nobody judged", b, devices.Suspect, "user_off")
	})
}

// Run sweeps by itself while the lease is held.
func TestPresenceRun(t *testing.T) {
	t.Parallel()
	s := storetest.OpenSQLite(t)
	clock := storetest.NewClock(time.Now())
	f := newFleet(t, s, clock)
	b := f.boxes(t, 1)[0]
	n := f.node(t, "n1")
	epoch, _, err := s.AcquireLease(t.Context(), devices.SweeperLease, "n1", time.Hour, clock.Now())
	must(t, err)
	offline := make(chan struct{}, 1)
	defer f.coord.Subscribe(func(n coord.Nudge) {
		if row, err := s.DeviceRow(context.WithoutCancel(t.Context()), f.city, b.id); n.To == coord.ToConsole && err == nil && row.Presence == devices.Offline && row.Cause == "user_off" {
			select {
			case offline <- struct{}{}:
			default:
			}
		}
	})()
	p := devices.NewPresence(devices.PresenceConfig{Sweep: 5 * time.Millisecond}, devices.PresenceDeps{
		Store: s, Leases: leases{devices.SweeperLease: epoch}, Nudges: f.coord, Node: n.id, Now: clock.Now, Logger: slog.New(slog.DiscardHandler),
	})
	f.connect(t, n, b)
	f.gone(t, n, b, 2, "user_off")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	<-offline
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v", err)
	}
}

// Every statement that writes device_link names its fence in its own WHERE.
func TestPresenceWritesAreFenced(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir(".")
	must(t, err)
	statement := regexp.MustCompile("(?s)UPDATE device_link SET.*?(?:`,|`\\)|`\n|` ?\\+ ?returnEnded)")
	found := 0
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		if file.Name() == "restore.go" {
			continue // raises every epoch in a transaction that holds the database alone
		}
		src, err := os.ReadFile(file.Name())
		must(t, err)
		for _, sql := range statement.FindAllString(string(src), -1) {
			found++
			_, where, ok := strings.Cut(sql, "WHERE")
			fenced := strings.Contains(where, "epoch =") || strings.Contains(where, "state = 'suspect'") ||
				strings.Contains(where, "admit") && strings.Contains(where, "key_sha256 =") && strings.Contains(sql, "epoch = device_link.epoch + 1")
			if !ok || !fenced {
				t.Errorf("%s: a write of device_link without a fence:\n%s", file.Name(), sql)
			}
			// who moves a device to another state moves its chip, and keeps the former one for the counters
			set, _, _ := strings.Cut(sql, "WHERE")
			if strings.Contains(set, "state = '") || strings.Contains(set, "state = CASE") {
				if !strings.Contains(set, "prev_chip = ") || !regexp.MustCompile(`[ \t,]chip = `).MatchString(set) {
					t.Errorf("%s: a state changes without its chip:\n%s", file.Name(), sql)
				}
			}
		}
		if n := strings.Count(string(src), "UPDATE device_link"); n != len(statement.FindAllString(string(src), -1)) {
			t.Errorf("%s: %d writes of device_link, %d understood", file.Name(), n, len(statement.FindAllString(string(src), -1)))
		}
	}
	if found < 6 {
		t.Errorf("only %d writes found: the test looks past them", found)
	}
}

// A caller outside the subtree cannot tell a device from one that does not exist.
func TestOutsideTheSubtree(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		b := newBox(t, devices.Ed25519, "SN-1")
		f.enrol(t, b, f.village)
		none := ident.New[ident.DeviceID]()
		for name, do := range map[string]func(devices.Scope, ident.DeviceID) error{
			"read": func(s devices.Scope, id ident.DeviceID) error {
				_, err := f.registry.Device(t.Context(), s, id)
				return err
			},
			"events": func(s devices.Scope, id ident.DeviceID) error {
				_, err := f.registry.Events(t.Context(), s, id, 9)
				return err
			},
			"disable": func(s devices.Scope, id ident.DeviceID) error {
				_, err := f.registry.Disable(t.Context(), change(s, id))
				return err
			},
			"enable": func(s devices.Scope, id ident.DeviceID) error {
				_, err := f.registry.Enable(t.Context(), change(s, id))
				return err
			},
			"revoke": func(s devices.Scope, id ident.DeviceID) error {
				_, err := f.registry.Revoke(t.Context(), change(s, id))
				return err
			},
		} {
			wantCode(t, name+" outside", do(f.aohan, b.id), "device.not_found")
			wantCode(t, name+" of nothing", do(f.aohan, none), "device.not_found")
			wantCode(t, name+" with no unit", do(devices.Scope{}, b.id), "device.not_found")
		}
		for name, tt := range map[string]struct {
			scope devices.Scope
			unit  ident.UnitID
			want  int
		}{
			"the city": {f.city, "", 1}, "its county": {f.wengniu, "", 1}, "another county": {f.aohan, "", 0},
			"another county, named unit": {f.aohan, f.village, 0}, "the city, named unit": {f.city, f.village, 1},
			"the city, another unit": {f.city, f.aohan.Unit, 0}, "nobody": {devices.Scope{}, "", 0},
		} {
			page, err := f.registry.Devices(t.Context(), tt.scope, devices.Filter{Unit: tt.unit})
			must(t, err)
			if len(page.Rows) != tt.want || page.Total != tt.want {
				t.Errorf("list by %s: %d rows, total %d, want %d", name, len(page.Rows), page.Total, tt.want)
			}
		}
		counts, err := f.registry.Counts(t.Context(), f.aohan)
		must(t, err)
		if len(counts) != 0 {
			t.Errorf("counts of another county: %v", counts)
		}
	})
}

func change(s devices.Scope, id ident.DeviceID) devices.LifeChange {
	return devices.LifeChange{ID: id, Key: ident.New[string](), Scope: s}
}

func TestDeviceList(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		n := f.node(t, "n1")
		list := f.boxes(t, 25)
		f.connect(t, n, list[0])
		f.connect(t, n, list[1])
		f.gone(t, n, list[1], 2, "network")
		for i, do := range []func(context.Context, devices.LifeChange) (devices.Row, error){f.registry.Disable, f.registry.Revoke} {
			_, err := do(t.Context(), change(f.city, list[2+i].id))
			must(t, err)
		}
		var names []string
		filter := devices.Filter{Limit: 7}
		for {
			page, err := f.registry.Devices(t.Context(), f.wengniu, filter)
			must(t, err)
			if page.Total != 24 {
				t.Fatalf("total %d, want 24 without the retired one", page.Total)
			}
			for _, r := range page.Rows {
				names = append(names, r.Name)
			}
			if page.Next == "" {
				break
			}
			filter.Cursor = page.Next
		}
		if len(names) != 24 || !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != 24 {
			t.Errorf("pages hold %v", names)
		}
		// what the filter says in SQL is what the pure function says of each row
		f.clock.Advance(8 * 24 * time.Hour)
		f.connect(t, n, list[5])
		f.sweep(t, n, 0) // the step from offline to lost is the sweeper's
		everything := 0
		for _, chip := range []devices.Chip{
			devices.ChipDisabled, devices.ChipRetired, devices.ChipPending, devices.ChipQuarantined, devices.ChipLost, devices.ChipOffline,
			devices.ChipSuspect, devices.ChipOnline,
		} {
			page, err := f.registry.Devices(t.Context(), f.city, devices.Filter{Chip: chip, Limit: 200})
			must(t, err)
			everything += page.Total
			for _, r := range page.Rows {
				if got := devices.ChipOf(r.Life, r.Presence, r.Class, time.UnixMicro(r.SinceAt), f.clock.Now()); got != chip {
					t.Errorf("%s is listed as %s but is %s", r.Name, chip, got)
				}
			}
			if chip == devices.ChipLost && page.Total != 21 {
				t.Errorf("%d lost, want 21", page.Total)
			}
		}
		if everything != 25 {
			t.Errorf("the chips cover %d of 25 devices", everything)
		}
		for q, want := range map[string]int{"电视 00": 9, "b-1": 11, "100%": 0, "_": 0, "B-24": 1, "24": 0} {
			page, err := f.registry.Devices(t.Context(), f.city, devices.Filter{Q: q})
			must(t, err)
			if page.Total != want {
				t.Errorf("q=%q finds %d, want %d", q, page.Total, want)
			}
		}
		for field, bad := range map[string]devices.Filter{
			"unit": {Unit: "x"}, "chip": {Chip: "blue"}, "kind": {Kind: "fridge"}, "limit": {Limit: 201}, "q": {Q: "a\x00b"}, "cursor": {Cursor: "!"},
			"class": {Class: "rich"}, "tier": {Tier: "E"}, "sort": {Order: "rtt"}, "offset": {Offset: -1}, "model": {Model: " a"},
		} {
			_, err := f.registry.Devices(t.Context(), f.city, bad)
			if fault.KindOf(err) != fault.Invalid {
				t.Errorf("bad %s: %v", field, err)
			}
		}
	})
}

// One epoch statement of 200 devices, as a storm makes them; the figure of interest is devices a second.
func BenchmarkConnectLinks(b *testing.B) {
	for name, config := range map[string]func(testing.TB) store.Config{"sqlite": storetest.SQLiteConfig, "postgres": storetest.PostgresConfig} {
		b.Run(name, func(b *testing.B) {
			s := storetest.Open(b, config(b))
			seeds, err := org.Chifeng()
			if err != nil {
				b.Fatal(err)
			}
			if _, err := s.SeedUnits(b.Context(), seeds); err != nil {
				b.Fatal(err)
			}
			units, err := s.Units(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			sc := devices.Scope{Unit: units[0].ID}
			const fleet = 5000
			lines := make([]devices.ImportLine, 0, fleet)
			up := make([]devices.LinkUp, 0, fleet)
			for i := range fleet {
				key := fmt.Sprintf("%064x", i)
				d := devices.Device{
					ID: ident.New[ident.DeviceID](), Serial: fmt.Sprintf("B-%d", i), KeySHA256: key, Kind: devices.STB, Class: devices.Home, Name: "电视",
					Life: devices.Active, Simulated: true,
				}
				lines = append(lines, devices.ImportLine{Line: i, OrgCode: "150426106201", Device: d})
				up = append(up, devices.LinkUp{Device: d.ID, KeySHA256: key, At: int64(i)})
			}
			for chunk := range slices.Chunk(lines, 200) {
				if _, err := s.ImportDevices(b.Context(), sc, chunk, 1); err != nil {
					b.Fatal(err)
				}
			}
			b.ResetTimer()
			done := 0
			for b.Loop() {
				at := done % fleet
				got, err := s.ConnectLinks(b.Context(), devices.NodeID{Name: "n1", Inc: 1}, up[at:at+200])
				if err != nil || got[199].Refused != "" {
					b.Fatalf("%+v, %v", got[199], err)
				}
				done += 200
			}
			b.ReportMetric(float64(done)/b.Elapsed().Seconds(), "devices/s")
		})
	}
}
