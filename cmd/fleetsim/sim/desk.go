package sim

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"heyi/gateway/wire"
	"heyi/internal/ident"
)

// Desk is what a simulated mediator reads of GET /desk.
type Desk struct {
	Seat struct {
		State string `json:"state"`
	} `json:"seat"`
	Offer *struct {
		ID  string `json:"id"`
		Ver int64  `json:"ver"`
	} `json:"offer"`
	Session *struct {
		ID    string `json:"id"`
		State string `json:"state"`
		Fence int64  `json:"fence"`
	} `json:"session"`
	WrapUp *struct {
		SessionID string `json:"session_id"`
	} `json:"wrap_up"`
}

// RoomReady is the entry to a room.
type RoomReady struct {
	RTC struct {
		URL    string `json:"url"`
		Fence  int64  `json:"fence"`
		Ticket string `json:"ticket"`
	} `json:"rtc"`
}

// Link opens the staff member's page link.
func (c *Client) Link(ctx context.Context, screen string) (*Link, error) {
	instance := ident.New[string]()
	var token struct {
		Token string `json:"token"`
	}
	if err := c.Call(ctx, http.MethodPost, "/api/v1/staff/link-tokens", map[string]any{"screen": screen, "instance": instance}, &token); err != nil {
		return nil, err
	}
	return c.dial(ctx, "/ws/v1", wire.AuthBody{Kind: "session", Token: token.Token, Screen: screen, Instance: instance})
}

// Room opens the media line named by room.ready.
func (c *Client) Room(ctx context.Context, r RoomReady) (*websocket.Conn, error) {
	l, err := c.Line(ctx, r)
	if err != nil {
		return nil, err
	}
	return l.WS, nil
}

// Line is Room with what the welcome said.
func (c *Client) Line(ctx context.Context, r RoomReady) (*Link, error) {
	return c.dial(ctx, r.RTC.URL, wire.AuthBody{Kind: "room", Ticket: r.RTC.Ticket})
}

// dial opens a link at a path (or a whole URL) and proves who calls.
func (c *Client) dial(ctx context.Context, at string, auth wire.AuthBody) (*Link, error) {
	url := at
	if strings.HasPrefix(at, "/") {
		url = "ws" + strings.TrimPrefix(c.Base, "http") + at
	}
	d := websocket.Dialer{Subprotocols: []string{wire.Subprotocol}, HandshakeTimeout: 10 * time.Second, TLSClientConfig: Insecure().TLSClientConfig}
	ws, res, err := d.DialContext(ctx, url, http.Header{"Origin": {c.Base}})
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", at, err)
	}
	_ = res.Body.Close()
	l := &Link{WS: ws}
	stop := context.AfterFunc(ctx, func() { _ = ws.Close() })
	defer stop()
	var ch wire.ChallengeBody
	err = l.Expect(wire.Challenge, &ch)
	l.Node = ch.Node
	if err == nil {
		err = l.Send(wire.Connect, 0, wire.ConnectBody{Auth: auth, BootID: ident.New[string](), App: wire.AppInfo{Name: Model, Ver: "1"}})
	}
	if err == nil {
		err = l.Expect(wire.Welcome, &l.Welcome)
	}
	if err != nil {
		_ = ws.Close()
		return nil, err
	}
	return l, nil
}
