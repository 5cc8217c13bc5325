package sim

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"mime/multipart"
	"net/http"
	"slices"
	"time"

	"heyi/gateway/wire"
)

// order is a command as a simulated device has it written down: the memory by which it is done once (docs/protocol.md §4).
type order struct {
	ID       string          `json:"id"`
	N        int             `json:"n"` // order of arrival
	Name     string          `json:"name"`
	Args     json.RawMessage `json:"args,omitempty"`
	NotAfter int64           `json:"not_after,omitempty"` // µs, server time
	Lock     string          `json:"lock,omitempty"`
	Coalesce bool            `json:"coalesce,omitempty"`
	WhenBusy string          `json:"when_busy,omitempty"`
	State    string          `json:"state"`
	Waiting  string          `json:"waiting,omitempty"`
	Runs     int             `json:"runs,omitempty"`  // how often it took effect
	At       int64           `json:"at"`              // µs, of the last change
	Until    int64           `json:"until,omitempty"` // µs: a message leaves the screen
}

func (o *order) over() bool { return o.State != "accepted" && o.State != "running" }

// The memory of commands (protocol §9): so long, or so many of them that ended.
const (
	orderKept = 7 * 24 * time.Hour
	orderMost = 1000
)

// entryLine is an entry that is written down together with a command.
type entryLine struct {
	T wire.Type       `json:"t"`
	B json.RawMessage `json:"b"`
}

// said is a word about a command for the service.
func (o *order) said(code, detail string) wire.CmdStatusBody {
	b := wire.CmdStatusBody{CmdID: o.ID, State: o.State, Waiting: o.Waiting, Code: code, Detail: detail}
	if o.over() {
		b.DoneAt = o.At
	}
	return b
}

// record writes down, in one line: commands, entries about them, and the place of the down stream that a frame moved to
// (0: it stays).
func (j *Journal) record(orders []*order, place uint64, bodies ...any) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	l := journalLine{Place: place}
	for _, b := range bodies {
		t := wire.CmdStatus
		if _, is := b.(wire.LogMetaBody); is {
			t = wire.LogMeta
		}
		raw, err := json.Marshal(b)
		if err != nil {
			return fmt.Errorf("journal: %w", err)
		}
		l.Said = append(l.Said, entryLine{t, raw})
	}
	for _, o := range orders {
		c := *o
		l.Orders = append(l.Orders, &c)
	}
	j.take(l)
	if err := j.put(l); err != nil || j.path == "" {
		return err
	}
	return j.sync()
}

// take is what a record does to the state.
func (j *Journal) take(l journalLine) {
	for _, e := range l.Said {
		j.open = append(j.open, entry{seq: j.last() + 1, t: e.T, body: e.B})
	}
	for _, o := range l.Orders {
		j.orders[o.ID] = o
	}
	j.place = max(j.place, l.Place)
}

// kept are the commands worth remembering.
func (j *Journal) kept(now time.Time) []*order {
	list := make([]*order, 0, len(j.orders))
	for _, o := range j.orders {
		list = append(list, o)
	}
	slices.SortFunc(list, func(a, b *order) int { return cmp.Compare(b.At, a.At) })
	ended := 0
	return slices.DeleteFunc(list, func(o *order) bool {
		if !o.over() {
			return false
		}
		ended++
		return ended > orderMost || now.UnixMicro()-o.At > orderKept.Microseconds()
	})
}

// remember forgets all other commands.
func (j *Journal) remember(list []*order) {
	j.orders = make(map[string]*order, len(list))
	for _, o := range list {
		j.orders[o.ID] = o
	}
}

// inOrder are the commands as they came.
func (j *Journal) inOrder() []*order {
	j.mu.Lock()
	defer j.mu.Unlock()
	list := make([]*order, 0, len(j.orders))
	for _, o := range j.orders {
		c := *o
		list = append(list, &c)
	}
	slices.SortFunc(list, func(a, b *order) int { return cmp.Compare(a.N, b.N) })
	return list
}

// newest is the number of the command that came last.
func (j *Journal) newest() int {
	n := 0
	for _, o := range j.inOrder() {
		n = max(n, o.N)
	}
	return n
}

func (j *Journal) order(id string) *order {
	j.mu.Lock()
	defer j.mu.Unlock()
	if o := j.orders[id]; o != nil {
		c := *o
		return &c
	}
	return nil
}

// obedience carries out the commands of one device on one link; the talker owns it.
type obedience struct {
	d      *Device
	tail   uint64        // frames that waited at connect: nothing begins before they are known
	offset time.Duration // server time less ours
	bring  func(ctx context.Context, id string, body []byte) (wire.LogMetaBody, error)
	leave  func() error       // tells the service why the link ends
	begun  func(wire.CmdBody) // nil: nobody wants to know
}

