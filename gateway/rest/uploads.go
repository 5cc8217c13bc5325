package rest

import (
	"errors"
	"io"
	"mime/multipart"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"heyi/internal/fault"
)

// maxFile bounds one file of a form in bytes (domain.md §8).
const maxFile = 20 << 20

// form reads the multipart form of a request; its fields and files are those that are named, each once, files may
// come more than once when many is set.
//
// Errors: fault.Invalid "request.content_type", "request.bad_form", "request.unknown_field".
func form(c *fiber.Ctx, fields, files []string, many bool) (*multipart.Form, error) {
	if ct, _, _ := strings.Cut(c.Get(fiber.HeaderContentType), ";"); strings.TrimSpace(ct) != fiber.MIMEMultipartForm {
		return nil, fault.New(fault.Invalid, "request.content_type")
	}
	f, err := c.MultipartForm()
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, "request.bad_form", err)
	}
	for name, values := range f.Value {
		if !slices.Contains(fields, name) || len(values) != 1 {
			return nil, fault.InField("request.unknown_field", name)
		}
	}
	for name, list := range f.File {
		if !slices.Contains(files, name) || (len(list) != 1 && !many) {
			return nil, fault.InField("request.unknown_field", name)
		}
	}
	return f, nil
}

// field returns a text field of a form, empty when there is none.
func field(f *multipart.Form, name string) string {
	if v := f.Value[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// content reads one file of a form.
//
// Errors: fault.Invalid "request.file_missing", "request.file_too_large" (Field names the part).
func content(name string, list []*multipart.FileHeader) (_ []byte, err error) {
	if len(list) == 0 || list[0].Size == 0 {
		return nil, fault.InField("request.file_missing", name)
	}
	if list[0].Size > maxFile {
		return nil, fault.InField("request.file_too_large", name)
	}
	f, err := list[0].Open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.ReadAll(f)
}

// attachment answers with a file that the browser saves; it never runs in our origin.
func attachment(c *fiber.Ctx, name, mediaType string, body []byte) error {
	// RFC 6266: names of ours are Chinese
	c.Set(fiber.HeaderContentDisposition, `attachment; filename="file`+path.Ext(name)+`"; filename*=UTF-8''`+strings.ReplaceAll(url.QueryEscape(name), "+", "%20"))
	c.Set(fiber.HeaderContentType, mediaType)
	c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; sandbox")
	return c.Send(body)
}
