package archive

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"reflect"
	"slices"
	"strings"
)

// Visitor takes what an archive holds, in its order. A nil function passes over. An error ends the reading and is
// returned as it is.
type Visitor struct {
	Row func(t Table, values []any) error
	// Table is told that all rows of a table, also of an empty one, have come.
	Table func(t Table) error
	File  func(path string, r io.Reader) error // r ends with the file
}

// Reader reads an archive.
type Reader struct {
	head Head
	all  hash.Hash
	raw  io.Reader // counts every byte into all
	tar  *tar.Reader
	done Manifest
}

// NewReader reads the head. fault.Precondition "backup.damaged" when this is no whole archive, "backup.format" when
// its format is unknown to this program.
func NewReader(r io.Reader) (*Reader, error) {
	all := sha256.New()
	a := &Reader{all: all, raw: io.TeeReader(r, all), done: Manifest{Tables: []TableSum{}, Files: []FileSum{}}}
	a.tar = tar.NewReader(a.raw)
	name, text, err := a.small()
	if err != nil {
		return nil, err
	}
	if name != headName {
		return nil, damaged("it begins with %s instead of %s: not a backup of Heyi", name, headName)
	}
	name, sum, err := a.small()
	if err != nil {
		return nil, err
	}
	if name != headSumName || !bytes.Equal(sum, sumOf(text)) {
		return nil, damaged("%s is not what was written", headName)
	}
	if err := json.Unmarshal(text, &a.head); err != nil {
		return nil, damaged("%s: %w", headName, err)
	}
	if a.head.Format != Format {
		return nil, unknownFormat(a.head)
	}
	return a, nil
}

// Head says what the archive holds.
func (a *Reader) Head() Head { return a.head }

// Read reads everything and checks it.
func (a *Reader) Read(v Visitor) (Manifest, error) {
	table, part := 0, 0
	var sum tableSum
	end := func() error { // of the present table
		t := a.head.Tables[table]
		a.done.Tables = append(a.done.Tables, sum.close(t.Name))
		table++
		part = 0
		if v.Table != nil {
			return v.Table(t)
		}
		return nil
	}
	for {
		h, err := a.next()
		if err != nil {
			return a.done, err
		}
		path, isFile := strings.CutPrefix(h.Name, filesDir)
		if isFile && table == 0 && part == 0 {
			if err := a.file(path, h.Size, v.File); err != nil {
				return a.done, err
			}
			continue
		}
		for table < len(a.head.Tables) && h.Name != partName(a.head.Tables[table].Name, part+1) {
			if err := end(); err != nil {
				return a.done, err
			}
		}
		switch {
		case table < len(a.head.Tables):
			part++
			if err := a.part(h, a.head.Tables[table], &sum, v.Row); err != nil {
				return a.done, err
			}
		case h.Name == manifestName:
			return a.done, a.finish(h)
		default:
			return a.done, damaged("%s is out of place", h.Name)
		}
	}
}

// Check reads an archive and keeps nothing.
func Check(r io.Reader) (Head, Manifest, error) {
	a, err := NewReader(r)
	if err != nil {
		return Head{}, Manifest{}, err
	}
	m, err := a.Read(Visitor{})
	return a.head, m, err
}

type tableSum struct {
	rows int64
	hash hash.Hash
}

func (s *tableSum) add(line []byte) {
	if s.hash == nil {
		s.hash = sha256.New()
	}
	s.hash.Write(line)
	s.rows++
}

func (s *tableSum) close(name string) TableSum {
	if s.hash == nil {
		s.hash = sha256.New()
	}
	sum := TableSum{name, s.rows, hexOf(s.hash)}
	*s = tableSum{}
	return sum
}