// errReboot says that the device restarts.
var errReboot = errors.New("reboot")

func (w *obedience) now() time.Time { return w.d.Clock().Add(w.offset) }

// move writes a state down and tells it.
func (w *obedience) move(o *order, state, code, detail string, more ...any) error {
	o.State, o.At = state, w.now().UnixMicro()
	return w.d.Journal.record([]*order{o}, 0, append(more, o.said(code, detail))...)
}

// take takes one frame of the down stream; a gap ends the link.
func (w *obedience) take(f *wire.Frame) error {
	j := w.d.Journal
	at := j.Position().Down.Seq
	switch {
	case f.Seq <= at:
		return nil // it came before
	case f.Seq != at+1:
		return fmt.Errorf("frame %d after %d", f.Seq, at)
	}
	now := w.now().UnixMicro()
	if f.T == wire.CmdCancel {
		var b wire.CmdCancelBody
		if err := f.Body(&b); err != nil {
			return fmt.Errorf("cancel: %w", err)
		}
		o := j.order(b.CmdID)
		if o == nil || o.State != "accepted" {
			return j.record(nil, f.Seq)
		}
		o.State, o.At = "cancelled", now
		return j.record([]*order{o}, f.Seq, o.said("", ""))
	}
	var b wire.CmdBody
	if err := f.Body(&b); err != nil {
		return fmt.Errorf("command: %w", err)
	}
	if o := j.order(b.CmdID); o != nil { // remembered longer than its place
		if o.over() {
			return j.record(nil, f.Seq, o.said("", ""))
		}
		return j.record(nil, f.Seq)
	}
	o := &order{
		ID: b.CmdID, N: j.newest() + 1, Name: b.Name, Args: b.Args, NotAfter: b.NotAfterAt, Lock: b.Lock, Coalesce: b.Coalesce, WhenBusy: b.WhenBusy,
		State: "accepted", At: now,
	}
	changed := []*order{o}
	var bodies []any
	code := ""
	switch {
	case !knownOrder(o.Name):
		o.State, code = "rejected", "command.unsupported"
	case o.WhenBusy == "reject" && w.locked(o):
		o.State, code = "rejected", "command.locked"
	default:
		for _, old := range j.inOrder() {
			if o.Coalesce && old.Name == o.Name && old.State == "accepted" {
				old.State, old.At = "superseded", now
				changed, bodies = append(changed, old), append(bodies, old.said("", ""))
			}
		}
	}
	return j.record(changed, f.Seq, append(bodies, o.said(code, ""))...)
}

func knownOrder(name string) bool {
	return slices.Contains([]string{"message.show", "reboot", "page.reload", "volume.set", "screenshot", "log.fetch"}, name)
}

// locked reports whether another command of its lock runs.
func (w *obedience) locked(o *order) bool {
	return o.Lock != "" && slices.ContainsFunc(w.d.Journal.inOrder(), func(r *order) bool { return r.ID != o.ID && r.State == "running" && r.Lock == o.Lock })
}

