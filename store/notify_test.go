package store_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"heyi/internal/fault"
	"heyi/internal/notify"
	"heyi/store"
	"heyi/store/storetest"
)

func TestTexts(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		now := time.Now().UnixMicro()
		const hour = int64(time.Hour / time.Microsecond)
		queue := func(x notify.Text) error {
			return s.Write(ctx, func(t *store.Tx) error { return t.Text(x, now) })
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		code := func(id, subject string) notify.Text {
			return notify.Text{ID: id, Template: notify.PhoneCode, To: "13800000000", Args: map[string]string{"code": "123456"}, Subject: subject}
		}
		claim := func(at int64, want ...string) []notify.Claimed {
			t.Helper()
			list, err := s.ClaimTexts(ctx, at, at+hour, 10)
			must(err)
			var ids []string
			for _, c := range list {
				ids = append(ids, c.ID)
			}
			if slices.Sort(ids); !slices.Equal(ids, want) {
				t.Errorf("at +%d s: %v, want %v", (at-now)/1_000_000, ids, want)
			}
			return list
		}

		// what cannot be sent is refused with its command
		if err := queue(notify.Text{Template: notify.PhoneCode, To: "none"}); fault.CodeOf(err) != "notify.phone" {
			t.Error(err)
		}
		if err := queue(notify.Text{Template: notify.PhoneCode, To: "13800000000"}); fault.CodeOf(err) != "notify.argument" {
			t.Error(err)
		}
		if claim(now); t.Failed() {
			return
		}

		must(queue(code("a", "d1")))
		later := code("b", "d1")
		later.Template, later.DueAt = notify.Confirm, now+3*hour
		later.Args = map[string]string{"number": "1", "last_on": "2", "days": "3"}
		must(queue(later))
		list := claim(now, "a")
		if got := list[0]; got.To != "13800000000" || !maps.Equal(got.Args, map[string]string{"code": "123456"}) || got.Subject != "d1" || got.Attempts != 0 {
			t.Errorf("%+v", got)
		}
		claim(now) // the lease holds
		must(s.TextFailed(ctx, "a", "notify.gateway", now+2))
		if list = claim(now+2, "a"); len(list) != 1 || list[0].Attempts != 1 {
			t.Errorf("%+v", list)
		}
		claim(now+2+hour, "a") // whoever held it died
		must(s.TextSent(ctx, "a", now+2+hour))
		must(s.TextFailed(ctx, "a", "notify.gateway", now)) // too late: it was sent
		claim(now + 2*hour)

		// taken back, of one subject and template
		must(queue(code("c", "d1")))
		must(queue(code("d", "d2")))
		must(s.Write(ctx, func(t *store.Tx) error { return t.DropTexts("d1", notify.PhoneCode, now) }))
		claim(now+hour/2, "d")
		must(s.TextFailed(ctx, "d", "notify.refused", 0))
		claim(now+3*hour, "b")
		must(s.TextSent(ctx, "b", now+3*hour))

		// without use after its time
		short := code("e", "d3")
		short.UntilAt = now + hour
		must(queue(short))
		claim(now + hour)

		sent, err := s.SentTexts(ctx, 10)
		must(err)
		if len(sent) != 2 || sent[0].ID != "b" || sent[1].ID != "a" || sent[1].SentAt != now+2+hour || sent[1].To != "13800000000" {
			t.Errorf("%+v", sent)
		}

		// number and words are sealed
		must(s.All(ctx, `SELECT id, subject_id, template, text_enc, last_error FROM notice_out`, nil, func(r store.Rows) error {
			var id, subject, template, last string
			var enc []byte
			if err := r.Scan(&id, &subject, &template, &enc, &last); err != nil {
				return err
			}
			if b := string(enc) + subject + template + last; len(enc) == 0 || containsAny(b, "13800000000", "123456") {
				t.Errorf("%s is open: %q", id, b)
			}
			return nil
		}))
		must(s.ForgetTexts(ctx, now+4*hour))
		if sent, err := s.SentTexts(ctx, 10); err != nil || len(sent) != 0 {
			t.Errorf("%+v %v", sent, err)
		}
	})
}

func containsAny(s string, parts ...string) bool {
	return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(s, p) })
}
