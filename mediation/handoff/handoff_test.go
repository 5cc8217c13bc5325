package handoff_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"heyi/internal/fault"
	"heyi/mediation/handoff"
	"heyi/mediation/parcel"
)

func TestWait(t *testing.T) {
	t.Parallel()
	l := handoff.Defaults()
	for n, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 12: 2048 * time.Second, 13: time.Hour, 400: time.Hour} {
		if got := l.Wait(n, 0); got != want {
			t.Errorf("after %d failures: %v, want %v", n, got, want)
		}
		if got := l.Wait(n, 1); got != want/2 {
			t.Errorf("after %d failures, most jitter: %v, want %v", n, got, want/2)
		}
	}
}

func TestNext(t *testing.T) {
	t.Parallel()
	l := handoff.Defaults()
	const now = int64(1_763_800_000_000_000)
	row := handoff.Row{ID: "h", DeliveryID: "d", Attempts: 3, SinceAt: now - time.Hour.Microseconds()}
	old := row
	old.SinceAt = now - l.Dead.Microseconds()
	ours := parcel.Receipt{No: "R-1", Digest: "d", DeliveryID: "d"}
	wait := now + (4 * time.Second).Microseconds()
	for name, tt := range map[string]struct {
		row     handoff.Row
		receipt parcel.Receipt
		err     error
		state   handoff.State
		code    string
		next    int64
	}{
		"a receipt that echoes our digest":       {row, ours, nil, handoff.Verified, "", 0},
		"a receipt for other bytes":              {row, parcel.Receipt{No: "R-1", Digest: "e", DeliveryID: "d"}, nil, handoff.Failed, "handoff.receipt_mismatch", wait},
		"a receipt for another delivery":         {row, parcel.Receipt{No: "R-1", Digest: "d", DeliveryID: "e"}, nil, handoff.Failed, "handoff.receipt_mismatch", wait},
		"a receipt without a number":             {row, parcel.Receipt{Digest: "d", DeliveryID: "d"}, nil, handoff.Failed, "handoff.receipt_mismatch", wait},
		"nobody answers":                         {row, parcel.Receipt{}, fault.New(fault.Unavailable, "handoff.unreachable"), handoff.Failed, "handoff.unreachable", wait},
		"nobody answers for a day":               {old, parcel.Receipt{}, fault.New(fault.Unavailable, "handoff.unreachable"), handoff.Dead, "handoff.unreachable", 0},
		"a defect of ours":                       {row, parcel.Receipt{}, errors.New("disk"), handoff.Failed, "internal", wait},
		"another package stands there":           {row, parcel.Receipt{}, fault.New(fault.Conflict, "handoff.digest_conflict"), handoff.Dead, "handoff.digest_conflict", 0},
		"the receiver does not know us yet":      {row, parcel.Receipt{}, fault.New(fault.Unauthenticated, "handoff.unknown_sender"), handoff.Failed, "handoff.unknown_sender", wait},
		"a good receipt counts after a day also": {old, ours, nil, handoff.Verified, "", 0},
	} {
		o := handoff.Next(l, tt.row, "n1", tt.receipt, tt.err, now, 0)
		if o.State != tt.state || o.Error != tt.code || o.NextAt != tt.next || o.Node != "n1" || o.Attempt != 3 {
			t.Errorf("%s: %+v", name, o)
		}
		if (o.Receipt.No != "") != (tt.state == handoff.Verified) {
			t.Errorf("%s: the receipt %+v", name, o.Receipt)
		}
	}
}

// What a stranger's server answers becomes an error that says what to do.
func TestRemote(t *testing.T) {
	t.Parallel()
	var status int
	var body string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut || r.URL.Path != "/api/v1/intake/packages/d" || r.Header.Get(parcel.HeaderSender) != "k" || r.Header.Get(parcel.HeaderAt) != "7" || r.Header.Get(parcel.HeaderSignature) != "s" {
			t.Errorf("asked %s %s %v", r.Method, r.URL, r.Header)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	defer srv.Close()
	remote := &handoff.Remote{Address: srv.URL + "/", Client: srv.Client()}
	ask := parcel.Request{DeliveryID: "d", Method: "PUT", Path: parcel.Path("d"), Sender: "k", At: 7, Signature: "s", Body: []byte("b")}
	for name, tt := range map[string]struct {
		status int
		body   string
		code   string // "" = a receipt
		kind   fault.Kind
	}{
		"first time":            {201, `{"receipt_no":"R-1","digest":"d","delivery_id":"d"}`, "", 0},
		"again":                 {200, `{"receipt_no":"R-1","digest":"d","delivery_id":"d"}`, "", 0},
		"no JSON":               {200, `hello`, "handoff.bad_answer", fault.Unavailable},
		"a conflict":            {409, `{"code":"handoff.digest_conflict"}`, "handoff.digest_conflict", fault.Conflict},
		"a bare conflict":       {409, ``, "handoff.digest_conflict", fault.Conflict},
		"an unknown sender":     {401, `{"code":"handoff.unknown_sender"}`, "handoff.unknown_sender", fault.Unauthenticated},
		"a package it dislikes": {422, `{"code":"handoff.bad_package","field":"seal"}`, "handoff.bad_package", fault.Invalid},
		"another's code":        {418, `{"code":"evil"}`, "handoff.refused", fault.Unavailable},
		"a broken receiver":     {500, `oops`, "handoff.refused", fault.Unavailable},
	} {
		status, body = tt.status, tt.body
		r, err := remote.Put(t.Context(), ask)
		if tt.code == "" {
			if err != nil || r.No != "R-1" {
				t.Errorf("%s: %+v, %v", name, r, err)
			}
		} else if fault.CodeOf(err) != tt.code || fault.KindOf(err) != tt.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	srv.Close()
	if _, err := remote.Put(context.WithoutCancel(t.Context()), ask); fault.CodeOf(err) != "handoff.unreachable" {
		t.Errorf("nobody listens: %v", err)
	}
}
