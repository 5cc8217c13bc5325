package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestStoreFigures(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "bench.json")
	if err := os.WriteFile(path, []byte(`{"link_rtt_p50":0.2}`), 0o600); err != nil {
		t.Fatal(err)
	}
	const out = `goos: linux
BenchmarkWrite/sqlite/64/bare-2         	   10	  100 ns/op	      1000 rows/s
BenchmarkWrite/sqlite/64/bare-2         	   10	  100 ns/op	      3000 rows/s
BenchmarkWrite/sqlite/64/bare-2         	   10	  100 ns/op	      2000 rows/s
BenchmarkWrite/sqlite/64/command-2      	   10	  100 ns/op	      8000 rows/s
BenchmarkWrite/postgres/64/bare         	   10	  100 ns/op	      500 rows/s
BenchmarkWrite/postgres/64/command      	   10	  100 ns/op	      250 rows/s
PASS
`
	if err := runStoreFigures(strings.NewReader(out), path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path) //nolint:gosec // a file of this test
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]float64
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{
		"link_rtt_p50": 0.2, "store_sqlite_bare_inserts_per_second": 2000, "store_sqlite_durable_commands_per_second": 8000,
		"store_sqlite_durable_commands_to_bare": 4, "store_postgres_durable_commands_to_bare": 0.5,
	} {
		if got[name] != want {
			t.Errorf("%s = %v, want %v", name, got[name], want)
		}
	}
	if err := runStoreFigures(strings.NewReader("FAIL\n"), path); err == nil {
		t.Error("a benchmark without results is no figure")
	}
}

func TestConsoleFigures(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "bench.json")
	const out = `BenchmarkFleet/sqlite/filter_all-2     	   20	         6.100 cpu-ms	        29.26 p50-ms	        36.65 p95-ms
BenchmarkFleet/postgres/window_anywhere     	   20	         1.5 cpu-ms	        9 p50-ms	        12 p95-ms
PASS
`
	if err := runConsoleFigures(strings.NewReader(out), path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path) //nolint:gosec // a file of this test
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]float64
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{
		"console_sqlite_filter_all_p95_ms": 36.65, "console_sqlite_filter_all_cpu_ms": 6.1, "console_postgres_window_anywhere_p50_ms": 9,
	} {
		if got[name] != want {
			t.Errorf("%s = %v, want %v", name, got[name], want)
		}
	}
	if err := runConsoleFigures(strings.NewReader("FAIL\n"), path); err == nil {
		t.Error("a benchmark without results is no figure")
	}
}
