// Package rest is the REST door /api/v1: a Fiber app with strict JSON, problem+json and one table of routes.
//
// Areas (staff, claims, tickets ...) register their routes with Router, which records who may call each; openapi/*.yaml
// documents them and a test holds both together. Handlers find who calls with CallerOf, read bodies with Body and
// return errors as they are: the error handler turns a fault into a problem and logs the rest once.
//
// Concurrency: New builds an app that is safe for concurrent use; nothing is registered after New.
package rest

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/recover"
	"github.com/prometheus/client_golang/prometheus"

	"heyi/gateway/auth"
	"heyi/internal/fault"
	"heyi/internal/ident"
)

// Prefix is where the routes live.
const Prefix = "/api/v1"

// Limits of request bodies in bytes.
const (
	MaxJSON  = 64 << 10 // a body read with Body
	MaxLong  = 1 << 20  // the same on a route named by Router.Long
	MaxLarge = 8 << 20  // a route named by Router.Large
	maxFiles = 25 << 20 // default of Deps.MaxUpload: a file of 20 MiB and the form around it
)

// Info is what anyone may know of this installation.
type Info struct {
	Version string `json:"version"`
	Node    string `json:"node"`
	Demo    bool   `json:"demo"`
	TLS     bool   `json:"tls"` // this request came over TLS
	NowAt   int64  `json:"now_at"`
	TZ      string `json:"tz"`
	Open    bool   `json:"open"` // the service is open now
}

// Deps are what the core works with. All but MaxUpload and Metrics must be set.
type Deps struct {
	Auth Authenticator
	// Info answers GET /info; TLS and NowAt are filled in.
	Info   func(ctx context.Context) (Info, error)
	Logger *slog.Logger
	Now    func() time.Time
	// MaxUpload bounds the body of a route named by Router.Upload, in bytes; 0 means 25 MiB.
	MaxUpload int
	// Metrics takes the figures of requests; nil: nobody counts.
	Metrics prometheus.Registerer
}

// Area is one group of routes, e.g. tickets.
type Area interface{ Routes(r *Router) }

// API is the built app and what it holds.
type API struct {
	App    *fiber.App
	Routes []Route
	Spec   []byte // the merged openapi document, YAML
	large  map[string]bool
	upload []Route
	long   []Route
	files  int
}

// New builds the app with the core routes and those of areas.
func New(d Deps, areas ...Area) (*API, error) {
	spec, err := mergedSpec()
	if err != nil {
		return nil, err
	}
	if d.MaxUpload == 0 {
		d.MaxUpload = maxFiles
	}
	p := problems{logger: d.Logger}
	m := newMetrics(d.Metrics)
	app := fiber.New(fiber.Config{
		AppName:               "heyi",
		DisableStartupMessage: true,
		StrictRouting:         true,
		CaseSensitive:         true,
		Immutable:             true, // strings of a request outlive its handler in services and caches
		BodyLimit:             max(MaxLarge, d.MaxUpload),
		ErrorHandler:          p.handle,
	})
	app.Use(requestContext, p.accessLog(d.Now, m), recover.New(recover.Config{
		EnableStackTrace:  true,
		StackTraceHandler: p.panicked,
	}))
	r := &Router{app: app, gate: gate{auth: d.Auth}, large: map[string]bool{}}
	core{deps: d, spec: spec}.Routes(r)
	for _, a := range areas {
		a.Routes(r)
	}
	app.Use(func(*fiber.Ctx) error { return fault.New(fault.NotFound, "request.no_route") })
	return &API{App: app, Routes: r.routes, Spec: spec, large: r.large, upload: r.upload, long: r.long, files: d.MaxUpload}, nil
}

// BodyLimit returns how many bytes the body of a request to path may have; gateway/bridge asks before it reads.
func (a *API) BodyLimit(method, path string) int64 {
	switch {
	case a.large[method+" "+path]:
		return MaxLarge
	case slices.ContainsFunc(a.upload, func(r Route) bool { return r.fits(method, path) }):
		return int64(a.files)
	case slices.ContainsFunc(a.long, func(r Route) bool { return r.fits(method, path) }):
		return MaxLong
	}
	return MaxJSON
}

// core holds the routes that belong to no area.
type core struct {
	deps Deps
	spec []byte
}

// Routes implements Area.
func (a core) Routes(r *Router) {
	r.Get("/info", Anyone(), a.info)
	r.Get("/openapi.yaml", Anyone(), a.openapi)
}

func (a core) info(c *fiber.Ctx) error {
	in, err := a.deps.Info(c.UserContext())
	if err != nil {
		return err
	}
	in.TLS, in.NowAt = c.Secure(), a.deps.Now().UnixMicro()
	return c.JSON(in)
}

func (a core) openapi(c *fiber.Ctx) error {
	c.Set(fiber.HeaderContentType, "application/yaml")
	return c.Send(a.spec)
}

// Names of the request's values.
const (
	keyRequestID = "heyi.request_id"
	keyCaller    = "heyi.caller"
	keyCSRF      = "heyi.csrf"
	keyRoute     = "heyi.route"
	keyLimit     = "heyi.limit"
)

// requestContext is the first middleware: the context of the connection becomes the request's, so that a client that
// went away cancels what is done for it.
func requestContext(c *fiber.Ctx) error {
	if ctx, ok := c.Locals(auth.BridgeKey).(context.Context); ok {
		c.SetUserContext(ctx)
	}
	id := ident.New[string]()
	c.Locals(keyRequestID, id)
	c.Set(fiber.HeaderXRequestID, id)
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	return c.Next()
}

// accessLog writes one line a request: the route's pattern, never its path or query, which may hold tokens.
func (p problems) accessLog(now func() time.Time, m *metrics) fiber.Handler {
	return func(c *fiber.Ctx) error {
		start := now()
		if err := c.Next(); err != nil {
			if herr := p.handle(c, err); herr != nil {
				return herr
			}
		}
		route, _ := c.Locals(keyRoute).(string)
		if route == "" {
			route = "unknown"
		}
		took := now().Sub(start)
		m.answered(c.Method(), route, c.Response().StatusCode(), took)
		attrs := []slog.Attr{
			slog.String("request", requestID(c)),
			slog.String("method", c.Method()),
			slog.String("route", route),
			slog.Int("status", c.Response().StatusCode()),
			slog.Duration("took", took),
		}
		if caller, ok := CallerOf(c); ok {
			attrs = append(attrs, slog.String("caller", string(caller.Kind)), slog.String("caller_id", caller.Actor().ID))
		}
		p.logger.LogAttrs(c.UserContext(), slog.LevelInfo, "request", attrs...)
		return nil
	}
}

func requestID(c *fiber.Ctx) string {
	id, _ := c.Locals(keyRequestID).(string)
	return id
}

// Peer returns the other end of the request as far as it may be believed; Addr of it is for limits and for the demo
// claim, never for rights of a person.
func Peer(c *fiber.Ctx) auth.Peer { return auth.PeerOf(c.UserContext()) }

// asFault returns the fault in err's chain, nil when there is none.
func asFault(err error) *fault.Error {
	f, _ := errors.AsType[*fault.Error](err)
	return f
}
