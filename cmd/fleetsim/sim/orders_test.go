package sim

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"

	"heyi/gateway/wire"
)

func down(t *testing.T, kind wire.Type, seq uint64, body any) *wire.Frame {
	t.Helper()
	b, err := json.Marshal(body)
	ok(t, err)
	return &wire.Frame{T: kind, Seq: seq, B: b}
}

// statuses lists what the journal still has to say about commands.
func statuses(t *testing.T, j *Journal) string {
	t.Helper()
	out := ""
	for _, e := range j.open {
		var b wire.CmdStatusBody
		ok(t, json.Unmarshal(e.body, &b))
		out += b.CmdID + " " + b.State + " "
	}
	return out
}

// A command is done once, over repeats, restarts and a wiped service; nothing begins before everything that waited has come.
func TestACommandIsDoneOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	j, err := OpenJournal(path)
	ok(t, err)
	far := int64(1 << 50)
	reboot := wire.CmdBody{CmdID: "r", Name: "reboot", NotAfterAt: far}
	ok(t, j.take(down(t, wire.Cmd, 1, reboot)))
	ok(t, j.take(down(t, wire.Cmd, 1, reboot))) // the ack was lost
	if _, state, err := j.begin(3, 1); err != nil || state != "" {
		t.Errorf("%s, %v: it began before the rest had come", state, err)
	}
	ok(t, j.Close())
	if j, err = OpenJournal(path); err != nil {
		t.Fatal(err)
	}
	ok(t, j.take(down(t, wire.Cmd, 2, wire.CmdBody{CmdID: "v", Name: "volume.set", NotAfterAt: 5})))
	ok(t, j.take(down(t, wire.CmdCancel, 3, wire.CmdCancelBody{CmdID: "never had"})))
	if err := j.take(down(t, wire.Cmd, 5, reboot)); !errors.Is(err, errGap) {
		t.Errorf("err = %v, want a gap", err)
	}
	if c, state, err := j.begin(3, 10); err != nil || c.CmdID != "r" || state != "succeeded" {
		t.Errorf("%s is %s, %v", c.CmdID, state, err)
	}
	ok(t, j.Close())
	if j, err = OpenJournal(path); err != nil {
		t.Fatal(err)
	}
	if c, state, err := j.begin(3, 10); err != nil || c.CmdID != "v" || state != "expired" {
		t.Errorf("%s is %s, %v", c.CmdID, state, err)
	}
	ok(t, j.take(down(t, wire.Cmd, 4, reboot))) // the service is an older copy of itself
	ok(t, j.take(down(t, wire.Cmd, 5, wire.CmdBody{CmdID: "never had", Name: "reboot", NotAfterAt: far})))
	if c, state, err := j.begin(0, 10); err != nil || state != "" {
		t.Errorf("%s is %s again, %v", c.CmdID, state, err)
	}
	if got := statuses(t, j); got != "r accepted v accepted r succeeded v expired " {
		t.Errorf("told: %s", got)
	}
	if p := j.Position(); p.Down.Seq != 5 {
		t.Errorf("stands at %d", p.Down.Seq)
	}
}

func TestACancelledCommandIsNotDone(t *testing.T) {
	t.Parallel()
	j := NewJournal()
	ok(t, j.take(down(t, wire.Cmd, 1, wire.CmdBody{CmdID: "s", Name: "screenshot", NotAfterAt: 100})))
	ok(t, j.take(down(t, wire.Cmd, 2, wire.CmdBody{CmdID: "r", Name: "reboot", NotAfterAt: 100})))
	ok(t, j.take(down(t, wire.CmdCancel, 3, wire.CmdCancelBody{CmdID: "r"})))
	c, state, err := j.begin(3, 1)
	if err != nil || c.CmdID != "s" || state != "rejected" {
		t.Errorf("%s is %s, %v", c.CmdID, state, err)
	}
	if _, state, err := j.begin(3, 1); err != nil || state != "" {
		t.Errorf("%s, %v: a cancelled one began", state, err)
	}
	if got := statuses(t, j); got != "s accepted r accepted r cancelled s rejected " {
		t.Errorf("told: %s", got)
	}
}
