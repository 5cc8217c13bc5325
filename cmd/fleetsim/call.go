package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"heyi/gateway/wire"
	"heyi/internal/ident"
)

type callConfig struct {
	DemoFile string
	Login    string
}

// desk is what a simulated mediator reads of GET /desk.
type desk struct {
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

type roomReady struct {
	RTC struct {
		URL    string `json:"url"`
		Fence  int64  `json:"fence"`
		Ticket string `json:"ticket"`
	} `json:"rtc"`
}

// retryEntry is when a room that has no node at the moment is asked for again.
const retryEntry = 400 * time.Millisecond

// runCall is a mediator with prepared media: it sits down, takes what is offered and stays in the call until the call
// is ended at the desk or ctx ends; it hands in the form of a call that was ended. Each step is logged.
func runCall(ctx context.Context, c callConfig, logger *slog.Logger) error {
	demo, err := waitDemo(ctx, c.DemoFile)
	if err != nil {
		return fmt.Errorf("waiting for the server: %w", err)
	}
	staff, err := signIn(ctx, demo, "", c.Login)
	if err != nil {
		return err
	}
	frames, err := preparedFrames()
	if err != nil {
		return err
	}
	link, err := staff.link(ctx, "desk")
	if err != nil {
		return err
	}
	nudged := make(chan struct{}, 1)
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		link.read(func(*wire.Frame) {
			select {
			case nudged <- struct{}{}:
			default:
			}
		})
	}()
	defer func() {
		_ = link.ws.Close()
		<-closed
	}()
	if err := staff.call(ctx, http.MethodPost, "/api/v1/seat", map[string]any{"state": "ready"}, nil); err != nil {
		return err
	}
	logger.InfoContext(ctx, "seat is ready", slog.String("login", c.Login))
	m := &mediator{staff: staff, frames: frames, logger: logger}
	defer m.leave()
	for {
		if err := m.step(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-closed:
			return errors.New("the link is lost")
		case <-nudged:
		case <-m.done: // nil without a line
		case <-time.After(m.pace()):
		}
	}
}

// mediator holds the media line of the session in hand.
type mediator struct {
	staff   *staffClient
	frames  [][]byte
	logger  *slog.Logger
	session string
	fence   int64 // placement under which it entered
	ws      *websocket.Conn
	done    chan struct{} // closed when the media line has ended
	last    error         // why; read after done
	waits   bool          // the room is entered again soon
}

// pace is when the desk is read again without a nudge.
func (m *mediator) pace() time.Duration {
	if m.waits {
		return retryEntry
	}
	return time.Second
}

// astray reports whether the media line is over or leads to a node that the room has left. A line whose place another
// window took stays away.
func (m *mediator) astray(fence int64) bool {
	if fence > m.fence {
		return true
	}
	select {
	case <-m.done:
		m.done = nil
		var no *refusedError
		return !errors.As(m.last, &no) || no.code != "rtc.replaced" && no.code != "rtc.removed"
	default:
		return false
	}
}

// step reads the desk and does what is next.
func (m *mediator) step(ctx context.Context) error {
	var d desk
	if err := m.staff.call(ctx, http.MethodGet, "/api/v1/desk", nil, &d); err != nil {
		return err
	}
	if d.Offer != nil {
		err := m.staff.call(ctx, http.MethodPost, "/api/v1/offers/"+d.Offer.ID+"/accept", map[string]any{"ver": d.Offer.Ver}, &d)
		var refused *apiError
		if err != nil && !errors.As(err, &refused) {
			return err
		}
		m.logger.InfoContext(ctx, "offer", slog.Bool("accepted", err == nil))
	}
	if d.Session != nil && (d.Session.ID != m.session || m.astray(d.Session.Fence)) {
		m.leave()
		err := m.join(ctx, d.Session.ID)
		var refused *apiError
		if m.waits = err != nil && (!errors.As(err, &refused) || refused.Status >= http.StatusInternalServerError); m.waits {
			m.logger.WarnContext(ctx, "the room is asked for again", slog.String("err", err.Error()))
			return nil
		}
		if err != nil {
			return err
		}
	}
	if d.WrapUp != nil {
		m.leave()
		// it talked with a test card and wrote no answer: a consultation without one is not served
		return m.staff.call(ctx, http.MethodPost, "/api/v1/sessions/"+d.WrapUp.SessionID+"/wrap-up", map[string]any{"key": ident.New[string](), "outcome": "referred"}, nil)
	}
	return nil
}

