package queue_test

import (
	"reflect"
	"testing"
	"time"

	"heyi/internal/fault"
	"heyi/mediation/queue"
)

// offered is a line whose ticket was offered to a ready seat.
func offered() queue.Line {
	return queue.Line{
		Ticket: queue.Ticket{ID: "t", Ver: 3, State: queue.Offered, RankAt: now - 5},
		Offer:  queue.Offer{ID: "o", Ver: 1, Ticket: "t", Seat: "s", DueAt: now + 15e6},
		Seat:   queue.Seat{Staff: "s", Ver: 1, State: queue.SeatReady, Capacity: 1, Node: "n"},
	}
}

func in(s queue.State, seat queue.SeatState) queue.Line {
	return queue.Line{Ticket: queue.Ticket{ID: "t", State: s, Seat: "s", RankAt: now - 5, DueAt: now}, Seat: queue.Seat{Staff: "s", State: seat, Node: "n"}}
}

func TestOffer(t *testing.T) {
	t.Parallel()
	lim := queue.Defaults()
	t.Run("accept rings for 30 s and clears the strikes", func(t *testing.T) {
		t.Parallel()
		l := offered()
		l.Seat.Strikes = 1
		if err := l.Accept(lim, now); err != nil {
			t.Fatal(err)
		}
		if l.Ticket.State != queue.Ringing || l.Ticket.DueAt != now+30e6 || l.Ticket.Seat != "s" || l.Seat.State != queue.SeatBusy || l.Seat.Strikes != 0 || l.Offer.Open() {
			t.Errorf("%+v", l)
		}
	})
	t.Run("too late to accept", func(t *testing.T) {
		t.Parallel()
		l := offered()
		if err := l.Accept(lim, l.Offer.DueAt); fault.CodeOf(err) != "offer.expired" {
			t.Errorf("%v", err)
		}
	})
	t.Run("lapse keeps the rank, strikes, excludes nobody", func(t *testing.T) {
		t.Parallel()
		l := offered()
		if l.Lapse(lim, now) {
			t.Error("lapsed before its time")
		}
		if !l.Lapse(lim, now+15e6) || l.Ticket.State != queue.Waiting || l.Ticket.RankAt != now-5 || l.Seat.Strikes != 1 || len(l.Exclude) != 0 || l.Seat.State != queue.SeatReady {
			t.Errorf("%+v", l)
		}
	})
	t.Run("decline excludes and strikes; the second strike sends away", func(t *testing.T) {
		t.Parallel()
		l := offered()
		l.Seat.Strikes = 1
		if err := l.Decline(queue.ReasonBusy, lim, now); err != nil {
			t.Fatal(err)
		}
		if l.Seat.State != queue.SeatAway || len(l.Exclude) != 1 || l.Exclude[0].Reason != queue.ExcludedDeclined || l.Ticket.State != queue.Waiting {
			t.Errorf("%+v", l)
		}
	})
	t.Run("a conflict of interest is no strike", func(t *testing.T) {
		t.Parallel()
		l := offered()
		if err := l.Decline(queue.ReasonConflict, lim, now); err != nil || l.Seat.Strikes != 0 || l.Exclude[0].Reason != queue.ExcludedConflict {
			t.Errorf("%v %+v", err, l)
		}
	})
	t.Run("away takes the offer back without a strike", func(t *testing.T) {
		t.Parallel()
		l := offered()
		if err := l.SetSeat(queue.SeatAway, "", now); err != nil || l.Offer.Open() || l.Seat.Strikes != 0 || l.Ticket.State != queue.Waiting {
			t.Errorf("%v %+v", err, l)
		}
	})
}

func TestRing(t *testing.T) {
	t.Parallel()
	lim := queue.Defaults()
	l := in(queue.Ringing, queue.SeatBusy)
	l.Ticket.Rings = 1
	l.RingOver(lim, now)
	if l.Ticket.State != queue.Ringing || l.Ticket.Rings != 2 || l.Ticket.DueAt != now+30e6 {
		t.Fatalf("after the first ring: %+v", l.Ticket)
	}
	l.RingOver(lim, now)
	if l.Ticket.State != queue.Missed || l.Ticket.DueAt != now+600e6 || l.Ticket.Misses != 1 || l.Seat.State != queue.SeatReady || l.Seat.Strikes != 0 {
		t.Fatalf("after the second ring: %+v %+v", l.Ticket, l.Seat)
	}
	if err := l.Return(now); err != nil || l.Ticket.State != queue.Waiting || l.Ticket.RankAt != now-5 || l.Ticket.DueAt != 0 {
		t.Fatalf("after a key: %v %+v", err, l.Ticket)
	}
	l.Ticket.State, l.Ticket.Rings, l.Ticket.Seat, l.Seat.State = queue.Ringing, lim.Rings, "s", queue.SeatBusy
	l.RingOver(lim, now)
	if l.Ticket.State != queue.Done || l.Ticket.Outcome != queue.OutcomeNoShow || l.Seat.State != queue.SeatReady {
		t.Fatalf("after the second miss: %+v", l.Ticket)
	}
}

