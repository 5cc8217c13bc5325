// Package archtest holds the rules of the house: which package may import which, which third-party module may be
// used where, and below which versions a module must never fall. docs/architecture.md tells the reasons.
package archtest

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "heyi"

// level is the floor a package stands on; it may import only lower floors of the house. Tests may look further up:
// they start real stores and servers.
//
//nolint:gochecknoglobals // the table this package exists for
var level = map[string]int{
	"internal/fault": 0, "internal/ident": 0, "internal/lifecycle": 0, "internal/qr": 0, "internal/sign": 0, "internal/page": 0, "internal/spoken": 0, "internal/clock": 0, "gateway/wire": 0, "configs": 0, "kiosk-ui": 0,

	"internal/org": 1, "internal/coord": 1, "internal/audit": 1, "mediation": 1, "mediation/paper": 1, "mediation/parcel": 1, "mediation/proof": 1, "media": 1, "media/nodes": 1, "store/archive": 1,

	"people": 2, "devices": 2, "mediation/queue": 2, "mediation/session": 2, "mediation/partylink": 2, "internal/notify": 2,

	"mediation/agreement": 2, "mediation/dispute": 2, "cases": 2,

	"mediation/agreement/pdf": 3, "mediation/flow": 3, "mediation/handoff": 3, "gateway/auth": 3, "media/sfu": 3, "media/rtc": 3, "internal/coord/memcoord": 3, "internal/coord/rediscoord": 3,

	"store": 4, "gateway/link": 4, "gateway/rest": 4, "gateway/bridge": 4,

	"cmd/fleetsim/clip": 0, "gateway": 5, "cmd/fleetsim/sim": 6, "cmd/heyi/app": 6, "cmd/heyi": 7, "cmd/fleetsim": 7,
}

// helpers are packages that only tests import; they stand beside what they help.
//
//nolint:gochecknoglobals // part of the table
var helpers = []string{"internal/archtest", "internal/coord/coordtest", "internal/coord/redistest", "mediation/agreement/pdf/pdftest", "store/storetest", "store/storetest/hold", "store/storetest/pg", "test", "test/chaos", "test/impair"}

// sameLevel lists the imports between packages of one floor that are wanted.
//
//nolint:gochecknoglobals // part of the table
var sameLevel = map[string][]string{
	"internal/audit":            {"mediation"},
	"media/rtc":                 {"media/sfu"},
	"cmd/heyi":                  {},
	"internal/coord/rediscoord": {"internal/coord/memcoord"}, // its subscribers, and what a node counts alone
	"gateway/rest":              {},
	"internal/sign":             {"internal/fault"},
	"mediation/paper":           {"mediation"},
	"mediation/parcel":          {"mediation"},
	"internal/page":             {"internal/fault", "internal/ident"},
	"mediation/proof":           {"internal/audit", "mediation", "mediation/paper", "mediation/parcel"},
}

// only says which of our packages may import a module (prefix match); every other package may not.
//
//nolint:gochecknoglobals // part of the table
var only = map[string][]string{
	"github.com/gofiber/fiber":     {"gateway/rest", "gateway/bridge"},
	"github.com/valyala/fasthttp":  {"gateway/rest", "gateway/bridge"},
	"github.com/gorilla/websocket": {"gateway/link", "cmd/fleetsim", "cmd/fleetsim/sim"},
	"github.com/pion/webrtc":       {"media/rtc", "cmd/fleetsim", "cmd/fleetsim/sim"},
	"github.com/pion/ice":          {"media/rtc", "cmd/fleetsim", "cmd/fleetsim/sim"},
	"github.com/pion/dtls":         {"media/rtc", "cmd/fleetsim", "cmd/fleetsim/sim"},
	"github.com/pion/interceptor":  {"media/rtc", "cmd/fleetsim", "cmd/fleetsim/sim"},
	"github.com/pion/rtp":          {"media/rtc", "media/sfu", "cmd/fleetsim", "cmd/fleetsim/sim"},
	"github.com/pion/rtcp":         {"media/rtc", "media/sfu", "cmd/fleetsim", "cmd/fleetsim/sim"},
	"github.com/redis/go-redis":    {"internal/coord/rediscoord"},
	"github.com/jackc/pgx":         {"store", "store/storetest", "test/chaos"},
	"modernc.org/sqlite":           {"store", "store/storetest"},
	"database/sql":                 {"store", "store/storetest"},
	"github.com/skip2/go-qrcode":   {"internal/qr"},
	"github.com/goccy/go-yaml":     {"configs", "gateway/rest"}, // rest joins the parts of openapi
	"github.com/golang-jwt/jwt":    {"gateway/auth"},
	"github.com/pquerna/otp":       {"people"},
	"golang.org/x/crypto/argon2":   {"people"},
	"github.com/pion/turn":         {"media/relay"},
	"github.com/pion/stun":         {},
	"github.com/emmansun/gmsm":     {"internal/sign"},
	"github.com/signintech/gopdf":  {"mediation/agreement/pdf"},
	"heyi/configs":                 {"cmd/heyi", "cmd/heyi/app", "cmd/fleetsim"},
}

