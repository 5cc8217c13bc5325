// Package archive is the file format of a backup: one tar, written and read in one pass with bounded memory, the same
// for every database engine.
//
//	head.json                        program, time, migrations, tables with their columns in the order of loading
//	head.sha256                      SHA-256 of it, hex
//	files/<path>                     files of the data folder that were asked for
//	tables/<name>/000001.ndjson ...  rows, one JSON array a line, in parts of about 1 MiB: tar wants sizes beforehand
//	manifest.json                    rows and SHA-256 of every table, size and SHA-256 of every file
//	sha256                           SHA-256 of every byte before its content, hex
//
// Whatever is cut off or changed, by one bit or more, is noticed: Read fails with fault.Precondition "backup.damaged"
// before it returns the manifest. So a reader keeps nothing that it was handed until Read has returned.
//
// Concurrency: a Writer or Reader belongs to one goroutine.
package archive

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"unicode/utf8"

	"heyi/internal/fault"
)

// Format names the format and its version; a program reads what it knows.
const Format = "heyi.backup.v1"

// Head says what an archive holds. It comes first, so that a reader can refuse before it has read the rows.
type Head struct {
	Format     string      `json:"format"`
	Version    string      `json:"version"` // of the program that wrote it
	Node       string      `json:"node"`
	Engine     string      `json:"engine"` // it came from; it may go to another
	At         int64       `json:"at"`     // when the snapshot was taken, Unix microseconds
	Migrations []Migration `json:"migrations"`
	Tables     []Table     `json:"tables"` // a table comes after those that its foreign keys name
}

// Migration is one migration that ran on the database.
type Migration struct {
	Version int64  `json:"version"`
	Name    string `json:"name"`
	SHA256  string `json:"sha256"`
}

// Table is one table and its columns in the order of a row's values.
type Table struct {
	Name    string   `json:"name"`
	Columns []Column `json:"columns"`
}

// Column is one column.
type Column struct {
	Name string `json:"name"`
	Type Type   `json:"type"`
}

// Type is the type of a column. The Go values of a row are string, int64, bool, []byte or nil.
type Type string

// The types, as SQL names them.
const (
	Text  Type = "TEXT"
	Int   Type = "BIGINT"
	Bool  Type = "BOOLEAN"
	Bytes Type = "BYTEA"
)

// Manifest is the sum of an archive.
type Manifest struct {
	Tables []TableSum `json:"tables"`
	Files  []FileSum  `json:"files"`
}

// TableSum is what was written of a table. Two databases with the same rows have the same sums, whatever the engine.
type TableSum struct {
	Name   string `json:"name"`
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"` // of its lines, hex
}

// FileSum is what was written of a file.
type FileSum struct {
	Path   string `json:"path"` // slashes, relative to the data folder
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Rows is the number of rows in all tables.
func (m Manifest) Rows() (n int64) {
	for _, t := range m.Tables {
		n += t.Rows
	}
	return n
}

const (
	headName     = "head.json"
	headSumName  = "head.sha256"
	manifestName = "manifest.json"
	sumName      = "sha256"
	filesDir     = "files/"
	partSize     = 1 << 20   // bytes; a part ends with the row that crosses it
	maxPart      = 512 << 20 // bytes; more is no part of ours
	sumLength    = 65        // 64 hex digits and a newline
)

func partName(table string, part int) string {
	return fmt.Sprintf("tables/%s/%06d.ndjson", table, part)
}

func damaged(format string, args ...any) error {
	return fault.Wrap(fault.Precondition, "backup.damaged", fmt.Errorf(format, args...))
}

func formatError(err error) error { return fault.Wrap(fault.Precondition, "backup.format", err) }

// appendRow writes a row as one line of JSON.
func appendRow(b []byte, t Table, values []any) ([]byte, error) {
	if len(values) != len(t.Columns) {
		return b, fmt.Errorf("archive: %d values for %d columns of %s", len(values), len(t.Columns), t.Name)
	}
	b = append(b, '[')
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		var ok bool
		if b, ok = appendValue(b, t.Columns[i].Type, v); !ok {
			return b, fmt.Errorf("archive: column %s of %s: %T does not fit %s, or it is no UTF-8", t.Columns[i].Name, t.Name, v, t.Columns[i].Type)
		}
	}
	return append(b, ']', '\n'), nil
}

func appendValue(b []byte, typ Type, v any) ([]byte, bool) {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), true
	case string:
		text, err := json.Marshal(v)
		return append(b, text...), typ == Text && err == nil && utf8.ValidString(v) // Marshal would replace bad bytes
	case int64:
		return strconv.AppendInt(b, v, 10), typ == Int
	case bool:
		return strconv.AppendBool(b, v), typ == Bool
	case []byte:
		b = append(b, '"')
		b = base64.StdEncoding.AppendEncode(b, v)
		return append(b, '"'), typ == Bytes
	}
	return b, false
}

// readRow reads what appendRow wrote.
func readRow(line []byte, t Table) ([]any, error) {
	var cells []json.RawMessage
	if err := json.Unmarshal(line, &cells); err != nil {
		return nil, err
	}
	if len(cells) != len(t.Columns) {
		return nil, fmt.Errorf("%d values for %d columns", len(cells), len(t.Columns))
	}
	values := make([]any, len(cells))
	for i, cell := range cells {
		var err error
		if values[i], err = readValue(cell, t.Columns[i].Type); err != nil {
			return nil, fmt.Errorf("column %s: %w", t.Columns[i].Name, err)
		}
	}
	return values, nil
}

func readValue(cell json.RawMessage, typ Type) (any, error) {
	if string(cell) == "null" {
		return nil, nil //nolint:nilnil // SQL's NULL
	}
	switch typ {
	case Text:
		return read[string](cell)
	case Int:
		return read[int64](cell)
	case Bool:
		return read[bool](cell)
	case Bytes:
		b, err := read[[]byte](cell)
		if b == nil {
			b = []byte{}
		}
		return b, err
	}
	return nil, fmt.Errorf("type %q", typ)
}

func read[T any](cell json.RawMessage) (v T, err error) {
	err = json.Unmarshal(cell, &v)
	return v, err
}

// sumOf is a text's SHA-256 as a small entry holds it.
func sumOf(text []byte) []byte {
	h := sha256.New()
	h.Write(text)
	return []byte(hexOf(h) + "\n")
}

func hexOf(h hash.Hash) string { return fmt.Sprintf("%x", h.Sum(nil)) }

var errClosed = errors.New("archive: closed")
