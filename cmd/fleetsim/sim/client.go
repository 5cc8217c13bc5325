package sim

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"time"
)

// Demo is what `heyi serve --demo` writes beside its data: where it listens and who may sign in.
type Demo struct {
	URL   string `json:"url"`
	Staff []struct {
		Login    string `json:"login"`
		Password string `json:"password"`
		Role     string `json:"role"`
	} `json:"staff"`
}

// WaitDemo reads the demo file, waiting until the server has written it and answers.
func WaitDemo(ctx context.Context, path string) (Demo, error) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		var d Demo
		b, err := os.ReadFile(path) //nolint:gosec // named by whoever starts us
		if err == nil {
			if err = json.Unmarshal(b, &d); err == nil {
				if err = ready(ctx, d.URL); err == nil {
					return d, nil
				}
			}
		}
		last = err
		select {
		case <-ctx.Done():
			return d, errors.Join(ctx.Err(), last)
		case <-tick.C:
		}
	}
}

func ready(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", http.NoBody)
	if err != nil {
		return fmt.Errorf("address: %w", err)
	}
	res, err := (&http.Client{Transport: Insecure()}).Do(req)
	if err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", res.Status)
	}
	return nil
}

// Insecure accepts the demo's self-signed certificate: fleetsim talks to servers on this machine only.
func Insecure() *http.Transport {
	return &http.Transport{MaxIdleConnsPerHost: 64, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // self-signed demo on loopback
}

// Client is a signed-in staff member.
type Client struct {
	Base string // http://host:port of the node it speaks to
	CSRF string
	HTTP *http.Client
}

// At is the same person at another node.
func (c *Client) At(base string) *Client { return &Client{Base: base, CSRF: c.CSRF, HTTP: c.HTTP} }

// APIError is a problem+json answer.
type APIError struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
}

func (e *APIError) Error() string { return fmt.Sprintf("HTTP %d %s", e.Status, e.Code) }

// SignIn signs in the first person of the demo file with a role or a login.
func SignIn(ctx context.Context, d Demo, role, login string) (*Client, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, fmt.Errorf("cookies: %w", err)
	}
	c := &Client{Base: d.URL, HTTP: &http.Client{Jar: jar, Transport: Insecure(), Timeout: 30 * time.Second}}
	for _, s := range d.Staff {
		if (role != "" && s.Role != role) || (login != "" && s.Login != login) {
			continue
		}
		var me struct {
			CSRF string `json:"csrf"`
		}
		if err := c.Call(ctx, http.MethodPost, "/api/v1/staff/login", map[string]any{"login": s.Login, "password": s.Password}, &me); err != nil {
			return nil, fmt.Errorf("sign in as %s: %w", s.Login, err)
		}
		c.CSRF = me.CSRF
		return c, nil
	}
	return nil, fmt.Errorf("no staff member with role %q or login %q in the demo file", role, login)
}

// Call sends body as JSON (or as it is, when it is text) and decodes the answer into out unless out is nil.
func (c *Client) Call(ctx context.Context, method, path string, body, out any) error {
	var rd io.Reader = http.NoBody
	ctype := "application/json"
	switch b := body.(type) {
	case nil:
	case string:
		rd, ctype = bytes.NewReader([]byte(b)), "text/csv; charset=utf-8"
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			return fmt.Errorf("encode: %w", err)
		}
		rd = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.Base+path, rd)
	if err != nil {
		return fmt.Errorf("request: %w", err)
	}
	req.Header.Set("Content-Type", ctype)
	if c.CSRF != "" {
		req.Header.Set("X-CSRF-Token", c.CSRF)
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if res.StatusCode >= http.StatusBadRequest {
		e := &APIError{Status: res.StatusCode}
		_ = json.Unmarshal(raw, e)
		return fmt.Errorf("%s %s: %w", method, path, e)
	}
	if out == nil || len(raw) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}
