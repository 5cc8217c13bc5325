package rest

import (
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"heyi/gateway/auth"
	"heyi/people"
)

// Who says who may call a route. The zero value is nobody.
type Who struct {
	Open  bool              // anyone, nothing is checked
	Kinds []auth.CallerKind // one of these
	Roles []people.Role     // a staff caller needs one of these; empty: every role
}

// Anyone opens a route to everybody; the handler checks what it needs (a claim's secret, a one-use token).
func Anyone() Who { return Who{Open: true} }

// Require opens a route to callers of these kinds.
func Require(kinds ...auth.CallerKind) Who { return Who{Kinds: kinds} }

// RequireRole opens a route to staff with one of these roles. Which units they reach is the service's to check.
func RequireRole(roles ...people.Role) Who {
	return Who{Kinds: []auth.CallerKind{auth.Staff}, Roles: roles}
}

// Route is one registered route.
type Route struct {
	Method string
	Path   string // as in the documents: /tickets/{id}/cancel
	Who    Who
}

// Router registers routes and records them, so that tests can walk all of them.
type Router struct {
	app    *fiber.App
	gate   gate
	routes []Route
	large  map[string]bool
	upload []Route // by Upload
	long   []Route // by Long
}

// Get registers a GET route. Paths are written as in the documents, below Prefix: "/claims/{id}"; c.Params("id")
// reads the part.
func (r *Router) Get(path string, who Who, h fiber.Handler) { r.add(fiber.MethodGet, path, who, h) }

// Post registers a POST route.
func (r *Router) Post(path string, who Who, h fiber.Handler) { r.add(fiber.MethodPost, path, who, h) }

// Put registers a PUT route.
func (r *Router) Put(path string, who Who, h fiber.Handler) { r.add(fiber.MethodPut, path, who, h) }

// Large lets the body of one POST route without parameters grow to MaxLarge.
func (r *Router) Large(path string) { r.large[fiber.MethodPost+" "+Prefix+path] = true }

// Upload lets the body of one route grow to Deps.MaxUpload: files. The path may have parameters.
func (r *Router) Upload(method, path string) {
	r.upload = append(r.upload, Route{Method: method, Path: path})
}

// Long lets the JSON of one route grow to MaxLong: an agreement, a drawn signature. Call it before the route is
// registered.
func (r *Router) Long(method, path string) {
	r.long = append(r.long, Route{Method: method, Path: path})
}

// fits reports whether a request's path is this route's: parts in braces stand for anything.
func (r Route) fits(method, path string) bool {
	path, ok := strings.CutPrefix(path, Prefix)
	if !ok || method != r.Method || strings.Count(path, "/") != strings.Count(r.Path, "/") {
		return false
	}
	for part := range strings.SplitSeq(r.Path, "/") {
		var have string
		have, path, _ = strings.Cut(path, "/")
		if have != part && !strings.HasPrefix(part, "{") {
			return false
		}
	}
	return true
}

func (r *Router) add(method, path string, who Who, h fiber.Handler) {
	same := func(o Route) bool { return o.Method == method && o.Path == path }
	if slices.ContainsFunc(r.routes, same) {
		panic("rest: two handlers for " + method + " " + path) // a defect of the build; every start and test finds it
	}
	r.routes = append(r.routes, Route{Method: method, Path: path, Who: who})
	limit := MaxJSON
	if slices.ContainsFunc(r.long, same) {
		limit = MaxLong
	}
	mark := func(c *fiber.Ctx) error {
		c.Locals(keyRoute, Prefix+path)
		c.Locals(keyLimit, limit)
		return c.Next()
	}
	pattern := Prefix + strings.NewReplacer("{", ":", "}", "").Replace(path)
	r.app.Add(method, pattern, mark, r.gate.admit(who), h)
}
