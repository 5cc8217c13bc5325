package link

import (
	"context"
	"log/slog"

	"heyi/gateway/wire"
	"heyi/internal/fault"
	"heyi/media"
)

// roomLine ties a media line to its session in the engine. It is the session's media.Handler.
type roomLine struct {
	c       *conn
	session media.Session
}

var _ media.Handler = (*roomLine)(nil)

// openRoom starts the media session of a welcomed line; a refusal is told as rtc.fail.
func (c *conn) openRoom(ctx context.Context, t media.Ticket) {
	line := &roomLine{c: c}
	session, err := c.hub.d.Rooms.Open(ctx, t, line)
	if err != nil {
		line.fail(ctx, err)
		c.shut(closeOf(err))
		return
	}
	line.session = session
	c.room = line
}

// Send implements media.Handler.
func (l *roomLine) Send(o media.Out) {
	l.c.send(item{t: o.T, data: encode(&wire.Frame{T: o.T}, o.B)})
}

// Closed implements media.Handler: the engine ended the session. It has told the client why by rtc.fail.
func (l *roomLine) Closed(r media.Reason) {
	switch r {
	case "replaced":
		l.c.shut(wire.CloseSuperseded, "rtc.replaced")
	case "moved", "shutdown", "frozen":
		l.c.shut(wire.CloseGoingAway, "rtc."+string(r))
	case "lost":
		l.c.shut(wire.CloseIdle, "rtc.lost")
	default: // ended, removed
		l.c.shut(wire.CloseNotAdmitted, "rtc."+string(r))
	}
}

// handle passes a frame of the client to the engine.
func (l *roomLine) handle(ctx context.Context, f *wire.Frame) {
	if !roomType(f.T) {
		l.c.unknown(f.ID, f.Flags, f.T)
		return
	}
	err := l.session.Handle(ctx, f.T, f.B)
	if err != nil {
		l.fail(ctx, err)
	}
	if f.ID != 0 {
		l.c.answer(ctx, f, f.T, struct{}{}, err)
	}
}

// roomType reports whether clients send this type on a media line.
func roomType(t wire.Type) bool {
	switch t {
	case wire.RTCOffer, wire.RTCAnswer, wire.RTCICE, wire.RTCRestart, wire.RTCWant, wire.RTCMute, wire.RTCStats, wire.RoomChat:
		return true
	default:
		return false
	}
}

// fail tells the client that something on the media line was refused.
func (l *roomLine) fail(ctx context.Context, err error) {
	body := wire.RTCFailBody{Code: "rtc.internal"}
	if e := wireError(err); e.Code != wire.NumInternal {
		body = wire.RTCFailBody{Code: e.Reason, RetryMS: e.RetryAfterMS}
	} else {
		l.c.hub.d.Logger.ErrorContext(ctx, "media line failed", slog.String("link", l.c.id), slog.Any("error", err))
	}
	if fault.CodeOf(err) == "rtc.no_room" {
		body.Code = "rtc.not_admitted" // to a client it is the same: read the situation again
	}
	l.c.reply(item{t: wire.RTCFail, data: encode(&wire.Frame{T: wire.RTCFail}, body)})
}

// end tells the engine that the line is gone; media goes on for a while, so that a client may come back.
func (l *roomLine) end(ctx context.Context) {
	if err := l.session.Close("lost"); err != nil {
		l.c.hub.d.Logger.ErrorContext(ctx, "media session not closed", slog.String("link", l.c.id), slog.Any("error", err))
	}
}
