package test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"testing"

	"heyi/gateway/wire"
)

// upload brings a file for a command, as a terminal does.
func (d *terminal) upload(cmd string, body []byte) answer {
	d.n.t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	sum := sha256.Sum256(body)
	if err := w.WriteField("sha256", hex.EncodeToString(sum[:])); err != nil {
		d.n.t.Fatal(err)
	}
	part, err := w.CreateFormFile("file", "picture.png")
	if err != nil {
		d.n.t.Fatal(err)
	}
	if _, err := part.Write(body); err != nil {
		d.n.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		d.n.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(d.n.t.Context(), http.MethodPost, d.n.url+"/api/v1/commands/"+cmd+"/file", &b)
	if err != nil {
		d.n.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+d.access)
	req.Header.Set("Content-Type", w.FormDataContentType())
	res, err := d.n.http.Do(req)
	if err != nil {
		d.n.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		d.n.t.Fatal(err)
	}
	return answer{status: res.StatusCode, header: res.Header, body: text}
}

// commandView is a command as the console reads it.
type commandView struct {
	ID          string
	State       string
	QueuedAt    int64 `json:"queued_at"`
	DeliveredAt int64 `json:"delivered_at"`
	AcceptedAt  int64 `json:"accepted_at"`
	FinishedAt  int64 `json:"finished_at"`
	File        *struct{ Kind, SHA256 string }
}

// A command waits for a terminal that is off and for a node that is stopped, is carried out once, and brings its picture.
func TestACommandWaitsForItsTerminalAndItsNode(t *testing.T) {
	t.Parallel()
	cfg := demoConfig(t)
	n := start(t, cfg)
	b := &box{terminal: n.claim(), stream: "journal-1"}
	operator := n.signIn("yunwei")
	a := operator.do(http.MethodPost, "/devices/"+b.id+"/commands", map[string]any{
		"key": key(), "name": "screenshot", "args": map[string]string{"reason": "检查画面"},
	})
	var c commandView
	if a.into(t, &c); a.status != http.StatusCreated || c.State != "queued" {
		t.Fatalf("issue: %d %s", a.status, a.body)
	}
	n.stop()
	b.n = start(t, cfg)
	operator = b.n.signIn("yunwei")
	l, w := b.resume()
	if w.Down.Next != 1 || w.Down.Tail != 1 {
		t.Errorf("welcome %+v", w.Down)
	}
	var body wire.CmdBody
	l.expect(wire.Cmd, &body)
	if body.CmdID != c.ID || body.Name != "screenshot" || body.WhenBusy != "reject" {
		t.Fatalf("command %+v", body)
	}
	l.frame(wire.Frame{T: wire.CmdStatus, Seq: 1, Ack: 1}, wire.CmdStatusBody{CmdID: c.ID, State: "accepted"})

	picture := []byte("\x89PNG\r\n\x1a\n the picture")
	var file struct {
		ObjectID string `json:"object_id"`
		SHA256   string `json:"sha256"`
		Size     int64  `json:"size"`
	}
	up := b.upload(c.ID, picture)
	if up.into(t, &file); up.status != http.StatusCreated {
		t.Fatalf("upload: %d %s", up.status, up.body)
	}
	l.frame(wire.Frame{T: wire.LogMeta, Seq: 2}, wire.LogMetaBody{CmdID: c.ID, Kind: "screenshot", ObjectID: file.ObjectID, Size: file.Size, SHA256: file.SHA256})
	l.frame(wire.Frame{T: wire.CmdStatus, Seq: 3}, wire.CmdStatusBody{CmdID: c.ID, State: "succeeded"})
	b.await(l, 3)

	list := operator.do(http.MethodGet, "/devices/"+b.id+"/commands", nil)
	var page struct{ Rows []commandView }
	if list.into(t, &page); list.status != http.StatusOK || len(page.Rows) != 1 {
		t.Fatalf("list: %d %s", list.status, list.body)
	}
	c = page.Rows[0]
	if c.State != "succeeded" || c.File == nil || c.File.Kind != "screenshot" || c.QueuedAt == 0 || c.DeliveredAt < c.QueuedAt || c.AcceptedAt < c.DeliveredAt || c.FinishedAt < c.AcceptedAt {
		t.Errorf("it ended as %s", list.body)
	}
	got := operator.do(http.MethodGet, "/devices/"+b.id+"/commands/"+c.ID+"/file", nil)
	if got.status != http.StatusOK || !bytes.Equal(got.body, picture) || got.header.Get("Content-Type") != "image/png" {
		t.Errorf("file: %d %s", got.status, got.header)
	}
	if again := b.upload(c.ID, picture); again.code() != "command.over" {
		t.Errorf("a file for a finished command: %d %s", again.status, again.body)
	}
	// a mediator has no business here, and a terminal cannot order another
	if a := b.n.signIn("tiaojie").do(http.MethodGet, "/devices/"+b.id+"/commands", nil); a.status != http.StatusForbidden {
		t.Errorf("a mediator's list: %d", a.status)
	}
	if a := b.do(http.MethodPost, "/devices/"+b.id+"/commands", map[string]any{"key": key(), "name": "reboot"}); a.status != http.StatusUnauthorized {
		t.Errorf("a terminal's order: %d", a.status)
	}
	if a := operator.do(http.MethodPost, "/devices/"+b.id+"/commands", map[string]any{"key": key(), "name": "volume.set", "args": json.RawMessage(`{"level":200}`)}); a.code() != "command.bad_args" {
		t.Errorf("bad arguments: %d %s", a.status, a.body)
	}
	// the link takes nothing malformed
	l.frame(wire.Frame{T: wire.CmdStatus, Seq: 4}, wire.CmdStatusBody{CmdID: c.ID, State: "queued"})
	if code := l.closed(); code != wire.CloseProtocol {
		t.Errorf("a state that no terminal tells: closed with %d", code)
	}
}
