package store_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"heyi/internal/ident"
	"heyi/mediation"
	"heyi/mediation/queue"
	"heyi/store/storetest"
)

// rules demands what must hold in SQL whatever happened.
func (h *house) rules(tb fataler) {
	var n int
	for what, query := range map[string]string{
		"tickets with two open offers":              `SELECT count(*) FROM (SELECT ticket_id FROM offer WHERE closed_at = 0 GROUP BY ticket_id HAVING count(*) > 1) AS x`,
		"offered tickets without open offer":        `SELECT count(*) FROM ticket WHERE state = 'offered' AND NOT EXISTS (SELECT 1 FROM offer WHERE ticket_id = ticket.id AND closed_at = 0)`,
		"open offers of tickets that are not":       `SELECT count(*) FROM offer JOIN ticket ON ticket.id = offer.ticket_id WHERE offer.closed_at = 0 AND ticket.state <> 'offered'`,
		"open offers without lease":                 `SELECT count(*) FROM offer WHERE (closed_at = 0) <> (due_at > 0)`,
		"holders with two open tickets":             `SELECT count(*) FROM (SELECT holder_key FROM ticket WHERE state IN ('waiting','parked','offered','ringing','missed','serving') GROUP BY holder_key HAVING count(*) > 1) AS x`,
		"waiting tickets with a seat":               `SELECT count(*) FROM ticket WHERE state IN ('waiting','parked','missed','offered') AND seat_id <> ''`,
		"held tickets without a seat":               `SELECT count(*) FROM ticket WHERE state IN ('ringing','serving','wrap_up') AND seat_id = ''`,
		"ringing tickets without timer":             `SELECT count(*) FROM ticket WHERE state IN ('ringing','missed','parked','wrap_up') AND due_at = 0`,
		"served tickets without live session":       `SELECT count(*) FROM ticket JOIN session ON session.id = ticket.session_id WHERE ticket.state IN ('ringing','serving') AND session.state NOT IN ('lobby','checking','joint','suspended')`,
		"live sessions without such a ticket":       `SELECT count(*) FROM session JOIN ticket ON ticket.id = session.ticket_id WHERE session.state IN ('lobby','checking','joint','suspended') AND ticket.state NOT IN ('ringing','serving')`,
		"rooms that are open without live session":  `SELECT count(*) FROM room_placement JOIN session ON session.id = room_placement.session_id WHERE room_placement.closed = FALSE AND session.state NOT IN ('lobby','checking','joint','suspended')`,
		"rooms that are closed with a live session": `SELECT count(*) FROM room_placement JOIN session ON session.id = room_placement.session_id WHERE room_placement.closed = TRUE AND session.state IN ('lobby','checking','joint','suspended')`,
		"busy seats without a ticket":               `SELECT count(*) FROM seat WHERE state IN ('busy','wrap_up') AND NOT EXISTS (SELECT 1 FROM ticket WHERE seat_id = seat.staff_id AND state IN ('ringing','serving','wrap_up'))`,
		"ready seats that hold a ticket":            `SELECT count(*) FROM seat WHERE state = 'ready' AND EXISTS (SELECT 1 FROM ticket WHERE seat_id = seat.staff_id AND state IN ('ringing','serving','wrap_up'))`,
		"seats beyond their capacity": `SELECT count(*) FROM seat WHERE capacity < (SELECT count(*) FROM offer WHERE seat_id = seat.staff_id AND closed_at = 0)
			+ (SELECT count(*) FROM ticket WHERE seat_id = seat.staff_id AND state IN ('ringing','serving','wrap_up'))`,
	} {
		if err := h.store.One(h.ctx(), query, nil, &n); err != nil {
			tb.Fatalf("%s: %v", what, err)
		}
		if n != 0 {
			tb.Fatalf("%d %s", n, what)
		}
	}
}

// fataler is a testing.TB or a rapid.T.
type fataler interface {
	Fatalf(format string, args ...any)
}

