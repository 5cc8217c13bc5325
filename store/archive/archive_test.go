package archive_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"heyi/internal/fault"
	"heyi/store/archive"
)

func head() archive.Head {
	return archive.Head{
		Version: "v1", Node: "n1", Engine: "sqlite", At: 1_760_000_000_123_456,
		Migrations: []archive.Migration{{Version: 1, Name: "0001_core.sql", SHA256: "ab"}},
		Tables: []archive.Table{
			{Name: "key", Columns: []archive.Column{{Name: "kid", Type: archive.Text}, {Name: "wrapped", Type: archive.Bytes}}},
			{Name: "nothing", Columns: []archive.Column{{Name: "id", Type: archive.Text}}},
			{Name: "device", Columns: []archive.Column{{Name: "id", Type: archive.Text}, {Name: "at", Type: archive.Int}, {Name: "admit", Type: archive.Bool}, {Name: "note", Type: archive.Text}}},
		},
	}
}

func rowsOf() map[string][][]any {
	return map[string][][]any{
		"key": {{"a", []byte{0, 1, 255}}, {"b", []byte{}}, {"c", nil}},
		"device": {
			{"和议 <&> \" \\ \u2028 \x01 🀄", int64(-9_223_372_036_854_775_808), true, nil},
			{"", int64(9_223_372_036_854_775_807), false, "line\nbreak"},
		},
	}
}

func write(t *testing.T) ([]byte, archive.Manifest) {
	t.Helper()
	var b bytes.Buffer
	w, err := archive.NewWriter(&b, head())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.File("texts/2026-03-02.jsonl", 4, strings.NewReader("one\n")); err != nil {
		t.Fatal(err)
	}
	for _, table := range head().Tables {
		for _, r := range rowsOf()[table.Name] {
			if err := w.Row(table.Name, r); err != nil {
				t.Fatal(err)
			}
		}
	}
	m, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), m
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	text, written := write(t)
	r, err := archive.NewReader(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	want := head()
	want.Format = archive.Format
	if d := cmp.Diff(want, r.Head()); d != "" {
		t.Error(d)
	}
	rows, files, tables := map[string][][]any{}, map[string]string{}, []string{}
	read, err := r.Read(archive.Visitor{
		Row:   func(t archive.Table, v []any) error { rows[t.Name] = append(rows[t.Name], v); return nil },
		Table: func(t archive.Table) error { tables = append(tables, t.Name); return nil },
		File: func(path string, r io.Reader) error {
			b, err := io.ReadAll(r)
			files[path] = string(b)
			return err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(rowsOf(), rows); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"key", "nothing", "device"}, tables); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]string{"texts/2026-03-02.jsonl": "one\n"}, files); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(written, read); d != "" || read.Rows() != 5 {
		t.Errorf("%d rows; %s", read.Rows(), d)
	}
}

// TestAnyChangedByteIsNoticed flips one bit of every byte, padding and tar headers included, cuts the archive at every
// length, and adds to its end.
func TestAnyChangedByteIsNoticed(t *testing.T) {
	t.Parallel()
	text, _ := write(t)
	broken := func(b []byte) bool {
		_, _, err := archive.Check(bytes.NewReader(b))
		code := fault.CodeOf(err)
		return code == "backup.damaged" || code == "backup.format"
	}
	if broken(text) {
		t.Fatal("the whole archive is refused")
	}
	for i := range text {
		b := bytes.Clone(text)
		b[i] ^= 1 << (i % 8)
		if !broken(b) {
			t.Fatalf("byte %d of %d may change", i, len(text))
		}
		if i%64 == 0 && !broken(text[:i]) {
			t.Fatalf("it may be cut off at %d of %d", i, len(text))
		}
	}
	if !broken(append(bytes.Clone(text), 'x')) {
		t.Error("something may follow")
	}
}

func TestReaderGoesOnNowhereAfterAnError(t *testing.T) {
	t.Parallel()
	text, _ := write(t)
	r, err := archive.NewReader(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	stop := errors.New("stop")
	if _, err := r.Read(archive.Visitor{Row: func(archive.Table, []any) error { return stop }}); !errors.Is(err, stop) {
		t.Errorf("err = %v", err)
	}
}

func TestWriterRefusesWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	tests := map[string]func(w *archive.Writer) error{
		"a text that is no UTF-8":   func(w *archive.Writer) error { return w.Row("key", []any{"\xff", nil}) },
		"a value of another type":   func(w *archive.Writer) error { return w.Row("key", []any{int64(1), nil}) },
		"a value too few":           func(w *archive.Writer) error { return w.Row("key", []any{"a"}) },
		"a table that is not in it": func(w *archive.Writer) error { return w.Row("other", []any{"a"}) },
		"a row of an earlier table": func(w *archive.Writer) error {
			return errors.Join(w.Row("device", rowsOf()["device"][0]), w.Row("key", nil))
		},
		"a file outside of the folder": func(w *archive.Writer) error { return w.File("../x", 0, strings.NewReader("")) },
		"a file by an absolute path":   func(w *archive.Writer) error { return w.File("/x", 0, strings.NewReader("")) },
		"a file after rows": func(w *archive.Writer) error {
			return errors.Join(w.Row("key", []any{"a", nil}), w.File("x", 0, strings.NewReader("")))
		},
		"a file that is too short": func(w *archive.Writer) error { return w.File("x", 2, strings.NewReader("1")) },
	}
	for name, do := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, err := archive.NewWriter(io.Discard, head())
			if err != nil {
				t.Fatal(err)
			}
			if do(w) == nil {
				t.Error("it was written")
			}
		})
	}
}

// TestMemoryIsBounded writes and reads 64 MiB of rows through a pipe.
func TestMemoryIsBounded(t *testing.T) {
	h := head()
	h.Tables = h.Tables[:1]
	blob := bytes.Repeat([]byte("x"), 48<<10) // 64 KiB in base64
	const rows = 1024
	pr, pw := io.Pipe()
	wrote := make(chan error, 1)
	go func() {
		w, err := archive.NewWriter(pw, h)
		for i := 0; err == nil && i < rows; i++ {
			err = w.Row("key", []any{fmt.Sprint(i), blob})
		}
		if err == nil {
			_, err = w.Close()
		}
		wrote <- errors.Join(err, pw.CloseWithError(err))
	}()
	r, err := archive.NewReader(pr)
	if err != nil {
		t.Fatal(err)
	}
	n, peak := 0, uint64(0)
	m, err := r.Read(archive.Visitor{Row: func(archive.Table, []any) error {
		if n++; n%128 == 0 {
			runtime.GC()
			var s runtime.MemStats
			runtime.ReadMemStats(&s)
			peak = max(peak, s.HeapAlloc)
		}
		return nil
	}})
	if err := errors.Join(err, <-wrote); err != nil || m.Rows() != rows {
		t.Fatalf("%d rows: %v", m.Rows(), err)
	}
	if peak > 24<<20 {
		t.Errorf("%d MiB live while 64 MiB pass", peak>>20)
	}
}
