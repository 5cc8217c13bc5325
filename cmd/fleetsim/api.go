package main

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

// demoFile is what `heyi serve --demo` writes beside its data: where it listens and who may sign in.
type demoFile struct {
	URL   string `json:"url"`
	Staff []struct {
		Login    string `json:"login"`
		Password string `json:"password"`
		Role     string `json:"role"`
	} `json:"staff"`
}

// waitDemo reads the demo file, waiting until the server has written it and answers.
func waitDemo(ctx context.Context, path string) (demoFile, error) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		var d demoFile
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
	res, err := (&http.Client{Transport: insecure()}).Do(req)
	if err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", res.Status)
	}
	return nil
}

// insecure accepts the demo's self-signed certificate: fleetsim talks to servers on this machine only.
func insecure() *http.Transport {
	return &http.Transport{MaxIdleConnsPerHost: 64, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // self-signed demo on loopback
}

// staffClient is a signed-in staff member.
type staffClient struct {
	base string
	csrf string
	http *http.Client
}

// apiError is a problem+json answer.
type apiError struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
}

func (e *apiError) Error() string { return fmt.Sprintf("HTTP %d %s", e.Status, e.Code) }

func signIn(ctx context.Context, d demoFile, role, login string) (*staffClient, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, fmt.Errorf("cookies: %w", err)
	}
	c := &staffClient{base: d.URL, http: &http.Client{Jar: jar, Transport: insecure(), Timeout: 30 * time.Second}}
	for _, s := range d.Staff {
		if (role != "" && s.Role != role) || (login != "" && s.Login != login) {
			continue
		}
		var me struct {
			CSRF string `json:"csrf"`
		}
		if err := c.call(ctx, http.MethodPost, "/api/v1/staff/login", map[string]any{"login": s.Login, "password": s.Password}, &me); err != nil {
			return nil, fmt.Errorf("sign in as %s: %w", s.Login, err)
		}
		c.csrf = me.CSRF
		return c, nil
	}
	return nil, fmt.Errorf("no staff member with role %q or login %q in the demo file", role, login)
}

// call sends body as JSON (or as it is, when it is text) and decodes the answer into out unless out is nil.
func (c *staffClient) call(ctx context.Context, method, path string, body, out any) error {
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
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, rd)
	if err != nil {
		return fmt.Errorf("request: %w", err)
	}
	req.Header.Set("Content-Type", ctype)
	if c.csrf != "" {
		req.Header.Set("X-CSRF-Token", c.csrf)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if res.StatusCode >= http.StatusBadRequest {
		e := &apiError{Status: res.StatusCode}
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
