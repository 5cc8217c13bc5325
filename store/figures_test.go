package store_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"

	"heyi/devices"
	"heyi/mediation"
	"heyi/mediation/queue"
	"heyi/store"
	"heyi/store/storetest"
)

func TestFigures(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		figures := func() store.Figures {
			t.Helper()
			f, err := h.store.Figures(t.Context(), h.clock.Now())
			must(t, err)
			return f
		}
		want := store.Figures{Tickets: map[string]int{}, Sessions: map[string]int{}, Seats: map[string]int{}, Holders: map[string]string{}}
		same := func(what string) {
			t.Helper()
			got := figures()
			if d := cmp.Diff(want, got, cmpopts.IgnoreFields(store.Figures{}, "Bytes")); d != "" || got.Bytes < 4096 {
				t.Errorf("%s: %d bytes; %s", what, got.Bytes, d)
			}
		}
		same("an idle house")
		h.call(h.tv[0], h.lawyer, mediation.Consult)
		want.Sessions["joint"], want.Seats["busy"], want.Holders[queue.LeaseName] = 1, 1, testNode
		same("one is served")
		h.join(h.tv[1], mediation.Consult)
		h.clock.Advance(2 * time.Second)
		h.join(h.tv[2], mediation.Consult)
		h.link(h.tv[3], devices.Suspect)
		want.Tickets["waiting"], want.OldestWait, want.Suspect = 2, 2*time.Second, 1
		same("two wait")
		_, ok, err := h.store.AcquireLease(t.Context(), "node/"+testNode, testNode, time.Minute, h.clock.Now())
		if must(t, err); !ok {
			t.Fatal("no lease")
		}
		want.Nodes = 1
		same("the node holds its lease")
	})
}

// Figures are asked four times a minute by every node: no question may read a table that grows with terminals or years.
func TestFiguresScanNoBigTable(t *testing.T) {
	t.Parallel()
	s := storetest.OpenSQLite(t)
	scan := regexp.MustCompile(`SCAN (\w+)( USING (COVERING )?INDEX (\w+))?`)
	partial := map[string]bool{
		"ticket_line": true, "ticket_lane": true, "session_live": true, "offer_open": true, "offer_seat": true, "device_link_suspect": true, "handoff_due": true, "notice_due": true,
	}
	for _, query := range store.FiguresQueries() {
		args := make([]any, strings.Count(query, "$1")+strings.Count(query, "$2"))
		if len(args) > 2 {
			args = args[:1]
		}
		for i := range args {
			args[i] = "0"
		}
		found := 0
		err := s.All(t.Context(), "EXPLAIN QUERY PLAN "+query, args, func(r store.Rows) error {
			var id, parent, unused int
			var detail string
			err := r.Scan(&id, &parent, &unused, &detail)
			found++
			if m := scan.FindStringSubmatch(detail); m != nil && m[1] != "seat" && m[1] != "CONSTANT" && !partial[m[4]] {
				t.Errorf("%s\nin %s", detail, query)
			}
			return err
		})
		if must(t, err); found == 0 {
			t.Errorf("no plan of %s", query)
		}
	}
}

// What was committed is counted once, what was refused is not.
func TestCommitsAreCounted(t *testing.T) {
	t.Parallel()
	storetest.EachConfig(t, func(t *testing.T, c store.Config) {
		reg := prometheus.NewRegistry()
		c.Metrics = reg
		s := storetest.Open(t, c)
		must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.Event(ticketEvent("one", 1)) }))
		err := s.Write(t.Context(), func(tx *store.Tx) error {
			must(t, tx.Event(ticketEvent("one", 2)))
			_, err := tx.Exec(`INSERT INTO store_check (id, at) VALUES (1, 0)`)
			return err
		})
		if !store.IsUnique(err) {
			t.Fatalf("err = %v", err)
		}
		got := map[string]float64{}
		families, err := reg.Gather()
		must(t, err)
		for _, f := range families {
			for _, m := range f.GetMetric() {
				name := f.GetName()
				for _, l := range m.GetLabel() {
					name += " " + l.GetValue()
				}
				got[name] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
		if got["heyi_events_total ticket.created"] != 1 || got["heyi_store_commit_seconds"] == 0 || got["heyi_store_commit_commands"] != got["heyi_store_commit_seconds"] ||
			got["heyi_store_failures_total store.unavailable"] != 0 {
			t.Errorf("%v", got)
		}
	})
}
