package store_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"heyi/devices"
	"heyi/gateway/wire"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
	"heyi/store"
)

// resume connects a box that keeps a journal.
func (f *fleet) resume(t *testing.T, n *node, b *box, r devices.Resume) devices.Admission {
	t.Helper()
	up := b.up(f)
	up.Resume = &r
	got, err := n.Connect(t.Context(), []devices.LinkUp{up})
	must(t, err)
	if got[0].Refused != "" || got[0].Streams == nil {
		t.Fatalf("admission %+v", got[0])
	}
	return got[0]
}

func (f *fleet) streams(n *node, kept int) *devices.Streams {
	return devices.NewStreams(devices.StreamsDeps{Store: f.store, Node: n.id, Kept: kept, Logger: slog.New(slog.DiscardHandler)})
}

// frame is the event number seq of a box.
func (f *fleet) frame(b *box, epoch int64, stream string, seq int64) devices.UpFrame {
	r := devices.Report{Kind: fmt.Sprintf("e%d", seq), Data: json.RawMessage(`{}`), DeviceAt: seq, At: f.clock.Now().UnixMicro()}
	return devices.UpFrame{Device: b.id, Epoch: epoch, Stream: stream, Seq: seq, Report: &r}
}

func inventoryOf(t *testing.T, f *fleet, b *box, epoch int64, stream string, seq int64, text string) devices.UpFrame {
	t.Helper()
	doc := json.RawMessage(text)
	v, err := devices.NewInventory(wire.InventoryBody{Hash: wire.DocumentHash(doc), Document: doc}, f.clock.Now().UnixMicro())
	must(t, err)
	return devices.UpFrame{Device: b.id, Epoch: epoch, Stream: stream, Seq: seq, Inventory: &v}
}

// kindsOf are the reports of a box, oldest first.
func (f *fleet) kindsOf(t *testing.T, b *box) []string {
	t.Helper()
	_, list, err := f.store.DeviceTimeline(t.Context(), f.city, b.id, 1000)
	must(t, err)
	var kinds []string
	for i, r := range slices.Backward(list) {
		if i > 0 && r.ID >= list[i-1].ID {
			t.Errorf("report %d follows %d", list[i-1].ID, r.ID)
		}
		kinds = append(kinds, r.Kind)
	}
	return kinds
}

func TestUpStreamIsStoredOnceAndFenced(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		n := f.node(t, "n1")
		s := f.streams(n, 0)
		a, b := newBox(t, devices.Ed25519, "SN-1"), newBox(t, devices.Ed25519, "SN-2")
		f.enrol(t, a, f.village)
		f.enrol(t, b, f.village)
		inA, inB := f.resume(t, n, a, devices.Resume{UpStream: "ja"}), f.resume(t, n, b, devices.Resume{UpStream: "jb"})
		if inA.Streams.Down == "" || inA.Streams.Down == inB.Streams.Down || !inA.Streams.WantInventory {
			t.Errorf("streams %+v, %+v", inA.Streams, inB.Streams)
		}
		want := func(what string, frames []devices.UpFrame, want ...devices.UpResult) {
			t.Helper()
			got, err := s.Append(t.Context(), frames)
			must(t, err)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s (-want +got):\n%s", what, d)
			}
		}
		const stored, repeated, superseded, broken = devices.UpStored, devices.UpRepeated, devices.UpSuperseded, devices.UpBroken
		want("two boxes in one batch", []devices.UpFrame{
			f.frame(a, inA.Epoch, "ja", 1), f.frame(b, inB.Epoch, "jb", 1), f.frame(a, inA.Epoch, "ja", 2),
			inventoryOf(t, f, a, inA.Epoch, "ja", 3, `{"tier":"A"}`),
		}, stored, stored, stored, stored)
		want("repetitions, a gap, another journal", []devices.UpFrame{
			f.frame(a, inA.Epoch, "ja", 2), f.frame(a, inA.Epoch, "ja", 4), f.frame(a, inA.Epoch, "ja", 6), f.frame(b, inB.Epoch, "jx", 2),
		}, repeated, stored, broken, broken)
		again := f.resume(t, n, a, devices.Resume{DownStream: inA.Streams.Down, UpStream: "ja", UpSeq: 1, Inventory: wire.DocumentHash([]byte(`{"tier":"A"}`))})
		if r := again.Streams; !r.Resumed || r.Gap || r.WantInventory || r.UpAcked != 4 {
			t.Errorf("resumption %+v", r)
		}
		want("the former link is late", []devices.UpFrame{f.frame(a, inA.Epoch, "ja", 5), f.frame(a, again.Epoch, "ja", 5)}, superseded, stored)
		other := f.node(t, "n2")
		got, err := f.streams(other, 0).Append(t.Context(), []devices.UpFrame{f.frame(a, again.Epoch, "ja", 6)})
		must(t, err)
		if got[0] != superseded {
			t.Errorf("another node's word: %d", got[0])
		}
		_, err = f.registry.Disable(t.Context(), devices.LifeChange{ID: a.id, Scope: f.city, Key: ident.New[string]()})
		must(t, err)
		want("a device out of service", []devices.UpFrame{f.frame(a, again.Epoch, "ja", 6)}, superseded)

		if d := cmp.Diff([]string{"e1", "e2", "e4", "e5"}, f.kindsOf(t, a)); d != "" {
			t.Errorf("reports (-want +got):\n%s", d)
		}
		inv, _, err := f.store.DeviceTimeline(t.Context(), f.city, a.id, 1)
		must(t, err)
		if inv == nil || string(inv.Document) != `{"tier":"A"}` || inv.At != f.clock.Now().UnixMicro() {
			t.Errorf("inventory %+v", inv)
		}
		if _, _, err := f.store.DeviceTimeline(t.Context(), f.aohan, a.id, 1); fault.CodeOf(err) != "device.not_found" {
			t.Errorf("outside the subtree: %v", err)
		}
		if inv, list, err := f.store.DeviceTimeline(t.Context(), f.city, b.id, 1); err != nil || inv != nil || len(list) != 1 {
			t.Errorf("a box without inventory: %+v, %d reports, %v", inv, len(list), err)
		}
	})
}