func TestWaitALittleCountsNoMiss(t *testing.T) {
	t.Parallel()
	l := in(queue.Ringing, queue.SeatBusy)
	if err := l.Later(queue.Defaults(), now); err != nil || l.Ticket.State != queue.Missed || l.Ticket.Misses != 0 {
		t.Errorf("%v %+v", err, l.Ticket)
	}
}

func TestMissedPlaceRingsOnceMore(t *testing.T) {
	t.Parallel()
	l := in(queue.Missed, queue.SeatReady)
	l.Ticket.Seat = ""
	l.MissedOver(now)
	if l.Ticket.State != queue.Waiting || l.Ticket.Mode != queue.Callback || l.Ticket.Misses != 1 {
		t.Errorf("%+v", l.Ticket)
	}
}

func TestSeat(t *testing.T) {
	t.Parallel()
	lim := queue.Defaults()
	tests := map[string]struct {
		from   queue.Line
		do     func(*queue.Line) error
		state  queue.SeatState
		reason string
		code   string
	}{
		"ready without a link": {
			queue.Line{Seat: queue.Seat{Staff: "s", State: queue.SeatOffline}}, func(l *queue.Line) error { return l.SetSeat(queue.SeatReady, "", now) }, queue.SeatOffline, "", "seat.no_link",
		},
		"ready from away": {
			in(queue.Waiting, queue.SeatAway), func(l *queue.Line) error { return l.SetSeat(queue.SeatReady, "", now) }, queue.SeatReady, "", "",
		},
		"ready while it holds a ticket means busy": {
			in(queue.Serving, queue.SeatAway), func(l *queue.Line) error { return l.SetSeat(queue.SeatReady, "", now) }, queue.SeatBusy, "", "",
		},
		"away keeps the ticket": {
			in(queue.Serving, queue.SeatBusy), func(l *queue.Line) error { return l.SetSeat(queue.SeatAway, "lunch", now) }, queue.SeatAway, "lunch", "",
		},
		"wrap-up is left by its form": {
			in(queue.WrapUp, queue.SeatWrapUp), func(l *queue.Line) error { return l.SetSeat(queue.SeatReady, "", now) }, queue.SeatWrapUp, "", "seat.wrap_up",
		},
		"busy is no wish": {
			in(queue.Waiting, queue.SeatReady), func(l *queue.Line) error { return l.SetSeat(queue.SeatBusy, "", now) }, queue.SeatReady, "", "seat.bad_state",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := tt.from
			err := tt.do(&l)
			if tt.code == "" && err != nil || tt.code != "" && fault.CodeOf(err) != tt.code {
				t.Fatalf("error %v, want %q", err, tt.code)
			}
			if l.Seat.State != tt.state || l.Seat.Reason != tt.reason {
				t.Errorf("seat %s (%s), want %s (%s)", l.Seat.State, l.Seat.Reason, tt.state, tt.reason)
			}
		})
	}
	t.Run("a lost link counts from its loss", func(t *testing.T) {
		t.Parallel()
		l := in(queue.Waiting, queue.SeatReady)
		l.SeatLink("", lim, now)
		l.SeatLink("", lim, now+5e6)
		if l.Seat.DueAt != now+60e6 {
			t.Errorf("due %d s after the loss", (l.Seat.DueAt-now)/1e6)
		}
		l.SeatLink("n", lim, now+10e6)
		if l.Seat.DueAt != 0 || l.Seat.State != queue.SeatReady {
			t.Errorf("%+v", l.Seat)
		}
	})
}

// Every refused step leaves the line as it was.
func TestRefusalsChangeNothing(t *testing.T) {
	t.Parallel()
	lim := queue.Defaults()
	steps := map[string]struct {
		do      func(*queue.Line) error
		allowed []queue.State
	}{
		"take":    {func(l *queue.Line) error { return l.Take() }, []queue.State{queue.Ringing}},
		"later":   {func(l *queue.Line) error { return l.Later(lim, now) }, []queue.State{queue.Ringing}},
		"return":  {func(l *queue.Line) error { return l.Return(now) }, []queue.State{queue.Missed, queue.Parked, queue.Waiting}},
		"accept":  {func(l *queue.Line) error { return l.Accept(lim, now) }, nil}, // no open offer
		"decline": {func(l *queue.Line) error { return l.Decline(queue.ReasonBusy, lim, now) }, nil},
	}
	for name, step := range steps {
		for _, s := range queue.States() {
			l := in(s, queue.SeatBusy)
			before := l
			err := step.do(&l)
			allowed := false
			for _, a := range step.allowed {
				allowed = allowed || a == s
			}
			if (err == nil) != allowed {
				t.Errorf("%s in %s: %v", name, s, err)
			}
			if err != nil && !reflect.DeepEqual(l, before) {
				t.Errorf("%s in %s was refused and changed the line", name, s)
			}
		}
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	d := queue.Defaults()
	if d.OfferLease != 15*time.Second || d.Ring != 30*time.Second || d.MissedKeep != 10*time.Minute || d.LinkGrace != 120*time.Second || d.ParkedKeep != 30*time.Minute {
		t.Errorf("%+v", d)
	}
}
