// Package fault holds the errors that a caller may act on.
//
// A rule that refuses a command returns an Error with a Kind (what sort of refusal), a stable Code that the screens
// translate ("queue.already_waiting") and, where one input is to blame, the Field. Everything else is internal: it is
// logged once at the edge and never shown. docs/protocol.md maps kinds to HTTP status and link error numbers.
package fault

import (
	"errors"
	"time"
)

// Kind is the sort of refusal. Its order is fixed: metrics use the number.
type Kind uint8

// The kinds. Internal is the zero value: an error that is not ours is internal.
const (
	Internal        Kind = iota // our defect or a broken dependency; try again later
	Invalid                     // the input is wrong; Field names it
	Unauthenticated             // nobody is signed in, or the proof is wrong
	Forbidden                   // known caller, not allowed
	NotFound                    // no such thing, or none the caller may see
	Conflict                    // the state of the thing forbids it
	Stale                       // the caller saw an older version
	Expired                     // a lease, code or token is over
	TooMany                     // a rate or size limit; RetryAfter says when
	Precondition                // a peripheral, device or step is missing
	Serving                     // a citizen is being served here
	Unavailable                 // a dependency is down; RetryAfter says when
	Unsupported                 // this build or terminal cannot do it
)

// String returns the kind's name as used in logs and metrics.
func (k Kind) String() string {
	names := [...]string{
		"internal", "invalid", "unauthenticated", "forbidden", "not_found", "conflict", "stale", "expired",
		"too_many", "precondition", "serving", "unavailable", "unsupported",
	}
	if int(k) < len(names) {
		return names[k]
	}
	return "internal"
}

// Error is a refusal with a stable code. It never carries personal data.
type Error struct {
	Kind       Kind
	Code       string        // "<package>.<reason>", stable for ever
	Field      string        // the input at fault, empty when none is
	Ref        string        // id of the thing in the way (the open ticket), empty when none is
	RetryAfter time.Duration // when to try again, zero when waiting does not help
	Err        error         // cause for the log, may be nil
}

// New returns an Error of a kind with a stable code.
func New(k Kind, code string) *Error { return &Error{Kind: k, Code: code} }

// Wrap returns an Error that keeps err as its cause for the log.
func Wrap(k Kind, code string, err error) *Error { return &Error{Kind: k, Code: code, Err: err} }

// InField returns an Invalid error about one input.
func InField(code, field string) *Error { return &Error{Kind: Invalid, Code: code, Field: field} }

// WithRef returns a copy that names the thing in the way.
func (e *Error) WithRef(ref string) *Error {
	c := *e
	c.Ref = ref
	return &c
}

// After returns a copy that says when to try again.
func (e *Error) After(d time.Duration) *Error {
	c := *e
	c.RetryAfter = d
	return &c
}

// Error implements error.
func (e *Error) Error() string {
	s := e.Code
	if e.Field != "" {
		s += " (" + e.Field + ")"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is an Error with the same code, so errors.Is works on the variables of a package.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// KindOf returns the kind of the first Error in err's chain, Internal when there is none.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// CodeOf returns the code of the first Error in err's chain, "internal" when there is none.
func CodeOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return "internal"
}