func TestAJournalThatWasLostIsToldOnce(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		n := f.node(t, "n1")
		b := newBox(t, devices.Ed25519, "SN-1")
		f.enrol(t, b, f.village)
		first := f.resume(t, n, b, devices.Resume{UpStream: "j1"})
		_, err := f.streams(n, 0).Append(t.Context(), []devices.UpFrame{f.frame(b, first.Epoch, "j1", 1)})
		must(t, err)
		for range 2 {
			r := f.resume(t, n, b, devices.Resume{DownStream: first.Streams.Down, UpStream: "j2"}).Streams
			if !r.Resumed || r.Up != "j2" || r.UpAcked != 0 {
				t.Errorf("resumption %+v", r)
			}
		}
		if d := cmp.Diff([]string{"e1", devices.JournalLost}, f.kindsOf(t, b)); d != "" {
			t.Errorf("reports (-want +got):\n%s", d)
		}
	})
}

// Who enrols anew with another key knows nothing of the former down stream; a row from before streams gets them.
func TestDownStreamBeginsAtEnrolment(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		n := f.node(t, "n1")
		b := newBox(t, devices.Ed25519, "SN-1")
		f.enrol(t, b, f.village)
		first := f.resume(t, n, b, devices.Resume{UpStream: "j1"}).Streams.Down
		anew := newBox(t, devices.Ed25519, "SN-1")
		f.enrol(t, anew, f.village)
		if anew.id != b.id {
			t.Fatalf("enrolled as another device")
		}
		r := f.resume(t, n, anew, devices.Resume{DownStream: first, UpStream: "j2"}).Streams
		if r.Down == first || r.Resumed || !r.Gap {
			t.Errorf("resumption %+v", r)
		}
		must(t, f.store.Write(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(`DELETE FROM device_stream`)
			return err
		}))
		old := f.resume(t, n, anew, devices.Resume{UpStream: "j2"}).Streams
		if same := f.resume(t, n, anew, devices.Resume{DownStream: old.Down, UpStream: "j2"}).Streams; old.Down == "" || !same.Resumed {
			t.Errorf("resumptions %+v, %+v", old, same)
		}
	})
}

