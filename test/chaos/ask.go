package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	mrand "math/rand/v2"
	"net/http"
	"sync"
	"time"

	"heyi/cmd/fleetsim/sim"
)

// attempt is how long one try of a request may take: a node may be stopped.
const attempt = 6 * time.Second

// asker sends requests until somebody answers for good: it goes from node to node and repeats the same request with the
// same key, as screens do. It counts what it met on the way.
type asker struct {
	hosts []string
	http  *http.Client

	mu     sync.Mutex
	rnd    *mrand.Rand
	met    map[string]int // refusals and failures that were repeated, by code
	asked  int
	longMS float64
}

func newAsker(hosts []string, rnd *mrand.Rand) *asker {
	t := &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second}
	return &asker{hosts: hosts, http: &http.Client{Transport: t}, rnd: rnd, met: map[string]int{}}
}

func (a *asker) host() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.hosts[a.rnd.IntN(len(a.hosts))]
}

func (a *asker) note(code string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.met[code]++
}

// refused is an answer that repeating does not change.
type refused struct {
	Status int
	Code   string
	Ref    string
}

func (e *refused) Error() string { return fmt.Sprintf("HTTP %d %s %s", e.Status, e.Code, e.Ref) }

// codeOf is the code of a refusal, empty for anything else.
func codeOf(err error) string {
	if r, ok := errors.AsType[*refused](err); ok {
		return r.Code
	}
	return ""
}

// request is one call; sign adds what proves the caller and may change from try to try. It reports whether the caller
// can prove himself now.
type request struct {
	method, path string
	body         any
	header       http.Header
	sign         func(h http.Header) bool
	at           *string // gets the node that answered; may be nil
}

// ask repeats a request until the answer is final or ctx ends. Answers that mean "not now" are repeated: no answer, 5xx,
// 429, and 401 while the caller's proof is renewed.
func (a *asker) ask(ctx context.Context, q request, out any) error {
	var raw []byte
	if q.body != nil {
		var err error
		if raw, err = json.Marshal(q.body); err != nil {
			return fmt.Errorf("encode: %w", err)
		}
	}
	start := time.Now()
	defer func() {
		a.mu.Lock()
		a.asked++
		a.longMS = max(a.longMS, float64(time.Since(start).Milliseconds()))
		a.mu.Unlock()
	}()
	for try := 0; ; try++ {
		host := a.host()
		status, body, err := a.once(ctx, host, q, raw)
		code := ""
		if err == nil && status >= http.StatusBadRequest {
			var p struct{ Code, Ref string }
			_ = json.Unmarshal(body, &p) // a refusal without a code is one too
			code = p.Code
			if status < http.StatusInternalServerError && status != http.StatusTooManyRequests && status != http.StatusUnauthorized {
				return &refused{status, p.Code, p.Ref}
			}
		}
		if err == nil && status < http.StatusBadRequest {
			if q.at != nil {
				*q.at = host
			}
			if out == nil || len(body) == 0 {
				return nil
			}
			if err := json.Unmarshal(body, out); err != nil {
				return fmt.Errorf("%s %s: %w", q.method, q.path, err)
			}
			return nil
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			code = "no_answer"
		case code == "":
			code = fmt.Sprintf("http_%d", status)
		}
		a.note(code)
		if !wait(ctx, time.Duration(100+100*min(try, 9))*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
}

// errUnproved says that the caller has no proof at the moment.
var errUnproved = errors.New("no live link")

func (a *asker) once(ctx context.Context, base string, q request, raw []byte) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	var rd io.Reader = http.NoBody
	if raw != nil {
		rd = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(ctx, q.method, base+q.path, rd)
	if err != nil {
		return 0, nil, fmt.Errorf("request: %w", err)
	}
	maps.Copy(r.Header, q.header)
	if raw != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if !q.sign(r.Header) {
		return 0, nil, errUnproved
	}
	res, err := a.http.Do(r)
	if err != nil {
		return 0, nil, fmt.Errorf("%s %s: %w", q.method, q.path, err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return 0, nil, fmt.Errorf("%s %s: %w", q.method, q.path, err)
	}
	return res.StatusCode, body, nil
}

// asBox signs requests with the access token of the device's live link.
func asBox(b *box) func(http.Header) bool {
	return func(h http.Header) bool {
		l, _ := b.now()
		if l == nil || l.Access() == "" {
			return false
		}
		h.Set("Authorization", "Bearer "+l.Access())
		return true
	}
}

// asStaff signs requests with the cookie of a sign-in.
func asStaff(c *sim.Client, cookie string) func(http.Header) bool {
	return func(h http.Header) bool {
		h.Set("Cookie", cookie)
		h.Set("X-Csrf-Token", c.CSRF)
		return true
	}
}

// get reads an address once.
func get(ctx context.Context, address string) (int, []byte) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return 0, nil
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, nil
	}
	return res.StatusCode, body
}