// Two matchers read the same line; the lease of the first is stolen between its reading and its commit.
func TestStolenLease(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.ready(h.lawyer, h.second)
		for _, tv := range h.tv {
			h.join(tv, mediation.Consult)
		}
		take := func(owner string) int64 {
			epoch, ok, err := h.store.AcquireLease(h.ctx(), queue.LeaseName, owner, time.Second, h.clock.Now())
			h.ok(err)
			if !ok {
				t.Fatalf("%s got no lease", owner)
			}
			return epoch
		}
		work := func(epoch int64) queue.Work {
			s, err := h.store.Snapshot(h.ctx(), h.now())
			h.ok(err)
			return queue.Work{Epoch: epoch, At: h.now(), LeaseTo: h.now() + 15e6, Plan: queue.Match(s)}
		}
		a := work(take("a"))
		h.clock.Advance(2 * time.Second)
		b := work(take("b"))
		if len(a.Plan.Pairs) != 2 || len(b.Plan.Pairs) != 2 {
			t.Fatalf("plans %v and %v", a.Plan, b.Plan)
		}
		_, err := h.store.Commit(h.ctx(), a) // the paused one wakes up first
		h.refused(err, "matcher.lost_lease")
		out, err := h.store.Commit(h.ctx(), b)
		h.ok(err)
		if len(out.Offers) != 2 {
			t.Fatalf("offers %v", out.Offers)
		}
		a.Epoch, a.At = b.Epoch, b.At // even with the right epoch the guards hold
		out, err = h.store.Commit(h.ctx(), a)
		h.ok(err)
		if len(out.Offers) != 0 {
			t.Errorf("a second commit made %v", out.Offers)
		}
		h.rules(t)
	})
}

// Many commits of stale plans at once, against seats and tickets that change: never two open offers for a ticket, never
// a seat beyond its capacity.
func TestCommitsAtOnce(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		for i := range 6 {
			h.tv = append(h.tv, h.install(20+i, "150426106201", false))
		}
		epoch, _, err := h.store.AcquireLease(h.ctx(), queue.LeaseName, "a", time.Hour, h.clock.Now())
		h.ok(err)
		var tickets []ident.TicketID
		for _, tv := range h.tv {
			tickets = append(tickets, h.join(tv, mediation.Consult).ID)
		}
		h.ready(h.lawyer, h.second, h.judge)
		s, err := h.store.Snapshot(h.ctx(), h.now())
		h.ok(err)
		seats := []ident.StaffID{h.lawyer, h.second, h.judge}
		var (
			wg     sync.WaitGroup
			offers atomic.Int64
		)
		errs := make(chan error, 100)
		for i := range 8 {
			w := queue.Work{Epoch: epoch, At: h.now(), LeaseTo: h.now() + 15e6}
			for j := range 3 {
				ticket := s.Tickets[(i+j)%len(s.Tickets)]
				w.Plan.Pairs = append(w.Plan.Pairs, queue.Pair{Ticket: ticket.ID, Ver: ticket.Ver, Seat: seats[(i+j*2)%3]})
			}
			wg.Go(func() {
				out, err := h.store.Commit(h.ctx(), w)
				offers.Add(int64(len(out.Offers)))
				errs <- err
			})
			wg.Go(func() {
				_, err := h.flow.Cancel(h.ctx(), h.cmd("ticket.cancel", byTV(h.tv[i%2]), newKey()), h.tv[i%2], tickets[i%2])
				errs <- err
			})
			wg.Go(func() {
				_, err := h.desk.SetSeat(h.ctx(), h.cmd("seat.set", byStaff(seats[i%3]), ""), seats[i%3], queue.SeatReady, "")
				errs <- err
			})
		}
		wg.Wait()
		close(errs)
		for err := range errs {
			h.ok(err)
		}
		if n := offers.Load(); n == 0 {
			t.Error("no commit made an offer")
		}
		h.rules(t)
	})
}

