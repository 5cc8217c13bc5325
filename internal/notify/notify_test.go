package notify_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"heyi/internal/fault"
	"heyi/internal/notify"
)

func full() map[notify.Template]map[string]string {
	return map[notify.Template]map[string]string{
		notify.Invite:    {"url": "https://heyi.test/join/abc", "from": "申请人甲", "unit": "萨力巴乡调委会", "mediator": "调解员丙", "life": "24小时"},
		notify.PhoneCode: {"code": "012345"},
		notify.Receipt:   {"number": "(2026)敖萨调字第000001号", "receipt_no": "R-150430206000-20261122-000001"},
		notify.Confirm:   {"number": "(2026)敖萨调字第000001号", "last_on": "2026年12月22日", "days": "10"},
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for template, args := range full() {
		text, link, err := (&notify.Text{Template: template, Args: args}).Words()
		if err != nil || !strings.HasPrefix(text, "【和议】") || strings.ContainsAny(text, "{}") || link != args["url"] {
			t.Errorf("%s: %q %q %v", template, text, link, err)
		}
		for name, value := range args {
			if !strings.Contains(text, value) {
				t.Errorf("%s leaves out %s: %q", template, name, text)
			}
			fewer := map[string]string{}
			for k, v := range args {
				if k != name {
					fewer[k] = v
				}
			}
			_, _, err := (&notify.Text{Template: template, Args: fewer}).Words()
			if f, ok := errors.AsType[*fault.Error](err); !ok || f.Code != "notify.argument" || f.Field != name {
				t.Errorf("%s without %s: %v", template, name, err)
			}
		}
	}
	if _, _, err := (&notify.Text{Template: "poem"}).Words(); fault.CodeOf(err) != "notify.template" {
		t.Error(err)
	}
}

// A name cannot smuggle a second line or another argument into a text.
func TestArgumentsStayArguments(t *testing.T) {
	t.Parallel()
	args := full()[notify.Invite]
	args["from"] = "甲\n【银行】{url}"
	text, _, err := (&notify.Text{Template: notify.Invite, Args: args}).Words()
	if err != nil || !strings.HasPrefix(text, "【和议】甲 银行url想请您") || strings.Count(text, "https://") != 1 {
		t.Errorf("%q", text)
	}
}

func TestPhone(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"13800000000": true, "+8613800000000": true, "12348": true, "": false, "1234": false, "+": false,
		"138-0000-0000": false, "1380000000a": false, "1234567890123456": false, "++12345": false,
	} {
		if notify.Phone(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}

// outbox is a Store in memory; store/notify_test.go holds the real one to the same rules.
type outbox struct {
	queue  []notify.Claimed
	sent   []string
	failed map[string][]int64 // next tries
	forgot int64
	err    error
}

func (o *outbox) ClaimTexts(_ context.Context, now, lease int64, limit int) ([]notify.Claimed, error) {
	if o.err != nil {
		return nil, o.err
	}
	var list []notify.Claimed
	for i := range o.queue {
		if c := &o.queue[i]; c.DueAt <= now && len(list) < limit {
			list = append(list, *c)
			c.DueAt = lease
		}
	}
	return list, nil
}

func (o *outbox) settle(id string) {
	o.queue = slices.DeleteFunc(o.queue, func(c notify.Claimed) bool { return c.ID == id })
}

func (o *outbox) TextSent(_ context.Context, id string, _ int64) error {
	o.settle(id)
	o.sent = append(o.sent, id)
	return nil
}

func (o *outbox) TextFailed(_ context.Context, id, _ string, next int64) error {
	o.failed[id] = append(o.failed[id], next)
	if next == 0 {
		o.settle(id)
	}
	for i := range o.queue {
		if o.queue[i].ID == id {
			o.queue[i].DueAt = next
			o.queue[i].Attempts++
		}
	}
	return nil
}

func (o *outbox) ForgetTexts(_ context.Context, before int64) error {
	o.forgot = before
	return nil
}

// gateway refuses the first texts.
type gateway struct {
	fail []error
	got  []string
}

func (g *gateway) Send(_ context.Context, id, _, _ string) error {
	if len(g.fail) > 0 {
		err := g.fail[0]
		g.fail = g.fail[1:]
		return err
	}
	g.got = append(g.got, id)
	return nil
}

func text(id string) notify.Claimed {
	return notify.Claimed{Text: notify.Text{ID: id, Template: notify.PhoneCode, To: "13800000000", Args: map[string]string{"code": "123456"}}}
}

func TestSenderTriesAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := fault.New(fault.Unavailable, "notify.gateway")
		o, g := &outbox{failed: map[string][]int64{}}, &gateway{fail: []error{down, errors.New("broken"), down}}
		o.queue = append(o.queue, text("a"))
		s := notify.NewSender(notify.Config{Store: o, Adapter: g, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		<-time.After(20 * time.Second) // of the bubble's clock
		synctest.Wait()
		if !slices.Equal(o.sent, []string{"a"}) || len(o.failed["a"]) != 3 {
			t.Errorf("sent %v, failed %v", o.sent, o.failed)
		}
		if o.forgot == 0 {
			t.Error("closed texts stay for ever")
		}
		o.queue = append(o.queue, text("b"))
		before := time.Now()
		s.Wake()
		synctest.Wait()
		if !slices.Contains(o.sent, "b") || !time.Now().Equal(before) {
			t.Errorf("a wake sends %v", o.sent)
		}
		stop()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestSenderGivesUpWhatIsRefused(t *testing.T) {
	t.Parallel()
	o, g := &outbox{failed: map[string][]int64{}}, &gateway{fail: []error{fault.New(fault.Invalid, "notify.refused")}}
	bad := text("bad")
	bad.Args = nil
	o.queue = append(o.queue, text("a"), bad, text("c"))
	s := notify.NewSender(notify.Config{Store: o, Adapter: g, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	if err := s.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(o.sent, []string{"c"}) || !slices.Equal(o.failed["a"], []int64{0}) || !slices.Equal(o.failed["bad"], []int64{0}) {
		t.Errorf("sent %v, failed %v", o.sent, o.failed)
	}
	o.err = fault.New(fault.Unavailable, "store.unavailable")
	if err := s.Step(t.Context()); fault.CodeOf(err) != "store.unavailable" {
		t.Error(err)
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "texts")
	now := time.Date(2026, 11, 22, 23, 0, 0, 0, time.UTC)
	f := &notify.File{Dir: dir, Now: func() time.Time { return now }}
	for _, id := range []string{"a", "b"} {
		if err := f.Send(t.Context(), id, "13800000000", "核验码"); err != nil {
			t.Fatal(err)
		}
	}
	now = now.Add(2 * time.Hour)
	if err := f.Send(t.Context(), "c", "13800000001", "核验码"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{"2026-11-22.jsonl": {"a", "b"}, "2026-11-23.jsonl": {"c"}} {
		file, err := os.Open(filepath.Join(dir, name)) //nolint:gosec // in the test's own folder
		if err != nil {
			t.Fatal(err)
		}
		if st, err := file.Stat(); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, st.Mode(), err)
		}
		var got []string
		for lines := bufio.NewScanner(file); lines.Scan(); {
			var m struct{ ID, To, Text string }
			if err := json.Unmarshal(lines.Bytes(), &m); err != nil || m.To == "" || m.Text != "核验码" {
				t.Errorf("%s: %v", lines.Bytes(), err)
			}
			got = append(got, m.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v", name, got)
		}
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	status := http.StatusAccepted
	var got, token string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got, token = string(b), r.Header.Get("Authorization")
		w.WriteHeader(status)
	}))
	h := &notify.HTTP{URL: server.URL, Token: "secret", Client: server.Client()}
	send := func() error { return h.Send(t.Context(), "a", "13800000000", "核验码") }
	if err := send(); err != nil || got != `{"id":"a","to":"13800000000","text":"核验码"}` || token != "Bearer secret" {
		t.Errorf("%q %q %v", got, token, err)
	}
	for s, want := range map[int]string{400: "notify.refused", 404: "notify.refused", 401: "notify.gateway", 429: "notify.gateway", 503: "notify.gateway"} {
		status = s
		if err := send(); fault.CodeOf(err) != want {
			t.Errorf("%d: %v", s, err)
		}
	}
	server.Close()
	if err := send(); fault.CodeOf(err) != "notify.gateway" {
		t.Error(err)
	}
}