// floor is the lowest version of a module that has no known advisory reachable here (docs/adr/0005-pion-v3.md).
//
//nolint:gochecknoglobals // part of the table
var floor = map[string]string{
	"github.com/gofiber/fiber/v2":  "v2.52.15",
	"github.com/valyala/fasthttp":  "v1.73.0",
	"github.com/gorilla/websocket": "v1.5.3",
	"github.com/redis/go-redis/v9": "v9.23.0",
	"github.com/pion/webrtc/v3":    "v3.3.6",
	"github.com/pion/interceptor":  "v0.1.39",
	"github.com/jackc/pgx/v5":      "v5.9.2",
	"golang.org/x/crypto":          "v0.58.0",
	"github.com/golang-jwt/jwt/v5": "v5.2.2",
}

type pkg struct {
	path  string   // relative to the module, "gateway/link"
	files []string // non-test files
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func packages(t *testing.T) []pkg {
	t.Helper()
	base := root(t)
	byDir := map[string]*pkg{}
	err := filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(base, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if rel != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || rel == "build" || rel == "tools" || d.Name() == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		dir := filepath.ToSlash(filepath.Dir(rel))
		if byDir[dir] == nil {
			byDir[dir] = &pkg{path: dir}
		}
		byDir[dir].files = append(byDir[dir].files, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var out []pkg
	for _, p := range byDir {
		out = append(out, *p)
	}
	slices.SortFunc(out, func(a, b pkg) int { return strings.Compare(a.path, b.path) })
	return out
}

func imports(t *testing.T, file string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, i := range f.Imports {
		s, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

func TestNoArrowRunsUp(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if slices.Contains(helpers, p.path) {
			continue
		}
		own, known := level[p.path]
		if !known {
			t.Errorf("%s: not in the table; give it a floor in archtest", p.path)
			continue
		}
		for _, file := range p.files {
			for _, imp := range imports(t, file) {
				rel, ours := strings.CutPrefix(imp, module+"/")
				if !ours {
					continue
				}
				lv, known := level[rel]
				switch {
				case slices.Contains(helpers, rel):
					t.Errorf("%s imports the test helper %s", p.path, rel)
				case !known:
					t.Errorf("%s imports %s, which is not in the table", p.path, rel)
				case lv == own && !slices.Contains(sameLevel[p.path], rel):
					t.Errorf("%s imports its neighbour %s", p.path, rel)
				case lv > own:
					t.Errorf("%s (floor %d) imports %s (floor %d): an arrow that runs up", p.path, own, rel, lv)
				}
			}
		}
	}
}

func TestStoreAndGatewayNeverMeet(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, file := range p.files {
			for _, imp := range imports(t, file) {
				fromGateway := p.path == "gateway" || strings.HasPrefix(p.path, "gateway/")
				if fromGateway && strings.HasPrefix(imp, module+"/store") {
					t.Errorf("%s imports %s", p.path, imp)
				}
				fromStore := p.path == "store"
				if fromStore && strings.HasPrefix(imp, module+"/gateway") && imp != module+"/gateway/wire" {
					t.Errorf("%s imports %s", p.path, imp)
				}
			}
		}
	}
}

func TestModulesStayInTheirRooms(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, file := range p.files {
			for _, imp := range imports(t, file) {
				for mod, may := range only {
					if (imp == mod || strings.HasPrefix(imp, mod+"/")) && !slices.Contains(may, p.path) {
						t.Errorf("%s imports %s, allowed only in %v", p.path, imp, may)
					}
				}
			}
		}
	}
}

func TestVersionFloors(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile(filepath.Join(root(t), "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]string{}
	for line := range strings.Lines(string(mod)) {
		f := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(f) >= 2 && strings.HasPrefix(f[1], "v") {
			have[f[0]] = f[1]
		}
		if strings.HasPrefix(strings.TrimSpace(line), "replace ") {
			t.Errorf("go.mod replaces a module: %s", strings.TrimSpace(line))
		}
	}
	for m, want := range floor {
		got, ok := have[m]
		if !ok {
			t.Errorf("%s is missing in go.mod", m)
			continue
		}
		if compare(got, want) < 0 {
			t.Errorf("%s %s is below its floor %s", m, got, want)
		}
	}
}

// compare orders two versions "vA.B.C" by their numbers; what follows a "-" is ignored.
func compare(a, b string) int {
	parse := func(v string) (n [3]int) {
		v, _, _ = strings.Cut(strings.TrimPrefix(v, "v"), "-")
		for i, s := range strings.SplitN(v, ".", 3) {
			n[i], _ = strconv.Atoi(s)
		}
		return n
	}
	x, y := parse(a), parse(b)
	return slices.Compare(x[:], y[:])
}