func TestReportsAreBounded(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		n := f.node(t, "n1")
		boxes := f.boxes(t, 3)
		s := f.streams(n, 5)
		epochs := map[*box]int64{}
		for _, b := range boxes {
			epochs[b] = f.resume(t, n, b, devices.Resume{UpStream: "j"}).Epoch
		}
		for seq := int64(1); seq <= 12; seq += 3 {
			var batch []devices.UpFrame
			for i, b := range boxes {
				for k := range int64(3) {
					if i < 2 || seq == 1 { // the third stays below the bound
						batch = append(batch, f.frame(b, epochs[b], "j", seq+k))
					}
				}
			}
			_, err := s.Append(t.Context(), batch)
			must(t, err)
		}
		for i, want := range [][]string{{"e8", "e9", "e10", "e11", "e12"}, {"e8", "e9", "e10", "e11", "e12"}, {"e1", "e2", "e3"}} {
			if d := cmp.Diff(want, f.kindsOf(t, boxes[i])); d != "" {
				t.Errorf("box %d (-want +got):\n%s", i, d)
			}
		}
	})
}

// A connect and the frames of the former link run at once: what the connect said is acked stays what is stored.
func TestAConnectMeetsLateFrames(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		n := f.node(t, "n1")
		s := f.streams(n, 0)
		b := newBox(t, devices.Ed25519, "SN-1")
		f.enrol(t, b, f.village)
		acked, epoch := int64(0), f.resume(t, n, b, devices.Resume{UpStream: "j"}).Epoch
		for range 20 {
			done := make(chan error, 1)
			go func() {
				_, err := s.Append(t.Context(), []devices.UpFrame{f.frame(b, epoch, "j", acked+1), f.frame(b, epoch, "j", acked+2)})
				done <- err
			}()
			in := f.resume(t, n, b, devices.Resume{UpStream: "j", UpSeq: acked})
			must(t, <-done)
			got, err := s.Append(t.Context(), []devices.UpFrame{f.frame(b, in.Epoch, "j", in.Streams.UpAcked+1)})
			must(t, err)
			if got[0] != devices.UpStored {
				t.Fatalf("acked %d, the next frame is answered %d", in.Streams.UpAcked, got[0])
			}
			acked, epoch = in.Streams.UpAcked+1, in.Epoch
		}
		var want []string
		for i := range acked {
			want = append(want, fmt.Sprintf("e%d", i+1))
		}
		if d := cmp.Diff(want, f.kindsOf(t, b)); d != "" {
			t.Errorf("reports (-want +got):\n%s", d)
		}
	})
}

// A batch costs one commit, however many links it is from.
func TestABatchOfFramesIsOneCommit(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		n := f.node(t, "n1")
		boxes := f.boxes(t, 30)
		var batch []devices.UpFrame
		for _, b := range boxes {
			in := f.resume(t, n, b, devices.Resume{UpStream: "j"})
			batch = append(batch, f.frame(b, in.Epoch, "j", 1), inventoryOf(t, f, b, in.Epoch, "j", 2, `{"n":1}`))
		}
		before, start := f.store.Stats().Commits, time.Now()
		got, err := f.streams(n, 0).Append(t.Context(), batch)
		must(t, err)
		if n := f.store.Stats().Commits - before; n != 1 || slices.ContainsFunc(got, func(r devices.UpResult) bool { return r != devices.UpStored }) {
			t.Errorf("%d commits, results %v", n, got)
		}
		t.Logf("%d frames of %d links: %v", len(batch), len(boxes), time.Since(start))
	})
}

// A device found in two places goes out of service, with an event of its own; the second finding changes nothing.
func TestQuarantineOfAClone(t *testing.T) {
	t.Parallel()
	eachFleet(t, func(t *testing.T, f *fleet) {
		t.Helper()
		n := f.node(t, "n1")
		b := newBox(t, devices.Ed25519, "SN-1")
		f.enrol(t, b, f.village)
		f.connect(t, n, b)
		for range 2 {
			must(t, f.registry.Quarantine(t.Context(), b.id, f.village))
		}
		got, err := n.Connect(t.Context(), []devices.LinkUp{b.up(f)})
		must(t, err)
		if got[0].Refused != devices.RefusedQuarantined {
			t.Errorf("admission %+v", got[0])
		}
		events, err := f.registry.Events(t.Context(), f.city, b.id, 1)
		must(t, err)
		if e := events[0]; e.Type != "device.quarantined" || e.Actor.Kind != mediation.ActorSystem || e.Actor.ID != devices.CloneReason {
			t.Errorf("event %+v", e)
		}
		_, err = f.registry.Enable(t.Context(), devices.LifeChange{ID: b.id, Scope: f.city, Key: ident.New[string]()})
		must(t, err)
		f.connect(t, n, b)
	})
}
