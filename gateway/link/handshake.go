package link

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"time"

	"heyi/devices"
	"heyi/gateway/auth"
	"heyi/gateway/wire"
	"heyi/internal/fault"
	"heyi/media"
)

// renewBefore is how long before its end an access token is renewed.
const renewBefore = 2 * time.Minute

// proof is what a connect frame brought and what the Verifier found.
type proof struct {
	body    wire.ConnectBody
	device  VerifiedDevice
	session VerifiedSession
	ticket  media.Ticket
	resume  *devices.Resume     // of a device that keeps a journal
	streams *devices.Resumption // where it stands
	err     error
}

// handshake judges the first frame and welcomes the link. Where it fails the link is shut with the fitting code.
func (c *conn) handshake(ctx context.Context) bool {
	buf, code, reason := c.next(c.hub.cfg.MaxFrameBefore)
	if reason != "" {
		c.shut(code, reason)
	}
	if buf == nil {
		return false
	}
	var p proof
	c.inWorker(ctx, func(ctx context.Context) { p = c.verify(ctx, *buf) })
	putBuf(buf)
	if p.err == nil && c.kind == kindDevice {
		p.err = c.raiseEpoch(ctx, &p)
	}
	if p.err == nil {
		c.inWorker(ctx, func(ctx context.Context) { p.err = c.welcome(ctx, &p) })
		c.flush()
	}
	if p.err != nil {
		code, reason := closeOf(p.err)
		if code == wire.CloseBadSignature {
			c.hub.door.failed(c.from, c.hub.d.Now().UnixNano())
		}
		c.shut(code, reason)
		level := slog.LevelDebug // strangers decide how many there are
		if code == wire.CloseOverload {
			level = slog.LevelWarn
		}
		c.hub.d.Logger.LogAttrs(ctx, level, "link refused", slog.String("link", c.id), slog.Int("code", code), slog.Any("error", p.err))
		return false
	}
	return c.welcomed.Load()
}

// verify decodes the connect frame and judges its proof. It decides which kind of link this is.
func (c *conn) verify(ctx context.Context, src []byte) proof {
	var (
		p proof
		f wire.Frame
	)
	if p.err = wire.Decode(src, &f); p.err != nil {
		return p
	}
	if f.T != wire.Connect {
		return proof{err: fault.New(fault.Invalid, "frame.no_connect")}
	}
	if p.err = f.Body(&p.body); p.err != nil {
		return p
	}
	now := c.hub.d.Now()
	a := p.body.Auth
	switch {
	case a.Kind == "room" && c.kind == kindRoom:
		p.ticket, p.err = c.hub.d.Verifier.Room(ctx, a.Ticket, now)
		c.addr = "room/" + string(p.ticket.Room) + "/" + string(p.ticket.Participant) + "/" + string(p.ticket.Attachment)
		c.epoch = p.ticket.JoinGen
	case a.Kind == "device" && c.kind != kindRoom:
		if p.resume, p.err = resumeOf(&p.body); p.err != nil {
			return p
		}
		p.device, p.err = c.hub.d.Verifier.Device(ctx, DeviceProof{Auth: a, Server: c.host, Nonce: c.nonce[:], Now: now})
		c.caller = auth.Caller{Kind: auth.Device, DeviceID: p.device.ID}
		c.boot = clip(p.body.BootID)
		c.addr = deviceAddr(p.device.ID)
	case a.Kind == "session" && c.kind != kindRoom:
		c.kind = kindSession
		p.session, p.err = c.hub.d.Verifier.Session(ctx, a.Token, a.Screen, a.Instance, now)
		c.caller, c.screen, c.instance = p.session.Caller, p.session.Screen, p.session.Instance
		c.epoch = now.UnixMicro()
		switch c.caller.Kind {
		case auth.Capture:
			c.addr = "capture/" + string(c.caller.GrantID)
		case auth.Party:
			c.addr = "party/" + string(c.caller.Link)
		default:
			c.addr = "staff/" + string(c.caller.StaffID)
		}
	default:
		p.err = fault.New(fault.Invalid, "frame.auth_kind")
	}
	return p
}