// woken ends what ran when the device stopped: a restart has come true, a message stands on for the rest of its time, the
// rest may begin again.
func (w *obedience) woken() error {
	for _, o := range w.d.Journal.inOrder() {
		if o.State != "running" {
			continue
		}
		switch o.Name {
		case "reboot", "page.reload":
			if err := w.move(o, "succeeded", "", ""); err != nil {
				return err
			}
		case "message.show":
		default:
			o.State = "accepted"
			o.Runs = 0 // what it did is lost with what it would have brought
			if err := w.d.Journal.record([]*order{o}, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// moved ends what was accepted under another down stream: the device enrolled anew, or the service is an older copy.
func (w *obedience) moved() error {
	for _, o := range w.d.Journal.inOrder() {
		if o.State == "accepted" {
			if err := w.move(o, "cancelled", "", ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// work begins what may begin and ends what is over. errReboot: the device restarts.
func (w *obedience) work(ctx context.Context) error {
	if w.d.Journal.Position().Down.Seq < w.tail {
		return nil
	}
	for _, o := range w.d.Journal.inOrder() {
		now := w.now().UnixMicro()
		var err error
		switch {
		case o.State == "running" && o.Name == "message.show":
			if now >= o.Until {
				err = w.move(o, "succeeded", "", "time")
			}
		case o.State != "accepted":
		case now > o.NotAfter:
			err = w.move(o, "expired", "", "")
		case w.locked(o):
			if o.Waiting == "" {
				o.Waiting = "lock"
				err = w.move(o, "accepted", "", "")
			}
		default:
			err = w.begin(ctx, o)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// begin starts a command; all but a message end in it.
func (w *obedience) begin(ctx context.Context, o *order) error {
	o.Runs, o.Waiting = o.Runs+1, ""
	if o.Name == "message.show" {
		var a struct {
			Seconds int64 `json:"seconds"`
		}
		if err := json.Unmarshal(o.Args, &a); err != nil {
			return w.move(o, "failed", "command.bad_args", "")
		}
		o.Until = w.now().Add(min(time.Duration(a.Seconds)*time.Second, 3*time.Second)).UnixMicro() // somebody presses OK
	}
	if err := w.move(o, "running", "", ""); err != nil {
		return err
	}
	if w.begun != nil {
		w.begun(wire.CmdBody{CmdID: o.ID, Name: o.Name, Args: o.Args, NotAfterAt: o.NotAfter, Lock: o.Lock, Coalesce: o.Coalesce, WhenBusy: o.WhenBusy})
	}
	switch o.Name {
	case "reboot", "page.reload":
		if err := w.leave(); err != nil {
			return err
		}
		return errReboot
	case "screenshot":
		return w.bringFor(ctx, o, w.d.picture())
	case "log.fetch":
		return w.bringFor(ctx, o, w.d.log(o.Args))
	case "volume.set":
		return w.move(o, "succeeded", "", "")
	}
	return nil
}

// bringFor uploads what a command asked for and tells so.
func (w *obedience) bringFor(ctx context.Context, o *order, body []byte) error {
	meta, err := w.bring(ctx, o.ID, body)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if problem, is := errors.AsType[*APIError](err); is && problem.Code != "" {
			return w.move(o, "failed", problem.Code, "")
		}
		return w.move(o, "failed", "net.down", "")
	}
	return w.move(o, "succeeded", "", "", meta)
}

// picture is what a simulated screen shows: stripes that differ from device to device.
func (d *Device) picture() []byte {
	img := image.NewPaletted(image.Rect(0, 0, 320, 180), color.Palette{color.RGBA{R: 11, G: 32, B: 41, A: 255}, color.RGBA{R: d.pub[0], G: d.pub[1], B: d.pub[2], A: 255}})
	for i := range img.Pix {
		img.Pix[i] = d.pub[(i%320)/10] >> (uint(i/320/23) % 8) & 1
	}
	var b bytes.Buffer
	_ = png.Encode(&b, img) // a picture in memory always encodes
	return b.Bytes()
}

// log is what a simulated device wrote down of its commands, the newest lines within the size asked for.
func (d *Device) log(args json.RawMessage) []byte {
	var a struct {
		MaxBytes int `json:"max_bytes"`
	}
	if json.Unmarshal(args, &a) != nil || a.MaxBytes == 0 {
		a.MaxBytes = 1 << 10
	}
	var b []byte
	for _, o := range d.Journal.inOrder() {
		b = fmt.Appendf(b, "%s command %s %s %s\n", time.UnixMicro(o.At).UTC().Format(time.RFC3339), o.Name, o.ID, o.State)
	}
	return b[max(0, len(b)-a.MaxBytes):]
}

// upload brings a file for a command with the access token of the live link.
func (d *Device) upload(ctx context.Context, base, token, cmd string, body []byte) (wire.LogMetaBody, error) {
	sum := sha256.Sum256(body)
	digest := hex.EncodeToString(sum[:])
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("file", "file")
	if err == nil {
		_, err = part.Write(body)
	}
	if err := errors.Join(err, w.WriteField("sha256", digest), w.Close()); err != nil {
		return wire.LogMetaBody{}, fmt.Errorf("form: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/api/v1/commands/"+cmd+"/file", &form)
	if err != nil {
		return wire.LogMetaBody{}, fmt.Errorf("upload: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", w.FormDataContentType())
	transport := Insecure()
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport, Timeout: 30 * time.Second}).Do(req)
	if err != nil {
		return wire.LogMetaBody{}, fmt.Errorf("upload: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusCreated {
		problem := &APIError{Status: res.StatusCode}
		_ = json.NewDecoder(res.Body).Decode(problem) // a proxy's answer has no code
		return wire.LogMetaBody{}, problem
	}
	var got struct {
		ObjectID string `json:"object_id"`
		Kind     string `json:"kind"`
	}
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil {
		return wire.LogMetaBody{}, fmt.Errorf("upload: %w", err)
	}
	return wire.LogMetaBody{CmdID: cmd, Kind: got.Kind, ObjectID: got.ObjectID, Size: int64(len(body)), SHA256: digest}, nil
}
