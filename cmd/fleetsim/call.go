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
		case <-time.After(time.Second):
		}
	}
}

// mediator holds the media line of the session in hand.
type mediator struct {
	staff   *sim.Client
	frames  [][]byte
	logger  *slog.Logger
	session string
	ws      *websocket.Conn
	done    chan struct{}
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
	if d.Session != nil && d.Session.ID != m.session {
		m.leave()
		if err := m.join(ctx, d.Session.ID); err != nil {
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
		return err
	}
	m.session, m.ws, m.done = session, ws, make(chan struct{})
	go func(done chan struct{}) {
		defer close(done)
		if err := p.Run(); err != nil {
			m.logger.WarnContext(ctx, "the media line ended", slog.String("err", err.Error()))
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
	<-m.done
	m.ws, m.session = nil, ""
}
