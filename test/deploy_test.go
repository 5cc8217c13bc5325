package test

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"heyi/configs"
	"heyi/internal/coord/redistest"
)

const deployDir = "../configs/deploy"

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path) //nolint:gosec // our own files
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// exported is every metric of a node on which something happened, by name and type.
func exported(t *testing.T) map[string]string {
	t.Helper()
	cfg := demoConfig(t)
	cfg.Coord.Driver, cfg.Coord.URL = configs.CoordRedis, redistest.Start(t).URL()
	n := start(t, cfg)
	d := n.claim()
	d.connect()
	d.waits()
	status, body := n.get("/metrics", nil)
	if status != http.StatusOK {
		t.Fatalf("/metrics: %d", status)
	}
	kinds := map[string]string{}
	for line := range strings.Lines(string(body)) {
		if f := strings.Fields(line); len(f) == 4 && f[0] == "#" && f[1] == "TYPE" {
			kinds[f[2]] = f[3]
		}
	}
	return kinds
}

var metricName = regexp.MustCompile(`\b(heyi|go|process)_[a-z0-9_]+\b`)

// known reports whether a name in a query is exported.
func known(kinds map[string]string, name string) bool {
	if _, ok := kinds[name]; ok {
		return true
	}
	for _, part := range []string{"_bucket", "_sum", "_count"} {
		if base, ok := strings.CutSuffix(name, part); ok && kinds[base] == "histogram" {
			return true
		}
	}
	return false
}

