package rest

import (
	"context"
	"crypto/subtle"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"heyi/gateway/auth"
	"heyi/internal/fault"
)

// The cookies. They have different names and are never mixed.
const (
	StaffCookie   = "heyi_staff"
	CaptureCookie = "heyi_capture"
	PartyCookie   = "heyi_party"
)

// CSRFHeader carries the token that a change made with a cookie needs.
const CSRFHeader = "X-CSRF-Token"

// Authenticator says who stands behind a credential.
//
// Errors: fault.Unauthenticated with "auth.required" or a finer code ("capture.over", "link.over"); fault.Unavailable when the
// store cannot be asked.
type Authenticator interface {
	// Device checks the access token of a live signed link.
	Device(ctx context.Context, token string) (auth.Caller, error)
	// Staff checks the value of the staff cookie; csrf is the token that changes must show.
	Staff(ctx context.Context, cookie string) (caller auth.Caller, csrf string, err error)
	// Capture checks the value of the cookie of a phone paired as camera.
	Capture(ctx context.Context, cookie string) (caller auth.Caller, csrf string, err error)
	// Party checks the value of the cookie of a phone that redeemed a party's link.
	Party(ctx context.Context, cookie string) (caller auth.Caller, csrf string, err error)
}

// CallerOf returns who calls; false on a route for anyone.
func CallerOf(c *fiber.Ctx) (auth.Caller, bool) {
	caller, ok := c.Locals(keyCaller).(auth.Caller)
	return caller, ok
}

// Caller returns who calls on a route that requires somebody.
func Caller(c *fiber.Ctx) auth.Caller {
	caller, _ := CallerOf(c)
	return caller
}

// CSRFOf returns the CSRF token of a caller with a cookie, empty for a device.
func CSRFOf(c *fiber.Ctx) string {
	s, _ := c.Locals(keyCSRF).(string)
	return s
}

// SetCookie sets one of the cookies, for REST only, until age is over.
func SetCookie(c *fiber.Ctx, name, value string, age time.Duration) {
	c.Cookie(&fiber.Cookie{
		Name: name, Value: value, Path: Prefix, MaxAge: int(age / time.Second),
		HTTPOnly: true, SameSite: fiber.CookieSameSiteStrictMode, Secure: c.Secure(),
	})
}

// ClearCookie removes one of the cookies.
func ClearCookie(c *fiber.Ctx, name string) {
	c.Cookie(&fiber.Cookie{
		Name: name, Path: Prefix, Expires: time.Unix(0, 0), HTTPOnly: true,
		SameSite: fiber.CookieSameSiteStrictMode, Secure: c.Secure(),
	})
}

// gate lets a request through to its handler when the caller is one the route is open to.
type gate struct{ auth Authenticator }

func (g gate) admit(who Who) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if who.Open {
			return c.Next()
		}
		caller, csrf, err := g.caller(c, who)
		if err != nil {
			return err
		}
		if caller.Kind == auth.Staff && len(who.Roles) > 0 && !caller.Has(who.Roles...) {
			return fault.New(fault.Forbidden, "auth.role")
		}
		caller.Addr = Peer(c).Addr.String()
		c.Locals(keyCaller, caller)
		c.Locals(keyCSRF, csrf)
		return c.Next()
	}
}

// caller finds the credential that fits the route. A bearer token is tried alone: who sends one means it. Of several
// cookies (a desk and a phone page in one browser) a request belongs to the one whose CSRF token it shows; a read that
// shows none belongs to the first that is good.
func (g gate) caller(c *fiber.Ctx, who Who) (auth.Caller, string, error) {
	ctx := c.UserContext()
	if token, ok := bearer(c.Get(fiber.HeaderAuthorization)); ok {
		if !slices.Contains(who.Kinds, auth.Device) {
			return auth.Caller{}, "", fault.New(fault.Unauthenticated, "auth.required")
		}
		caller, err := g.auth.Device(ctx, token)
		return caller, "", err
	}
	var (
		found  error       = fault.New(fault.Unauthenticated, "auth.required")
		first  auth.Caller // who reads when no token is shown
		firstC string
	)
	shown := c.Get(CSRFHeader)
	for _, way := range []struct {
		kind   auth.CallerKind
		cookie string
		check  func(context.Context, string) (auth.Caller, string, error)
	}{
		{auth.Staff, StaffCookie, g.auth.Staff},
		{auth.Capture, CaptureCookie, g.auth.Capture},
		{auth.Party, PartyCookie, g.auth.Party},
	} {
		value := c.Cookies(way.cookie)
		if value == "" || !slices.Contains(who.Kinds, way.kind) {
			continue
		}
		caller, csrf, err := way.check(ctx, value)
		if err != nil {
			found = err
			continue
		}
		if sameToken(shown, csrf) {
			return caller, csrf, nil
		}
		if first.Kind == "" {
			first, firstC = caller, csrf
		}
		found = fault.New(fault.Forbidden, "auth.csrf")
	}
	if first.Kind != "" && safe(c.Method()) {
		return first, firstC, nil
	}
	return auth.Caller{}, "", found
}

func bearer(header string) (string, bool) {
	scheme, token, ok := strings.Cut(header, " ")
	return token, ok && strings.EqualFold(scheme, "Bearer")
}

func safe(method string) bool { return method == fiber.MethodGet || method == fiber.MethodHead }

func sameToken(got, want string) bool {
	return want != "" && subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1
}