// raiseEpoch takes the device's next epoch, together with all others that connect now, and reads where its streams
// stand.
func (c *conn) raiseEpoch(ctx context.Context, p *proof) error {
	res, err := c.hub.connects.ask(ctx, string(p.device.ID), ConnectRequest{
		Device: p.device.ID, KeySHA256: p.device.KeySHA256, Link: c.id, BootID: p.body.BootID, App: p.body.App,
		Caps: p.body.Caps, Why: p.body.Why, Serving: p.body.Serving, Resume: p.resume, At: c.hub.d.Now(),
	})
	if err != nil {
		return err
	}
	if res.Err != nil {
		return res.Err
	}
	c.epoch, c.caller.Epoch, c.caller.DeviceUnit = res.Epoch, res.Epoch, res.Unit
	p.streams = res.Streams
	return nil
}

// resumeOf reads what a device says about its streams. Without the id of its own there is nothing to resume.
func resumeOf(b *wire.ConnectBody) (*devices.Resume, error) {
	r := b.Resume
	if r == nil {
		return nil, nil
	}
	if r.Up.Stream == "" || clip(r.Up.Stream) != r.Up.Stream || clip(r.Down.Stream) != r.Down.Stream ||
		r.Up.Seq > wire.MaxInt || r.Down.Seq > wire.MaxInt {
		return nil, fault.New(fault.Invalid, "frame.resume")
	}
	return &devices.Resume{
		DownStream: r.Down.Stream, DownSeq: int64(r.Down.Seq), UpStream: r.Up.Stream, UpSeq: int64(r.Up.Seq), Inventory: clip(b.Hashes["inventory"]),
	}, nil
}

// connectBatch writes the epochs of one batch.
func (h *Hub) connectBatch(ctx context.Context, batch []ConnectRequest) []ConnectResult {
	start := h.d.Now()
	out := h.d.Presence.Connect(ctx, batch)
	h.m.batch(len(batch), h.d.Now().Sub(start))
	if len(out) == len(batch) {
		return out
	}
	broken := make([]ConnectResult, len(batch))
	for i := range broken {
		broken[i].Err = fault.New(fault.Internal, "link.batch")
	}
	return broken
}

// welcome registers the link, supersedes an older one and puts welcome and sync into the outbox.
func (c *conn) welcome(ctx context.Context, p *proof) error {
	h := c.hub
	now := h.d.Now()
	c.pingAt.Store(now.Add(firstPing(h.cfg.PingEvery)).UnixNano())
	c.told.Store(now.Add(jitter(seenEvery/2) - seenEvery).UnixNano()) // the connect wrote seen_at; spread the next writes
	perS, burst := h.cfg.PerS, h.cfg.Burst
	if c.kind == kindRoom {
		perS, burst = h.cfg.RoomPerS, h.cfg.RoomBurst
	}
	body := wire.WelcomeBody{
		Link: c.id, Epoch: c.epoch,
		Ping:      wire.PingRule{EveryS: int(h.cfg.PingEvery / time.Second), DeadAfterS: int(h.cfg.ReadTimeout / time.Second)},
		Reconnect: h.cfg.Reconnect,
		Limits:    wire.LimitsBody{MaxFrame: h.cfg.MaxFrame, PerS: perS, Burst: burst},
		NowAt:     now.UnixMicro(), DesiredVer: h.cfg.DesiredVer, TZ: h.cfg.TZ,
		Degraded: h.deaf(),
	}
	c.degraded.Store(body.Degraded)
	waits := false // something for the device
	if c.kind == kindDevice {
		access, err := h.d.Verifier.Access(ctx, c.caller.DeviceID, c.id, c.epoch, now)
		if err != nil {
			return err
		}
		body.Access = &access
		if p.streams != nil {
			c.up.resume(p.streams, &body)
			waits = c.down.resume(p.streams, &body)
			if p.streams.WantInventory {
				body.Want, body.WantInMS = []string{"inventory"}, h.cfg.WantWithin.Milliseconds()
			}
		}
		c.renewAt.Store(renewal(access, now))
	}
	if c.kind == kindRoom && h.d.Rooms == nil {
		return fault.New(fault.Unavailable, "rtc.not_here")
	}
	// The welcome stands first in the outbox: nudges find the link only after register.
	c.reply(item{t: wire.Welcome, data: encode(&wire.Frame{T: wire.Welcome}, body)})
	older, ok := h.register(c)
	if !ok {
		c.out.empty()
		return fault.New(fault.Conflict, "link.superseded")
	}
	c.welcomed.Store(true)
	if !c.out.closed() {
		_ = c.ws.SetReadDeadline(time.Time{}) // from now on the sweeper watches
	}
	h.links.Add(1)
	h.m.up(c.kind, 1)
	h.m.connects.WithLabelValues(c.kind.String()).Inc()
	for _, o := range older {
		h.m.takeovers.Inc()
		c.tookFrom(o, now)
		o.shut(wire.CloseSuperseded, "superseded")
	}
	h.d.Logger.DebugContext(ctx, "link up", slog.String("link", c.id), slog.String("addr", c.addr), slog.Int64("epoch", c.epoch))
	switch c.kind {
	case kindRoom:
		c.openRoom(ctx, p.ticket)
	case kindSession:
		h.watch.mark(c.addr, watched{caller: c.caller})
		c.sync(ctx, true)
	case kindDevice:
		c.sync(ctx, true)
		if waits {
			h.downs.want(c)
		}
	}
	return nil
}

