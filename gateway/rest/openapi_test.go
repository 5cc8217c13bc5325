package rest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"heyi/gateway/rest"
)

// areas lists every area, without services: the test below walks routes and calls none. A new area adds its line.
func areas() []rest.Area {
	return []rest.Area{
		rest.Staff{},
		rest.Claims{},
		rest.Devices{},
		rest.Commands{},
		rest.Console{},
		rest.Situation{},
		rest.Visits{},
		rest.Tickets{},
		rest.Captures{},
		rest.Desk{},
		rest.Sessions{},
		rest.ConsoleQueue{},
		rest.Disputes{},
		rest.Party{},
		rest.Links{},
		rest.Texts{},
		rest.Verify{},
		rest.Cases{},
		rest.Handoffs{},
		rest.Intake{},
	}
}

// documented is what the document says about one operation, in the same words as described.
func documented(method string, path string, op *openapi3.Operation) (string, error) {
	if op.Security == nil {
		return "", fmt.Errorf("%s %s: no security", method, path)
	}
	var kinds []string
	for _, s := range *op.Security {
		for kind := range s {
			kinds = append(kinds, kind)
		}
	}
	var roles []string
	if list, ok := op.Extensions["x-roles"].([]any); ok {
		for _, r := range list {
			roles = append(roles, fmt.Sprint(r))
		}
	}
	return operation(method, path, kinds, roles), nil
}

func described(r rest.Route) string {
	var kinds, roles []string
	for _, k := range r.Who.Kinds {
		kinds = append(kinds, string(k))
	}
	for _, x := range r.Who.Roles {
		roles = append(roles, string(x))
	}
	return operation(r.Method, r.Path, kinds, roles)
}

func operation(method, path string, kinds, roles []string) string {
	slices.Sort(kinds)
	slices.Sort(roles)
	who := strings.Join(kinds, ",")
	if who == "" {
		who = "anyone"
	}
	return strings.TrimSpace(method + " " + path + " " + who + " " + strings.Join(roles, ","))
}

// Every route is documented with the callers it is open to, and nothing else is.
func TestEveryRouteIsDocumented(t *testing.T) {
	t.Parallel()
	api := newAPI(t, rest.Deps{}, areas()...)
	doc, err := openapi3.NewLoader().LoadFromData(api.Spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	var want, got []string
	for _, r := range api.Routes {
		if r.Who.Open == (len(r.Who.Kinds) > 0) {
			t.Errorf("%s %s: open to nobody, or to anyone and to some", r.Method, r.Path)
		}
		want = append(want, described(r))
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			s, err := documented(method, path, op)
			if err != nil {
				t.Error(err)
			}
			got = append(got, s)
		}
	}
	for _, s := range want {
		if !slices.Contains(got, s) {
			t.Errorf("served, but not documented so: %s", s)
		}
	}
	for _, s := range got {
		if !slices.Contains(want, s) {
			t.Errorf("documented, but not served so: %s", s)
		}
	}
}