func (m *mediator) join(ctx context.Context, session string) error {
	var ready roomReady
	if err := m.staff.call(ctx, http.MethodPost, "/api/v1/sessions/"+session+"/media-tickets", map[string]any{"attach": "full"}, &ready); err != nil {
		return err
	}
	ws, err := m.staff.room(ctx, ready)
	if err != nil {
		return err
	}
	api, err := newPeerAPI()
	if err != nil {
		return err
	}
	p := &peer{ws: ws, api: api, src: prepared(m.frames)}
	if err := p.start(ctx, "full"); err != nil {
		return errors.Join(err, ws.Close())
	}
	m.session, m.fence, m.ws, m.done, m.last = session, ready.RTC.Fence, ws, make(chan struct{}), nil
	go func(done chan struct{}) {
		defer close(done)
		if m.last = p.run(); m.last != nil {
			m.logger.WarnContext(ctx, "the media line ended", slog.String("err", m.last.Error()))
		}
	}(m.done)
	m.logger.InfoContext(ctx, "in the room", slog.String("session", session))
	return nil
}

// leave closes the media line and waits for its goroutine.
func (m *mediator) leave() {
	if m.ws == nil {
		return
	}
	_ = m.ws.Close()
	if m.done != nil {
		<-m.done
	}
	m.ws, m.session, m.done = nil, "", nil
}

// link opens the staff member's page link.
func (c *staffClient) link(ctx context.Context, screen string) (*simLink, error) {
	instance := ident.New[string]()
	var token struct {
		Token string `json:"token"`
	}
	if err := c.call(ctx, http.MethodPost, "/api/v1/staff/link-tokens", map[string]any{"screen": screen, "instance": instance}, &token); err != nil {
		return nil, err
	}
	return c.dial(ctx, "/ws/v1", wire.AuthBody{Kind: "session", Token: token.Token, Screen: screen, Instance: instance})
}

// room opens the media line named by room.ready.
func (c *staffClient) room(ctx context.Context, r roomReady) (*websocket.Conn, error) {
	l, err := c.dial(ctx, r.RTC.URL, wire.AuthBody{Kind: "room", Ticket: r.RTC.Ticket})
	if err != nil {
		return nil, err
	}
	return l.ws, nil
}

// dial opens a link at a path (or a whole URL) and proves who calls.
func (c *staffClient) dial(ctx context.Context, at string, auth wire.AuthBody) (*simLink, error) {
	url := at
	if strings.HasPrefix(at, "/") {
		url = "ws" + strings.TrimPrefix(c.base, "http") + at
	}
	d := websocket.Dialer{Subprotocols: []string{wire.Subprotocol}, HandshakeTimeout: 10 * time.Second, TLSClientConfig: insecure().TLSClientConfig}
	ws, res, err := d.DialContext(ctx, url, http.Header{"Origin": {c.base}})
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", at, err)
	}
	_ = res.Body.Close()
	l := &simLink{ws: ws}
	var ch wire.ChallengeBody
	err = l.expect(wire.Challenge, &ch)
	if err == nil {
		err = l.send(wire.Connect, 0, wire.ConnectBody{Auth: auth, BootID: ident.New[string](), App: wire.AppInfo{Name: simModel, Ver: "1"}})
	}
	if err == nil {
		err = l.expect(wire.Welcome, &l.welcome)
	}
	if err != nil {
		_ = ws.Close()
		return nil, err
	}
	return l, nil
}
