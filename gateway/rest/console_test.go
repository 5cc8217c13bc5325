package rest_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"heyi/devices"
	"heyi/gateway/auth"
	"heyi/gateway/rest"
	"heyi/gateway/wire"
	"heyi/internal/fault"
	"heyi/people"
	"heyi/store"
)

type devicePage struct {
	Rows  []rest.DeviceRow `json:"rows"`
	Next  string           `json:"next"`
	Total int              `json:"total"`
	Chips map[string]int   `json:"chips"`
}

// The file holds the rows of the list, all of them, in its order, and the event log holds that it left.
func TestExportIsTheList(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if err := h.store.SampleFleet(t.Context(), store.Sample{Size: 900, Seed: 3, Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	op := h.signIn("city")
	for name, query := range map[string]string{
		"everything by name": "", "a filter backwards by serial": "kind=stb&class=home&sort=serial&desc=1", "a place": "unit=" + string(h.unit("150426000000")) + "&chip=online", "nothing": "q=none",
	} {
		var ids []string
		var page devicePage
		for cursor := ""; ; cursor = page.Next {
			page = devicePage{}
			op.want(200, "", "GET", "/devices?"+query+"&limit=200&cursor="+cursor, nil, &page)
			for _, r := range page.Rows {
				ids = append(ids, string(r.ID))
				if len(r.Day) != devices.DayHours {
					t.Fatalf("%s: the day of %s is %q", name, r.Name, r.Day)
				}
			}
			if page.Next == "" {
				break
			}
		}
		if len(ids) != page.Total {
			t.Errorf("%s: %d rows of %d", name, len(ids), page.Total)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.url+"/devices/export?"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = op.header.Clone()
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if ct := res.Header.Get("Content-Type"); res.StatusCode != 200 || ct != "text/csv; charset=utf-8" || !strings.Contains(res.Header.Get("Content-Disposition"), "attachment") {
			t.Fatalf("%s: %d %s", name, res.StatusCode, ct)
		}
		lines, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(raw), "\ufeff"))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		var exported []string
		for _, l := range lines[1:] {
			exported = append(exported, l[len(l)-1])
		}
		if !slices.Equal(exported, ids) {
			t.Errorf("%s: the file has %d rows, the list %d, or another order", name, len(exported), len(ids))
		}
	}
	op.want(422, "list.bad_filter", "GET", "/devices/export?chip=blue", nil, nil)
	op.want(422, "list.bad_filter", "GET", "/devices?desc=yes", nil, nil)
	op.want(422, "list.bad_filter", "GET", "/devices?offset=-1", nil, nil)
	var models struct {
		Models []struct {
			Model string
			N     int
		}
	}
	op.want(200, "", "GET", "/devices/models", nil, &models)
	if len(models.Models) < 5 || models.Models[0].N < models.Models[1].N {
		t.Errorf("models %+v", models)
	}
}

// A live window shows its own rows as they stand, leaves out what the filter no longer has and what is not the caller's,
// whatever the size of the fleet.
func TestLiveWindow(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if err := h.store.SampleFleet(t.Context(), store.Sample{Size: 600, Seed: 4, Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	city := auth.Caller{Kind: auth.Staff, StaffUnit: h.unit("150400000000"), Roles: []people.Role{people.Operator}}
	aohan := city
	aohan.StaffUnit = h.unit("150430000000")
	look := func(caller auth.Caller, open wire.ViewOpenBody) ([]string, int) {
		t.Helper()
		open.View = "devices"
		rows, total, err := rest.DeviceView(t.Context(), h.devices, caller, open)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, r := range rows {
			ids = append(ids, r.ID)
		}
		return ids, total
	}
	all, total := look(city, wire.ViewOpenBody{Limit: 200})
	if len(all) != 200 || total < 550 {
		t.Fatalf("%d rows of %d", len(all), total)
	}
	same, again := look(city, wire.ViewOpenBody{IDs: all})
	if !slices.Equal(same, all) || again != total {
		t.Errorf("the window has %d of its rows, total %d and %d", len(same), again, total)
	}
	online, _ := look(city, wire.ViewOpenBody{IDs: all, Chip: "online"})
	if len(online) == 0 || len(online) == len(all) {
		t.Errorf("%d of the window are online", len(online))
	}
	theirs, _ := look(aohan, wire.ViewOpenBody{IDs: all})
	if len(theirs) == 0 || len(theirs) == len(all) {
		t.Errorf("a county sees %d of the city's window", len(theirs))
	}
	for name, open := range map[string]wire.ViewOpenBody{
		"an id that is none": {View: "devices", IDs: []string{"x"}}, "too many ids": {View: "devices", IDs: append(slices.Clone(all), all[0])},
	} {
		if _, _, err := rest.DeviceView(t.Context(), h.devices, city, open); fault.CodeOf(err) != "list.bad_filter" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The overview names the gateways by their leases, a lost one with what became of its devices, and the hand-offs.
func TestOverviewOfGateways(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	now := time.Now()
	for name, ago := range map[string]time.Duration{"g1": 0, "g2": 6 * time.Second, "g3": time.Minute, "old": 48 * time.Hour} {
		if _, ok, err := h.store.AcquireLease(t.Context(), "node/"+name, name, 4*time.Second, now.Add(-ago)); err != nil || !ok {
			t.Fatal(ok, err)
		}
	}
	var o struct {
		Gateways []rest.Gateway  `json:"gateways"`
		Losses   []rest.NodeLoss `json:"losses"`
		Handoffs struct {
			Queued, Dead int
		} `json:"handoffs"`
		Today json.RawMessage `json:"today"`
	}
	h.signIn("city").want(200, "", "GET", "/console/overview", nil, &o)
	var got []string
	for _, g := range o.Gateways {
		got = append(got, fmt.Sprint(g.Node, " ", g.State, " ", g.Links))
	}
	if want := []string{"g1 up 0", "g2 late 0", "g3 gone 0"}; !slices.Equal(got, want) {
		t.Errorf("gateways %v, want %v", got, want)
	}
	if len(o.Losses) != 0 || o.Handoffs.Queued != 0 || !strings.Contains(string(o.Today), "wait_p95_ms") {
		t.Errorf("overview %+v", o)
	}
}
