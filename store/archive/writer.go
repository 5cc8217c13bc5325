package archive

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"time"
)

// Writer writes an archive: files, then the rows of the head's tables in the head's order, then Close.
type Writer struct {
	head  Head
	all   hash.Hash // of every byte of the tar
	tar   *tar.Writer
	at    time.Time
	table int // index of the table whose rows come now
	part  int // parts of it that are written
	rows  int64
	sum   hash.Hash // of its lines
	buf   []byte    // lines that are not written yet
	done  Manifest
	over  bool
}

// NewWriter begins an archive.
func NewWriter(w io.Writer, h Head) (*Writer, error) {
	h.Format = Format
	all := sha256.New()
	a := &Writer{
		head: h, all: all, tar: tar.NewWriter(io.MultiWriter(w, all)), at: time.UnixMicro(h.At).UTC(), sum: sha256.New(),
		done: Manifest{Tables: []TableSum{}, Files: []FileSum{}},
	}
	text, err := json.MarshalIndent(h, "", " ")
	if err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	text = append(text, '\n')
	if err := a.entry(headName, text); err != nil {
		return nil, err
	}
	return a, a.entry(headSumName, sumOf(text))
}

// Row adds a row to a table of the head, the one of the row before or a later one.
func (a *Writer) Row(table string, values []any) error {
	for a.table < len(a.head.Tables) && a.head.Tables[a.table].Name != table {
		if err := a.endTable(); err != nil {
			return err
		}
	}
	if a.table == len(a.head.Tables) {
		return fmt.Errorf("archive: a row of %s comes after later tables", table)
	}
	at := len(a.buf)
	var err error
	if a.buf, err = appendRow(a.buf, a.head.Tables[a.table], values); err != nil {
		return err
	}
	a.sum.Write(a.buf[at:])
	a.rows++
	if len(a.buf) < partSize {
		return nil
	}
	return a.flush()
}

// File adds a file of the data folder by its slash-separated path there; r must give exactly size bytes.
func (a *Writer) File(path string, size int64, r io.Reader) error {
	if a.table > 0 || a.rows > 0 {
		return fmt.Errorf("archive: file %s comes after rows", path)
	}
	if !localPath(path) || slices.ContainsFunc(a.done.Files, func(f FileSum) bool { return f.Path == path }) {
		return fmt.Errorf("archive: file %q: not a path of its own below the data folder", path)
	}
	if err := a.tar.WriteHeader(a.header(filesDir+path, size)); err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	sum := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(a.tar, sum), r, size); err != nil {
		return fmt.Errorf("archive: file %s: %w", path, err)
	}
	a.done.Files = append(a.done.Files, FileSum{path, size, hexOf(sum)})
	return nil
}

// Close ends the archive and returns its sums. Without it the archive is damaged.
func (a *Writer) Close() (Manifest, error) {
	if a.over {
		return a.done, errClosed
	}
	a.over = true
	if err := a.endTables(); err != nil {
		return a.done, err
	}
	text, err := json.MarshalIndent(a.done, "", " ")
	if err != nil {
		return a.done, fmt.Errorf("archive: %w", err)
	}
	if err := a.entry(manifestName, append(text, '\n')); err != nil {
		return a.done, err
	}
	if err := a.tar.WriteHeader(a.header(sumName, sumLength)); err != nil { // flushes what is before its content
		return a.done, fmt.Errorf("archive: %w", err)
	}
	if _, err := io.WriteString(a.tar, hexOf(a.all)+"\n"); err != nil {
		return a.done, fmt.Errorf("archive: %w", err)
	}
	if err := a.tar.Close(); err != nil {
		return a.done, fmt.Errorf("archive: %w", err)
	}
	return a.done, nil
}

func (a *Writer) header(name string, size int64) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: a.at.Truncate(time.Second)}
}

func (a *Writer) entry(name string, content []byte) error {
	err := a.tar.WriteHeader(a.header(name, int64(len(content))))
	if err == nil {
		_, err = a.tar.Write(content)
	}
	if err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	return nil
}

// flush writes the buffered lines as the table's next part.
func (a *Writer) flush() error {
	if len(a.buf) == 0 {
		return nil
	}
	a.part++
	err := a.entry(partName(a.head.Tables[a.table].Name, a.part), a.buf)
	a.buf = a.buf[:0]
	if cap(a.buf) > 2*partSize { // one large row must not keep its room
		a.buf = nil
	}
	return err
}

func (a *Writer) endTable() error {
	err := a.flush()
	a.done.Tables = append(a.done.Tables, TableSum{a.head.Tables[a.table].Name, a.rows, hexOf(a.sum)})
	a.table++
	a.part, a.rows = 0, 0
	a.sum.Reset()
	return err
}

func (a *Writer) endTables() error {
	for a.table < len(a.head.Tables) {
		if err := a.endTable(); err != nil {
			return err
		}
	}
	return nil
}

// localPath reports whether a path stays below the folder it is joined to.
func localPath(path string) bool {
	if path == "" || strings.ContainsAny(path, "\\:\x00") {
		return false
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return true
}
