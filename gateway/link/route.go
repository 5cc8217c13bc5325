package link

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"unicode/utf8"

	"heyi/gateway/wire"
	"heyi/internal/fault"
)

// dispatch reads one frame of a welcomed link, on a worker.
func (c *conn) dispatch(ctx context.Context, src []byte) {
	c.hub.m.frames.Inc()
	var f wire.Frame
	err := wire.Decode(src, &f)
	if err == nil && !utf8.Valid(src) {
		err = wire.ErrBadField // RFC 6455 §8.1
	}
	var unknown *wire.UnknownTypeError
	switch {
	case errors.As(err, &unknown):
		c.unknown(unknown.ID, unknown.Flags, wire.ErrorMsg)
		return
	case err != nil:
		code, reason := closeOf(err)
		c.shut(code, reason)
		return
	case len(src) > c.hub.cfg.MaxFrame && f.T != wire.Inventory:
		c.shut(wire.CloseProtocol, "frame.too_large")
		return
	case f.Ack != 0 && !c.acked(f.Ack):
		return
	case f.Re != 0:
		return // nothing that this build sends asks for an answer
	}
	switch f.T {
	case wire.Connect, wire.Challenge, wire.Welcome:
		c.shut(wire.CloseProtocol, "frame.handshake_over")
		return
	case wire.Ping:
		c.answer(ctx, &f, wire.Pong, wire.PongBody{NowAt: c.hub.d.Now().UnixMicro()}, nil)
		return
	case wire.GoingAway:
		c.goesAway(&f)
		return
	case wire.Ack:
		return // its header is all it has
	case wire.Event, wire.Inventory, wire.CmdStatus, wire.LogMeta:
		c.durable(ctx, &f, len(src))
		return
	default:
	}
	if c.kind == kindRoom {
		if c.room != nil { // nil only after the engine refused and the line was shut
			c.room.handle(ctx, &f)
		}
		return
	}
	switch f.T {
	case wire.ViewOpen:
		snap, err := c.hub.views.open(ctx, c, &f)
		c.answer(ctx, &f, wire.ViewSnapshot, snap, err)
		c.hub.views.release(c)
		return
	case wire.ViewClose:
		c.hub.views.drop(c)
		c.answer(ctx, &f, f.T, struct{}{}, nil)
		return
	default:
	}
	handle := c.hub.routes[f.T]
	if handle == nil {
		c.unknown(f.ID, f.Flags, f.T)
		return
	}
	res, err := handle(ctx, c.caller, c.addr, &f)
	c.answer(ctx, &f, f.T, res, err)
}

// unknown answers a type that this build does not take from clients.
func (c *conn) unknown(id uint64, flags uint32, t wire.Type) {
	if flags&wire.FlagMustUnderstand != 0 {
		c.shut(wire.CloseProtocol, "frame.must_understand")
		return
	}
	if id != 0 {
		c.reply(item{t: t, data: encode(&wire.Frame{T: t, Re: id, Err: &wire.Error{Code: wire.NumUnknownType, Reason: "frame.unknown_type"}}, nil)})
	}
}

// goesAway notes why a device leaves; its own word decides how long presence waits for it.
func (c *conn) goesAway(f *wire.Frame) {
	var b wire.GoingAwayBody
	if err := f.Body(&b); err != nil {
		c.shut(closeOf(err))
		return
	}
	switch b.Why {
	case "reboot", "update", "user_off":
		c.leaving.CompareAndSwap(nil, b.Why)
	}
}

// answer sends the result of a request, or its error; what is no request gets no answer, except a page's ping.
func (c *conn) answer(ctx context.Context, f *wire.Frame, t wire.Type, body any, err error) {
	if errors.Is(err, wire.ErrBadField) {
		c.shut(closeOf(err))
		return
	}
	if err != nil && fault.KindOf(err) == fault.Internal && !errors.Is(err, context.Canceled) {
		c.hub.d.Logger.ErrorContext(ctx, "frame failed", slog.String("link", c.id), slog.String("type", f.T.String()), slog.Any("error", err))
	}
	if f.ID == 0 && f.T != wire.Ping {
		return
	}
	out := wire.Frame{T: t, Re: f.ID, Ack: c.up.ack(c.hub.d.Now())}
	if err != nil {
		out.T, out.Err, body = f.T, wireError(err), nil
	}
	data, merr := marshal(&out, body)
	if merr != nil {
		c.hub.d.Logger.ErrorContext(ctx, "answer not encoded", slog.String("link", c.id), slog.String("type", t.String()), slog.Any("error", merr))
		data = encode(&wire.Frame{T: f.T, Re: f.ID, Err: wireError(merr)}, nil)
	}
	c.reply(item{t: t, data: data})
}

// marshal writes a frame with its body.
func marshal(f *wire.Frame, body any) ([]byte, error) {
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		f.B = b
	}
	return wire.Append(nil, f)
}

// wireError is an error as a client may see it (docs/protocol.md §1).
func wireError(err error) *wire.Error {
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind == fault.Internal {
		return &wire.Error{Code: wire.NumInternal, Reason: "internal", Temporary: true}
	}
	e := &wire.Error{Code: number(f.Kind), Reason: f.Code, Field: f.Field, Ref: f.Ref, RetryAfterMS: f.RetryAfter.Milliseconds()}
	e.Temporary = f.Kind == fault.TooMany || f.Kind == fault.Unavailable
	return e
}

// number is the link error number of a fault kind.
func number(k fault.Kind) int {
	switch k {
	case fault.Unauthenticated:
		return wire.NumUnauthenticated
	case fault.Forbidden:
		return wire.NumForbidden
	case fault.NotFound:
		return wire.NumNotFound
	case fault.Invalid:
		return wire.NumBadRequest
	case fault.Unsupported:
		return wire.NumUnsupported
	case fault.Expired:
		return wire.NumExpired
	case fault.Conflict:
		return wire.NumConflict
	case fault.TooMany:
		return wire.NumTooMany
	case fault.Stale:
		return wire.NumStale
	case fault.Precondition:
		return wire.NumPrecondition
	case fault.Serving:
		return wire.NumServing
	case fault.Unavailable:
		return wire.NumUnavailable
	case fault.Internal:
	}
	return wire.NumInternal
}
