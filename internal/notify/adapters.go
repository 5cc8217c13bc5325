package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"heyi/internal/fault"
)

// message is a text as an adapter writes it.
type message struct {
	ID   string `json:"id"`
	At   int64  `json:"at,omitempty"`
	To   string `json:"to"`
	Text string `json:"text"`
}

// File appends texts to one file a day (UTC), a JSON object a line, readable by its owner alone. It is for places
// without a text gateway: an operator, or the demo's phone, reads them there.
type File struct {
	Dir string
	Now func() time.Time

	mu sync.Mutex
}

var _ Adapter = (*File)(nil)

// Send implements Adapter. The line is on the disk when it returns.
func (f *File) Send(_ context.Context, id, to, text string) (err error) {
	now := f.Now().UTC()
	line, err := json.Marshal(message{ID: id, At: now.UnixMicro(), To: to, Text: text})
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(f.Dir, now.Format(time.DateOnly)+".jsonl"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.Write(append(line, '\n')); err != nil {
		return err
	}
	return file.Sync()
}

// HTTP posts texts as JSON {id, to, text} to a gateway; id is the same on every try. Any 2xx is a success; 4xx except
// 401, 403, 408 and 429 gives the text up.
type HTTP struct {
	URL    string
	Token  string // sent as bearer token when set
	Client *http.Client
}

var _ Adapter = (*HTTP)(nil)

// Send implements Adapter.
//
// Errors: fault.Invalid "notify.refused"; fault.Unavailable "notify.gateway".
func (h *HTTP) Send(ctx context.Context, id, to, text string) error {
	body, err := json.Marshal(message{ID: id, To: to, Text: text})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if h.Token != "" {
		req.Header.Set("Authorization", "Bearer "+h.Token)
	}
	res, err := h.Client.Do(req)
	if err != nil {
		return fault.Wrap(fault.Unavailable, "notify.gateway", err)
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection is used again
	switch s := res.StatusCode; {
	case s >= 200 && s < 300:
		return nil
	case s >= 400 && s < 500 && s != http.StatusUnauthorized && s != http.StatusForbidden && s != http.StatusRequestTimeout && s != http.StatusTooManyRequests:
		return fault.Wrap(fault.Invalid, "notify.refused", fmt.Errorf("status %d", s))
	default:
		return fault.Wrap(fault.Unavailable, "notify.gateway", fmt.Errorf("status %d", s))
	}
}
