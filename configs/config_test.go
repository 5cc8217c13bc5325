package configs_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"heyi/configs"
)

func TestExampleEqualsDefault(t *testing.T) {
	t.Parallel()
	got, err := configs.Load("heyi.example.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := configs.Default()
	want.Node.Name = got.Node.Name // empty in the file means the host's name
	if d := cmp.Diff(want, got, cmp.Transformer("empty", func(s []string) []string {
		if len(s) == 0 {
			return nil
		}
		return s
	})); d != "" {
		t.Errorf("heyi.example.yaml differs from Default (-default +example):\n%s", d)
	}
}

func TestExampleDocumentsEveryKey(t *testing.T) {
	t.Parallel()
	c := configs.Default()
	for line := range strings.Lines(c.Redacted()) {
		key, _, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok || strings.HasPrefix(key, "-") {
			continue
		}
		if !strings.Contains(string(configs.Example), key+":") {
			t.Errorf("key %q is not in heyi.example.yaml", key)
		}
	}
}

// The example of a cluster loads, validates, and says what a second node needs.
func TestClusterExampleWorks(t *testing.T) {
	t.Parallel()
	c, err := configs.Load("cluster.example.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Store.Driver != "postgres" || c.Coord.Driver != configs.CoordRedis || c.Coord.URL == "" || c.Node.Name == "" || c.HTTP.PublicURL == "" {
		t.Errorf("the example is no cluster: %+v", c)
	}
	onDisk, err := os.ReadFile("cluster.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(onDisk, configs.ClusterExample) {
		t.Error("the embedded example is another one")
	}
}

func TestLoadSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		file string
		env  []string
		want string
	}{
		"unknown key in the file":   {"demo: true\nlisten: x\n", nil, "listen"},
		"unknown variable":          {"", []string{"HEYI_HTTP_PORT=1"}, "HEYI_HTTP_PORT"},
		"variable with a bad value": {"", []string{"HEYI_QUEUE_RING=long"}, "HEYI_QUEUE_RING"},
		"listen without a port":     {"", []string{"HEYI_HTTP_LISTEN=localhost"}, "http.listen"},
		"unknown database":          {"", []string{"HEYI_STORE_DRIVER=oracle"}, "store.driver"},
		"postgres without address":  {"", []string{"HEYI_STORE_DRIVER=postgres"}, "store.dsn"},
		"media on every address":    {"", []string{"HEYI_MEDIA_LISTEN_UDP=0.0.0.0:7882"}, "media.listen_udp"},
		"a ring of no time":         {"queue: {ring: 0s}\n", nil, "queue.ring"},
		"an unknown role":           {"", []string{"HEYI_ROLES=queue"}, "roles"},
		"packages in the clear":     {"", []string{"HEYI_HANDOFF_TARGET=http://cases.example"}, "handoff.target"},
		"a seal nobody knows":       {"handoff: {seal: rsa}\n", nil, "handoff.seal"},
		"a sender without key":      {"cases: {senders: [{name: x, kid: y, alg: ed25519}]}\n", nil, "cases.senders"},
		"an unknown engine":         {"", []string{"HEYI_COORD_DRIVER=etcd"}, "coord.driver"},
		"redis without address":     {"coord: {driver: redis}\n", nil, "coord.url"},
		"an address without redis":  {"", []string{"HEYI_COORD_URL=redis://127.0.0.1:6379"}, "coord.driver"},
		"redis over http":           {"coord: {driver: redis, url: \"http://r:6379\"}\n", nil, "coord.url"},
		"a prefix with a tag":       {"coord: {driver: redis, url: \"redis://r:6379\", prefix: \"{x}\"}\n", nil, "coord.prefix"},
		"a beat within the timeout": {"coord: {beat: 200ms}\n", nil, "coord.beat"},
		"a sweep of no time":        {"coord: {sweep: 0s}\n", nil, "coord.sweep"},
		"dead before the ping":      {"link: {dead_after: 10s}\n", nil, "link.dead_after"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := ""
			if tt.file != "" {
				path = filepath.Join(t.TempDir(), "heyi.yaml")
				if err := os.WriteFile(path, []byte(tt.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := configs.Load(path, tt.env)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want one that names %q", err, tt.want)
			}
		})
	}
}

func TestVariablesGoBeforeTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "heyi.yaml")
	if err := os.WriteFile(path, []byte("http: {listen: \"127.0.0.1:1\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := configs.Load(path, []string{"HEYI_HTTP_LISTEN=127.0.0.1:2", "HEYI_MEDIA_LISTEN_UDP=127.0.0.1:3, 127.0.0.2:3", "PATH=/bin"})
	if err != nil {
		t.Fatal(err)
	}
	if c.HTTP.Listen != "127.0.0.1:2" || len(c.Media.ListenUDP) != 2 {
		t.Errorf("listen = %q, udp = %q", c.HTTP.Listen, c.Media.ListenUDP)
	}
}

func TestRedactedHidesSecrets(t *testing.T) {
	t.Parallel()
	c := configs.Default()
	c.Store.DSN = "postgres://heyi:geheim@db/heyi"
	c.HTTP.MetricsToken = "geheim"
	c.Coord.URL = "rediss://heyi:geheim@redis:6379"
	if strings.Contains(c.Redacted(), "geheim") {
		t.Error("a secret stands in the redacted configuration")
	}
}