// sync tells a page what is open for it: always, or only when it is not what the last sync told.
func (c *conn) sync(ctx context.Context, always bool) {
	if c.hub.d.Sync == nil || c.kind == kindRoom {
		return
	}
	items, err := c.hub.d.Sync(ctx, c.caller)
	if err != nil {
		// the page fetches everything after a welcome without a sync; the store's fault is logged by its owner
		c.hub.d.Logger.WarnContext(ctx, "sync failed", slog.String("link", c.id), slog.Any("error", err))
		return
	}
	if items == nil {
		items = []wire.SyncItem{}
	}
	data := encode(&wire.Frame{T: wire.Sync}, wire.SyncBody{Items: items})
	c.open.Store(len(items) > 0)
	sum := maphash.Bytes(c.hub.seed, data)
	if c.synced.Swap(sum) == sum && !always {
		return
	}
	c.reply(item{t: wire.Sync, data: data})
}

// firstPing spreads the first pings of links that came together over half an interval.
func firstPing(every time.Duration) time.Duration { return jitter(every * 3 / 4) }

// renewal is the instant at which an access token is renewed, jittered so that a storm does not echo.
func renewal(a wire.AccessBody, now time.Time) int64 {
	end := time.UnixMicro(a.ExpAt)
	at := end.Add(-renewBefore - jitter(10*time.Second))
	if !at.After(now) {
		at = now.Add(end.Sub(now) / 2) // a token shorter than the margin
	}
	return at.UnixNano()
}

// closeOf maps an error of the handshake or of a broken frame to its close code.
func closeOf(err error) (code int, reason string) {
	reason = fault.CodeOf(err)
	switch reason {
	case CodeBadSignature:
		return wire.CloseBadSignature, reason
	case CodeCredExpired:
		return wire.CloseCredExpired, reason
	case CodeUnknownDevice:
		return wire.CloseUnknownDevice, reason
	case CodeRevoked:
		return wire.CloseRevoked, reason
	case CodeQuarantined:
		return wire.CloseQuarantined, reason
	case CodeDisabled:
		return wire.CloseDisabled, reason
	case CodeTokenExpired, CodeTokenUsed, "token.spent", "token.expired", "rtc.ticket_expired", "rtc.ticket_used",
		"rtc.stale_fence", "rtc.stale_epoch":
		return wire.CloseTokenExpired, reason
	case CodeSignedOut:
		return wire.CloseSignedOut, reason
	case CodeNotAdmitted, "rtc.not_admitted", "rtc.room_full", "rtc.no_room":
		return wire.CloseNotAdmitted, reason
	case "link.superseded":
		return wire.CloseSuperseded, reason
	}
	switch {
	case errors.Is(err, wire.ErrVersion):
		return wire.CloseVersion, "frame.version"
	case errors.Is(err, wire.ErrTooDeep):
		return wire.CloseProtocol, "frame.too_deep"
	case errors.Is(err, wire.ErrBadField):
		return wire.CloseProtocol, "frame.malformed"
	case fault.KindOf(err) == fault.Unauthenticated:
		return wire.CloseBadSignature, reason
	case fault.KindOf(err) == fault.Internal, fault.KindOf(err) == fault.Unavailable, fault.KindOf(err) == fault.TooMany:
		return wire.CloseOverload, reason
	}
	return wire.CloseProtocol, reason
}