// query checks what can be checked of PromQL without Prometheus: brackets, quotes, names.
func query(t *testing.T, where, expr string, kinds map[string]string) {
	t.Helper()
	var open []rune
	closes := map[rune]rune{')': '(', ']': '[', '}': '{'}
	quoted := false
	for _, r := range expr {
		switch {
		case r == '"':
			quoted = !quoted
		case quoted:
		case r == '(' || r == '[' || r == '{':
			open = append(open, r)
		case closes[r] != 0:
			if len(open) == 0 || open[len(open)-1] != closes[r] {
				t.Errorf("%s: brackets of %s", where, expr)
				return
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 || quoted {
		t.Errorf("%s: %s is not closed", where, expr)
	}
	names := metricName.FindAllString(expr, -1)
	if len(names) == 0 && !strings.HasPrefix(expr, "up{") && !strings.HasPrefix(expr, "label_values(") {
		t.Errorf("%s: %s asks for no metric", where, expr)
	}
	for _, name := range names {
		if !known(kinds, name) {
			t.Errorf("%s: %s is exported by nobody", where, name)
		}
	}
}

// Every metric that an alarm, the dashboard or the manual names exists, and the manual names every one there is.
func TestMonitoringKnowsTheMetrics(t *testing.T) {
	t.Parallel()
	kinds := exported(t)
	manual := readFile(t, "../docs/operations.md")

	var rules struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.UnmarshalWithOptions([]byte(readFile(t, deployDir+"/monitoring/alerts.yml")), &rules, yaml.Strict(), yaml.DisallowUnknownField()); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			query(t, r.Alert, r.Expr, kinds)
			if seen[r.Alert] || r.Annotations["summary"] == "" || r.Labels["severity"] != "page" && r.Labels["severity"] != "ticket" {
				t.Errorf("%s: doubled, or without summary or severity", r.Alert)
			}
			if seen[r.Alert] = true; !regexp.MustCompile(`(?m)^\|[^|]*\b` + r.Alert + `\b`).MatchString(manual) {
				t.Errorf("%s: docs/operations.md does not say what to do", r.Alert)
			}
		}
	}
	if len(seen) < 20 {
		t.Errorf("only %d alarms", len(seen))
	}

	var board struct {
		Panels []struct {
			Type, Title string
			Targets     []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(readFile(t, deployDir+"/monitoring/grafana.json")), &board); err != nil {
		t.Fatal(err)
	}
	queries := 0
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			queries++
			query(t, p.Title, target.Expr, kinds)
		}
	}
	if queries < 50 {
		t.Errorf("only %d queries on the dashboard", queries)
	}

	var scrape struct {
		ScrapeConfigs []struct {
			JobName string `yaml:"job_name"`
		} `yaml:"scrape_configs"`
		RuleFiles []string `yaml:"rule_files"`
	}
	if err := yaml.Unmarshal([]byte(readFile(t, deployDir+"/monitoring/prometheus.yml")), &scrape); err != nil {
		t.Fatal(err)
	}
	if len(scrape.ScrapeConfigs) != 1 || scrape.ScrapeConfigs[0].JobName != "heyi" || !slices.Equal(scrape.RuleFiles, []string{"alerts.yml"}) {
		t.Errorf("prometheus.yml: %+v", scrape)
	}

	documented := map[string]bool{}
	for _, name := range metricName.FindAllString(manual, -1) {
		if documented[name] = true; strings.HasPrefix(name, "heyi_") && !known(kinds, name) {
			t.Errorf("docs/operations.md tells of %s, which is exported by nobody", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		if strings.HasPrefix(name, "heyi_") && !documented[name] {
			t.Errorf("docs/operations.md does not tell of %s", name)
		}
	}
}

// The units parse, name what the program understands, and systemd itself finds nothing to say.
func TestSystemdUnits(t *testing.T) {
	t.Parallel()
	units, err := filepath.Glob(deployDir + "/systemd/heyi*")
	if err != nil || len(units) != 3 {
		t.Fatalf("%v, %v", units, err)
	}
	dir := t.TempDir()
	var copies []string
	for _, path := range units {
		text := readFile(t, path)
		section := ""
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			switch {
			case line == "" || strings.HasPrefix(line, "#"):
			case strings.HasPrefix(line, "["):
				section = line
			default:
				if key, _, ok := strings.Cut(line, "="); !ok || section == "" || key == "" || strings.ContainsAny(key, " \t") {
					t.Errorf("%s: %q", path, line)
				}
			}
		}
		// the program is not installed here
		copied := filepath.Join(dir, filepath.Base(path))
		if err := os.WriteFile(copied, []byte(strings.ReplaceAll(text, "/usr/local/bin/heyi", "/bin/true")), 0o600); err != nil {
			t.Fatal(err)
		}
		copies = append(copies, copied)
	}
	service := readFile(t, deployDir+"/systemd/heyi.service")
	for _, line := range []string{
		"User=heyi", "NoNewPrivileges=yes", "ProtectSystem=strict", "PrivateTmp=yes", "StateDirectory=heyi", "KillMode=mixed", "UMask=0077",
		"SystemCallFilter=@system-service", "ExecStart=/usr/local/bin/heyi serve --config /etc/heyi/heyi.yaml",
	} {
		if !strings.Contains(service, line+"\n") {
			t.Errorf("heyi.service lacks %s", line)
		}
	}
	if tool, err := exec.LookPath("systemd-analyze"); err == nil {
		out, err := exec.CommandContext(t.Context(), tool, append([]string{"verify", "--man=no"}, copies...)...).CombinedOutput() //nolint:gosec // our own units
		if err != nil || len(out) > 0 {
			t.Errorf("systemd-analyze verify: %v\n%s", err, out)
		}
	}
}

// The container file is built in stages from plain image names and ends without root or shell.
func TestContainerfile(t *testing.T) {
	t.Parallel()
	text := strings.ReplaceAll(readFile(t, deployDir+"/container/Containerfile"), "\\\n", " ")
	instruction := regexp.MustCompile(`^(FROM|RUN|COPY|WORKDIR|ARG|ENV|USER|VOLUME|EXPOSE|STOPSIGNAL|ENTRYPOINT|CMD) `)
	image := regexp.MustCompile(`^FROM ([a-z]+(:[a-z0-9.-]+)?)( AS ([a-z]+))?$`)
	stages := map[string]bool{}
	last := map[string]string{} // of the last stage
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if !instruction.MatchString(line) {
			t.Errorf("%q is no instruction", line)
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		if word == "FROM" {
			m := image.FindStringSubmatch(line)
			if m == nil {
				t.Errorf("%q: want a plain image name", line)
				continue
			}
			stages[m[4]] = true
			clear(last)
		}
		last[word] = rest
		for _, from := range regexp.MustCompile(`--from=(\w+)`).FindAllStringSubmatch(line, -1) {
			if !stages[from[1]] {
				t.Errorf("%q: no stage %s before", line, from[1])
			}
		}
		for f := range strings.FieldsSeq(rest) {
			if word == "COPY" && !strings.HasPrefix(f, "-") && !strings.HasPrefix(f, "/") && !strings.Contains(rest, "--from") && f != "." && f != "./" && !strings.HasSuffix(f, "/") {
				if _, err := os.Stat(filepath.Join("..", f)); err != nil {
					t.Errorf("%q: %v", line, err)
				}
			}
		}
	}
	if last["FROM"] != "scratch" || last["USER"] != "10001:10001" || last["ENTRYPOINT"] != `["/heyi/heyi"]` || last["CMD"] != `["serve"]` || last["VOLUME"] != `["/data"]` {
		t.Errorf("the last stage: %v", last)
	}
}
