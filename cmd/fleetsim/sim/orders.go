package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"heyi/gateway/wire"
)

// How a device obeys (docs/protocol.md §4, "Commands"): a command is written down with its place in the stream before it
// is done, and is done once. A simulated device serves nobody of its own accord, so it waits for nobody.

// errGap says that a frame of the down stream is not the next one.
var errGap = errors.New("a gap in the down stream")

// take writes a frame of the down stream down and says what has become of it. One that was taken before changes nothing.
func (j *Journal) take(f *wire.Frame) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if f.Seq <= j.took {
		return nil
	}
	if f.Seq != j.took+1 {
		return fmt.Errorf("%w: %d after %d", errGap, f.Seq, j.took)
	}
	line := journalLine{Took: f.Seq}
	lines := []journalLine{}
	switch f.T {
	case wire.Cmd:
		var b wire.CmdBody
		if err := f.Body(&b); err != nil {
			return fmt.Errorf("command: %w", err)
		}
		if j.heard(b.CmdID) {
			break
		}
		line.Cmd = &b
		j.pending = append(j.pending, b)
		status, err := j.status(wire.CmdStatusBody{CmdID: b.CmdID, State: "accepted"})
		if err != nil {
			return err
		}
		lines = append(lines, status)
	case wire.CmdCancel:
		var b wire.CmdCancelBody
		if err := f.Body(&b); err != nil {
			return fmt.Errorf("cancel: %w", err)
		}
		waits := slices.ContainsFunc(j.pending, func(c wire.CmdBody) bool { return c.CmdID == b.CmdID })
		if !waits && j.heard(b.CmdID) {
			break // done already
		}
		if waits {
			status, err := j.status(wire.CmdStatusBody{CmdID: b.CmdID, State: "cancelled"})
			if err != nil {
				return err
			}
			lines = append(lines, status)
		}
		j.over(b.CmdID)
		lines = append(lines, journalLine{Ran: b.CmdID})
	default:
	}
	j.took = f.Seq
	return j.save(append([]journalLine{line}, lines...)...)
}

// begin takes the next command that may begin: everything that waited at the welcome is here. Its end is written before
// it is told to the caller, who does it: it is done once or, cut off just here, never.
func (j *Journal) begin(tail uint64, now int64) (c wire.CmdBody, state string, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.took < tail || len(j.pending) == 0 {
		return c, "", nil
	}
	c = j.pending[0]
	end := wire.CmdStatusBody{CmdID: c.CmdID, State: "succeeded", DoneAt: now}
	switch {
	case now > c.NotAfterAt:
		end.State = "expired"
	case !slices.Contains([]string{"message.show", "reboot", "page.reload", "volume.set"}, c.Name):
		end.State, end.Code = "rejected", "command.unsupported"
	}
	status, err := j.status(end)
	if err != nil {
		return c, "", err
	}
	j.over(c.CmdID)
	return c, end.State, j.save(journalLine{Ran: c.CmdID}, status)
}

// heard reports whether a command was taken before. j.mu is held.
func (j *Journal) heard(id string) bool {
	return slices.Contains(j.known, id) || slices.ContainsFunc(j.pending, func(c wire.CmdBody) bool { return c.CmdID == id })
}

// over forgets a command but for its id. j.mu is held.
func (j *Journal) over(id string) {
	j.pending = slices.DeleteFunc(j.pending, func(c wire.CmdBody) bool { return c.CmdID == id })
	if j.known = append(j.known, id); len(j.known) > knownMost {
		j.known = slices.Clone(j.known[1:])
	}
}

func (j *Journal) status(b wire.CmdStatusBody) (journalLine, error) {
	raw, err := json.Marshal(b)
	if err != nil {
		return journalLine{}, fmt.Errorf("encode: %w", err)
	}
	return j.enter(wire.CmdStatus, raw), nil
}

// position of the down stream that is to be acked.
func (j *Journal) taken() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.took
}

// obey does what may begin.
func (d *Device) obey(l *Link, on func(wire.CmdBody)) error {
	if l.Welcome.Down == nil {
		return nil
	}
	offset := l.Welcome.NowAt - l.At.UnixMicro()
	for {
		c, state, err := d.Journal.begin(l.Welcome.Down.Tail, d.Clock().UnixMicro()+offset)
		if err != nil || state == "" {
			return err
		}
		if state == "succeeded" && on != nil {
			on(c)
		}
	}
}
