package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"heyi/internal/fault"
)

// Problem is the body of every error (RFC 9457).
type Problem struct {
	Type         string `json:"type"`
	Title        string `json:"title"`
	Status       int    `json:"status"`
	Code         string `json:"code"`
	Field        string `json:"field"`
	Ref          string `json:"ref"`
	RetryAfterMS int64  `json:"retry_after_ms"`
}

// codeBadJSON marks a body that cannot be parsed: 400 instead of 422.
const codeBadJSON = "request.bad_json"

// NewProblem returns the problem of an error. What is no fault is internal and says nothing.
func NewProblem(err error) Problem {
	p := Problem{Type: "about:blank", Code: "internal", Status: http.StatusInternalServerError}
	var fe *fiber.Error
	switch f := asFault(err); {
	case f != nil:
		p.Status, p.Code, p.Field, p.Ref = Status(f), f.Code, f.Field, f.Ref
		p.RetryAfterMS = f.RetryAfter.Milliseconds()
		if f.Kind == fault.Internal {
			p.Code, p.Field, p.Ref = "internal", "", ""
		}
	case errors.As(err, &fe):
		p.Status = fe.Code
		p.Code = map[int]string{
			http.StatusNotFound:              "request.no_route",
			http.StatusMethodNotAllowed:      "request.method",
			http.StatusRequestEntityTooLarge: "request.too_large",
		}[fe.Code]
		if p.Code == "" {
			p.Code = "request.bad"
		}
	}
	if p.RetryAfterMS == 0 && (p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable) {
		p.RetryAfterMS = (10 * time.Second).Milliseconds()
	}
	p.Title = http.StatusText(p.Status)
	return p
}

// Status returns the HTTP status of a fault (docs/protocol.md §1).
func Status(f *fault.Error) int {
	switch f.Kind {
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.Forbidden:
		return http.StatusForbidden
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Invalid:
		switch f.Code {
		case codeBadJSON:
			return http.StatusBadRequest
		case "request.too_large":
			return http.StatusRequestEntityTooLarge
		}
		return http.StatusUnprocessableEntity
	case fault.Unsupported:
		return http.StatusNotImplemented
	case fault.Expired:
		return http.StatusGone
	case fault.Conflict, fault.Serving:
		return http.StatusConflict
	case fault.TooMany:
		return http.StatusTooManyRequests
	case fault.Stale:
		return http.StatusPreconditionFailed
	case fault.Precondition:
		return http.StatusPreconditionRequired
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.Internal:
	}
	return http.StatusInternalServerError
}

// problems writes errors to clients and internal ones to the log, once.
type problems struct{ logger *slog.Logger }

func (p problems) handle(c *fiber.Ctx, err error) error {
	pr := NewProblem(err)
	// A caller that went away (a page that asks something newer) is no failure of ours, and nobody reads the answer.
	left := errors.Is(err, context.Canceled) && c.UserContext().Err() != nil
	if !left && (pr.Status == http.StatusInternalServerError || pr.Status == http.StatusServiceUnavailable) {
		route, _ := c.Locals(keyRoute).(string)
		p.logger.LogAttrs(c.UserContext(), slog.LevelError, "request failed",
			slog.String("request", requestID(c)), slog.String("route", route), slog.Any("error", err))
	}
	if pr.RetryAfterMS > 0 {
		c.Set(fiber.HeaderRetryAfter, strconv.FormatInt((pr.RetryAfterMS+999)/1000, 10))
	}
	if pr.Status == http.StatusUnauthorized {
		c.Set(fiber.HeaderWWWAuthenticate, "Bearer")
	}
	body, err := json.Marshal(pr)
	if err != nil {
		return err
	}
	c.Status(pr.Status)
	c.Set(fiber.HeaderContentType, "application/problem+json")
	return c.Send(body)
}

// WriteProblem answers a request that did not reach the app.
func WriteProblem(w http.ResponseWriter, err error) {
	pr := NewProblem(err)
	if pr.RetryAfterMS > 0 {
		w.Header().Set(fiber.HeaderRetryAfter, strconv.FormatInt((pr.RetryAfterMS+999)/1000, 10))
	}
	w.Header().Set(fiber.HeaderContentType, "application/problem+json")
	w.WriteHeader(pr.Status)
	_ = json.NewEncoder(w).Encode(pr) // a client that is gone needs no answer
}

func (p problems) panicked(c *fiber.Ctx, v any) {
	p.logger.LogAttrs(c.UserContext(), slog.LevelError, "handler panicked", slog.String("request", requestID(c)),
		slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
}

// Body reads the JSON body of a request into v, which must be a pointer to a struct. Unknown fields are refused.
//
// Errors: fault.Invalid "request.content_type", "request.too_large", "request.bad_json", "request.unknown_field"
// and "request.bad_type" (Field names the input).
func Body(c *fiber.Ctx, v any) error {
	if ct, _, _ := strings.Cut(c.Get(fiber.HeaderContentType), ";"); strings.TrimSpace(ct) != fiber.MIMEApplicationJSON {
		return fault.New(fault.Invalid, "request.content_type")
	}
	src := c.Body()
	if limit, _ := c.Locals(keyLimit).(int); len(src) > max(limit, MaxJSON) {
		return fault.New(fault.Invalid, "request.too_large")
	}
	dec := json.NewDecoder(bytes.NewReader(src))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		if bad, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return fault.InField("request.bad_type", bad.Field)
		}
		if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
			return fault.InField("request.unknown_field", strings.Trim(name, `"`))
		}
		return fault.Wrap(fault.Invalid, codeBadJSON, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fault.New(fault.Invalid, codeBadJSON)
	}
	return nil
}
