package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"heyi/cmd/fleetsim/sim"
	"heyi/gateway/wire"
	"heyi/internal/ident"
)

type callConfig struct {
	DemoFile string
	Login    string
}

// retryEntry is when a room that has no node at the moment is asked for again.
const retryEntry = 400 * time.Millisecond

// runCall is a mediator with prepared media: it sits down, takes what is offered and stays in the call until the call
// is ended at the desk or ctx ends; it hands in the form of a call that was ended. Each step is logged.
func runCall(ctx context.Context, c callConfig, logger *slog.Logger) error {
	demo, err := sim.WaitDemo(ctx, c.DemoFile)
	if err != nil {
		return fmt.Errorf("waiting for the server: %w", err)
	}
	staff, err := sim.SignIn(ctx, demo, "", c.Login)
	if err != nil {
		return err
	}
	frames, err := sim.PreparedFrames()
	if err != nil {
		return err
	}
	link, err := staff.Link(ctx, "desk")
	if err != nil {
		return err
	}
	nudged := make(chan struct{}, 1)
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		link.Read(func(*wire.Frame) {
			select {
			case nudged <- struct{}{}:
			default:
			}
		})
	}()
	defer func() {
		_ = link.WS.Close()
		<-closed
	}()
	if err := staff.Call(ctx, http.MethodPost, "/api/v1/seat", map[string]any{"state": "ready"}, nil); err != nil {
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
	staff   *sim.Client
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
		var no *sim.LineError
		return !errors.As(m.last, &no) || no.Code != "rtc.replaced" && no.Code != "rtc.removed"
	default:
		return false
	}
}

// step reads the desk and does what is next.
func (m *mediator) step(ctx context.Context) error {
	var d sim.Desk
	if err := m.staff.Call(ctx, http.MethodGet, "/api/v1/desk", nil, &d); err != nil {
		return err
	}
	if d.Offer != nil {
		err := m.staff.Call(ctx, http.MethodPost, "/api/v1/offers/"+d.Offer.ID+"/accept", map[string]any{"ver": d.Offer.Ver}, &d)
		var refused *sim.APIError
		if err != nil && !errors.As(err, &refused) {
			return err
		}
		m.logger.InfoContext(ctx, "offer", slog.Bool("accepted", err == nil))
	}
	if d.Session != nil && (d.Session.ID != m.session || m.astray(d.Session.Fence)) {
		m.leave()
		err := m.join(ctx, d.Session.ID)
		var refused *sim.APIError
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
		return m.staff.Call(ctx, http.MethodPost, "/api/v1/sessions/"+d.WrapUp.SessionID+"/wrap-up", map[string]any{"key": ident.New[string](), "outcome": "referred"}, nil)
	}
	return nil
}

func (m *mediator) join(ctx context.Context, session string) error {
	var ready sim.RoomReady
	if err := m.staff.Call(ctx, http.MethodPost, "/api/v1/sessions/"+session+"/media-tickets", map[string]any{"attach": "full"}, &ready); err != nil {
		return err
	}
	ws, err := m.staff.Room(ctx, ready)
	if err != nil {
		return err
	}
	api, err := sim.NewPeerAPI()
	if err != nil {
		return err
	}
	p := &sim.Peer{WS: ws, API: api, Src: sim.Prepared(m.frames)}
	if err := p.Start(ctx, "full"); err != nil {
		return errors.Join(err, ws.Close())
	}
	m.session, m.fence, m.ws, m.done, m.last = session, ready.RTC.Fence, ws, make(chan struct{}), nil
	go func(done chan struct{}) {
		defer close(done)
		if m.last = p.Run(); m.last != nil {
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
