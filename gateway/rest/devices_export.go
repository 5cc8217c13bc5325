package rest

import (
	"bytes"
	"context"
	"encoding/csv"
	"io"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"heyi/devices"
)

// exportZone is the zone in which exported instants are written.
func exportZone() *time.Location { return time.FixedZone("CST", 8*60*60) }

// export streams the devices of a filter as CSV: the rows of the list in its order and all of its columns, page by page,
// so that a hundred thousand cost no more memory than two hundred. The first line names the columns; the file begins
// with a byte order mark because spreadsheets take it for another encoding otherwise.
func (a Devices) export(c *fiber.Ctx) error {
	f, err := filterOf(c)
	if err != nil {
		return err
	}
	f.Cursor, f.Offset, f.Limit = "", 0, devices.MaxRows
	e := &exporter{ctx: c.UserContext(), area: a, scope: scopeOf(c), filter: f}
	e.csv = csv.NewWriter(&e.buf)
	e.buf.WriteString("\ufeff")
	if err := e.header(); err != nil {
		return err
	}
	// The first page is read before the answer begins: a bad filter is an answer, not a broken file.
	if err := e.page(); err != nil {
		return err
	}
	if err := a.Registry.NoteExport(c.UserContext(), e.scope, f, e.total); err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, "text/csv; charset=utf-8")
	c.Set(fiber.HeaderContentDisposition, `attachment; filename="devices-`+a.Now().In(exportZone()).Format("20060102-150405")+`.csv"`)
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.SendStream(e)
}

// exporter is the file as a reader: it asks for the next page when the former one has been read.
type exporter struct {
	ctx    context.Context //nolint:containedctx // lives as long as the answer
	area   Devices
	scope  devices.Scope
	filter devices.Filter
	buf    bytes.Buffer
	csv    *csv.Writer
	total  int
	over   bool
}

// Read implements io.Reader.
func (e *exporter) Read(p []byte) (int, error) {
	if e.buf.Len() == 0 {
		if e.over {
			return 0, io.EOF
		}
		e.buf.Reset()
		if err := e.page(); err != nil {
			return 0, err
		}
	}
	n, err := e.buf.Read(p)
	if err == io.EOF && !e.over { //nolint:errorlint // bytes.Buffer gives io.EOF itself
		err = nil
	}
	return n, err //nolint:wrapcheck // an empty buffer's io.EOF
}

func (e *exporter) header() error {
	return e.csv.Write([]string{
		"name", "serial", "chip", "use", "kind", "class", "place", "model", "tier", "engine", "app_ver", "since", "cause", "seen", "life", "simulated", "id",
	})
}

func (e *exporter) page() error {
	page, err := e.area.Registry.Devices(e.ctx, e.scope, e.filter)
	if err != nil {
		return err
	}
	e.total = page.Total
	for _, d := range page.Rows {
		r := e.area.row(d)
		simulated := ""
		if r.Simulated {
			simulated = "1"
		}
		err := e.csv.Write([]string{
			plainCell(r.Name), plainCell(r.Serial), string(r.Chip), r.Use, string(r.Kind), string(r.Class), strings.Join(r.Place, " / "), plainCell(r.Model), string(r.Tier),
			plainCell(r.Engine), plainCell(r.AppVer), instant(r.SinceAt), r.Cause, instant(r.SeenAt), string(r.Life), simulated, string(r.ID),
		})
		if err != nil {
			return err //nolint:wrapcheck // a buffer takes everything
		}
	}
	e.csv.Flush()
	e.filter.Cursor = page.Next
	e.over = page.Next == ""
	return nil
}

// plainCell keeps a spreadsheet from taking a text for a formula.
func plainCell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

func instant(at int64) string {
	if at == 0 {
		return ""
	}
	return time.UnixMicro(at).In(exportZone()).Format("2006-01-02 15:04:05")
}