// What is shown never grows, whatever a matcher computed, and stays over a restart.
func TestShownPositionNeverGrowsInTheStore(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		var last queue.Ticket
		for _, tv := range h.tv {
			last = h.join(tv, mediation.Consult)
		}
		tv := h.tv[len(h.tv)-1]
		ahead := func() int { return h.situation(tv).Ticket.Ahead }
		if ahead() != 3 {
			t.Fatalf("%d ahead", ahead())
		}
		_, err := h.flow.Cancel(h.ctx(), h.cmd("ticket.cancel", byTV(h.tv[0]), newKey()), h.tv[0], h.situation(h.tv[0]).Ticket.ID)
		h.ok(err)
		ver := h.situation(tv).Ver
		h.match()
		if s := h.situation(tv); s.Ticket.Ahead != 2 || s.Ver <= ver {
			t.Fatalf("%+v after version %d", s.Ticket, ver)
		}
		h.kill(time.Hour)
		h.clock.Advance(10 * time.Second) // the lease of the killed process
		epoch, ok, err := h.store.AcquireLease(h.ctx(), queue.LeaseName, "other", time.Minute, h.clock.Now())
		if err != nil || !ok {
			t.Fatalf("lease: %v %v", ok, err)
		}
		_, err = h.store.Commit(h.ctx(), queue.Work{Epoch: epoch, At: h.now(), Shows: []queue.Show{{Ticket: last.ID, Ahead: 7, Passed: true, Range: queue.None()}}})
		h.ok(err)
		if s := h.situation(tv); s.Ticket.Ahead != 2 || !s.Ticket.Passed {
			t.Errorf("%+v", s.Ticket)
		}
	})
}

// Many keys pressed at once: every ticket has its own number and the places are 0, 1, 2 ...
func TestNumbersAreGapFree(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		for i := range 12 {
			h.tv = append(h.tv, h.install(40+i, "150426106202", false))
		}
		var wg sync.WaitGroup
		got := make(chan string, 2*len(h.tv))
		for _, tv := range h.tv {
			key := newKey()
			for range 2 { // a double press, once with the same key
				wg.Go(func() {
					k, err := h.desk.Join(h.ctx(), h.cmd("ticket.create", byTV(tv), key), tv, mediation.Consult, mediation.Wages, mediation.Chinese)
					if err != nil {
						t.Error(err)
					}
					got <- k.No
				})
			}
		}
		wg.Wait()
		close(got)
		count := map[string]int{}
		for no := range got {
			count[no]++
		}
		for i := range h.tv {
			if no := fmt.Sprintf("A %03d", i+1); count[no] != 2 {
				t.Errorf("%s was given %d times", no, count[no])
			}
		}
		h.rules(t)
	})
}

func BenchmarkJoin(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprint("sqlite/", callers), func(b *testing.B) {
			h := newHouse(b, storetest.SQLiteConfig(b))
			for i := range 256 {
				h.tv = append(h.tv, h.install(100+i, "150426106201", false))
			}
			free := make(chan ident.DeviceID, len(h.tv))
			for _, tv := range h.tv {
				free <- tv
			}
			desk := queue.NewDesk(queue.Deps{Store: h.store, Nudges: h.nudges, Now: h.clock.Now, Limits: func() queue.Limits {
				l := queue.Defaults()
				l.TicketsAHour = 1 << 30
				return l
			}()})
			b.SetParallelism(callers)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					tv := <-free
					k, err := desk.Join(h.ctx(), h.cmd("ticket.create", byTV(tv), newKey()), tv, mediation.Consult, mediation.Wages, mediation.Chinese)
					if err == nil {
						_, err = h.flow.Cancel(h.ctx(), h.cmd("ticket.cancel", byTV(tv), newKey()), tv, k.ID)
					}
					if err != nil {
						b.Error(err)
					}
					free <- tv
				}
			})
		})
	}
}
