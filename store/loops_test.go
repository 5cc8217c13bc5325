package store_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"heyi/gateway/wire"
	"heyi/internal/coord"
	"heyi/internal/coord/memcoord"
	"heyi/internal/lifecycle"
	"heyi/media"
	"heyi/mediation"
	"heyi/mediation/flow"
	"heyi/mediation/queue"
	"heyi/mediation/session"
)

// The loops of one process on the real clock: a key press becomes an offer by a nudge, not by the next tick; the
// engine's news reach the desk; everything ends when it is told to.
func TestLoops(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.clock.Set(time.Now())
		h.wipe()
		c := memcoord.New(time.Now)
		log := slog.New(slog.DiscardHandler)
		said := make(chan coord.Nudge, 100)
		defer c.Subscribe(func(n coord.Nudge) { said <- n })()
		heard := func(to string, typ wire.Type) {
			t.Helper()
			late := time.After(20 * time.Second)
			for {
				select {
				case n := <-said:
					if n.To == to && n.T == typ {
						return
					}
				case <-late:
					t.Fatalf("%s was not told %s", to, typ)
				}
			}
		}
		rooms := session.NewExecutor(session.ExecutorDeps{Store: h.store, Engine: h.engine, Nudges: c, Node: testNode, Now: time.Now, Logger: log, Sweep: time.Hour})
		f := flow.New(flow.Deps{Store: h.store, Rooms: rooms, Nudges: c, Node: testNode, Logger: log})
		desk := queue.NewDesk(queue.Deps{Store: h.store, Nudges: c, Node: testNode, Now: time.Now})
		limits := queue.Defaults()
		limits.OfferLease = 2 * time.Second
		matcher := queue.NewMatcher(queue.MatcherDeps{Store: h.store, Nudges: c, Node: testNode, Now: time.Now, Logger: log, Every: time.Hour, Limits: limits, Lease: time.Minute})
		sweeper := &flow.Sweeper{Flow: f, Now: time.Now, Every: 50 * time.Millisecond}
		group := &lifecycle.Group{}
		group.Add("rooms", rooms.Run)
		group.Add("matcher", matcher.Run)
		group.Add("timers", sweeper.Run)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- group.Run(ctx) }()

		tv, staff := h.tv[0], "staff/"+string(h.lawyer)
		now := func(name string, by mediation.Actor) mediation.Command {
			return mediation.Command{Name: name, Actor: by, Key: newKey(), At: time.Now().UnixMicro()}
		}
		h.ok(desk.SeatLink(t.Context(), h.lawyer, true))
		_, err := desk.SetSeat(t.Context(), now("seat.set", byStaff(h.lawyer)), h.lawyer, queue.SeatReady, "")
		h.ok(err)
		k, err := desk.Join(t.Context(), now("ticket.create", byTV(tv)), tv, mediation.Consult, mediation.Wages, mediation.Chinese)
		h.ok(err)
		heard(staff, wire.OfferNew)
		heard(staff, wire.OfferClosed) // the sweeper lets it lapse
		heard(staff, wire.OfferNew)    // and its nudge wakes the matcher
		var o queue.Offer
		h.ok(h.store.One(t.Context(), `SELECT id, ver FROM offer WHERE ticket_id = $1 AND closed_at = 0`, []any{k.ID}, &o.ID, &o.Ver))
		h.ok(f.Accept(t.Context(), now("offer.accept", byStaff(h.lawyer)), h.lawyer, o.ID, o.Ver))
		heard("device/"+string(tv), wire.TicketRing)
		_, err = f.Answer(t.Context(), now("ticket.answer", byTV(tv)), tv, k.ID, true)
		h.ok(err)
		heard(staff, wire.RoomReady)
		spec := h.engine.spec(h.ticket(k.ID).Session)
		rooms.Watch(media.Presence{Room: spec.Room, Fence: spec.Fence, Participant: spec.Members[0].ID, Live: []media.AttachKind{media.AttachView}})
		heard(staff, wire.RoomMember)
		if m := h.deskOf(h.lawyer).Session.Members[0]; !m.Present {
			t.Errorf("%+v", m)
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the loops ended with %v", err)
		}
		if _, ok, err := h.store.AcquireLease(t.Context(), queue.LeaseName, "other", time.Second, time.Now()); !ok || err != nil {
			t.Errorf("the matcher kept its lease: %v %v", ok, err)
		}
	})
}