// part reads the rows of one part.
func (a *Reader) part(h *tar.Header, t Table, sum *tableSum, row func(Table, []any) error) error {
	text, err := a.content(h)
	if err != nil {
		return err
	}
	for line := range bytes.Lines(text) {
		sum.add(line)
		values, err := readRow(line, t)
		if err != nil {
			return damaged("%s, row %d: %w", h.Name, sum.rows, err)
		}
		if row == nil {
			continue
		}
		if err := row(t, values); err != nil {
			return err
		}
	}
	return nil
}

func (a *Reader) file(path string, size int64, take func(string, io.Reader) error) error {
	if !localPath(path) || slices.ContainsFunc(a.done.Files, func(f FileSum) bool { return f.Path == path }) {
		return damaged("file %q: not a path of its own below the data folder", path)
	}
	sum := sha256.New()
	r := io.TeeReader(a.tar, sum)
	if take != nil {
		if err := take(path, r); err != nil {
			return err
		}
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return damaged("file %s: %w", path, err)
	}
	a.done.Files = append(a.done.Files, FileSum{path, size, hexOf(sum)})
	return nil
}

// finish reads the manifest and the sum of everything, and sees to it that nothing follows.
func (a *Reader) finish(h *tar.Header) error {
	text, err := a.content(h)
	if err != nil {
		return err
	}
	var said Manifest
	if err := json.Unmarshal(text, &said); err != nil {
		return damaged("%s: %w", manifestName, err)
	}
	for i := range min(len(said.Tables), len(a.done.Tables)) {
		if said.Tables[i] != a.done.Tables[i] {
			return damaged("table %s: the rows are not those that were written", a.done.Tables[i].Name)
		}
	}
	for i := range min(len(said.Files), len(a.done.Files)) {
		if said.Files[i] != a.done.Files[i] {
			return damaged("file %s is not the one that was written", a.done.Files[i].Path)
		}
	}
	if !reflect.DeepEqual(said, a.done) {
		return damaged("%s does not list what is there", manifestName)
	}
	h, err = a.next()
	if err != nil {
		return err
	}
	whole := hexOf(a.all) // every byte up to the content of the last entry has been read, no byte of it
	if h.Name != sumName || h.Size != sumLength {
		return damaged("%s instead of %s", h.Name, sumName)
	}
	text, err = a.content(h)
	if err != nil {
		return err
	}
	if string(text) != whole+"\n" {
		return damaged("some byte is not the one that was written")
	}
	return a.nothingMore()
}

// nothingMore reads the padding and the two empty blocks that end a tar.
func (a *Reader) nothingMore() error {
	rest, err := io.ReadAll(io.LimitReader(a.raw, 1<<20))
	if err != nil {
		return damaged("%w", err)
	}
	const blocks, pad = 1024, 512 - sumLength
	if len(rest) < pad+blocks || len(bytes.Trim(rest, "\x00")) > 0 {
		return damaged("its end is missing or followed by something else")
	}
	return nil
}

func (a *Reader) next() (*tar.Header, error) {
	h, err := a.tar.Next()
	switch {
	case errors.Is(err, io.EOF):
		return nil, damaged("it is cut off")
	case err != nil:
		return nil, damaged("%w", err)
	case h.Typeflag != tar.TypeReg || h.Size < 0:
		return nil, damaged("%s is no plain file", h.Name)
	}
	return h, nil
}

func (a *Reader) content(h *tar.Header) ([]byte, error) {
	if h.Size > maxPart {
		return nil, damaged("%s has %d bytes", h.Name, h.Size)
	}
	text := make([]byte, h.Size)
	if _, err := io.ReadFull(a.tar, text); err != nil {
		return nil, damaged("%s: %w", h.Name, err)
	}
	return text, nil
}

func (a *Reader) small() (name string, text []byte, err error) {
	h, err := a.next()
	if err != nil {
		return "", nil, err
	}
	text, err = a.content(h)
	return h.Name, text, err
}

func unknownFormat(h Head) error {
	return formatError(fmt.Errorf("format %q written by Heyi %s: this program reads %q", h.Format, h.Version, Format))
}
