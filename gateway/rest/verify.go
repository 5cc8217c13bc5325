package rest

import (
	"context"
	"time"

	"github.com/gofiber/fiber/v2"

	"heyi/internal/coord"
	"heyi/internal/fault"
	"heyi/internal/sign"
)

// VerifyFile is a file that somebody wants to have checked.
type VerifyFile struct {
	Name string
	Body []byte
}

// Finding is what a check says about one file, in words that a clerk understands.
type Finding struct {
	File string `json:"file"`
	OK   bool   `json:"ok"`
	Code string `json:"code"`
	Text string `json:"text"`
}

// Verify is the area by which anyone checks papers that were issued here; nothing that is brought is kept. All fields
// must be set.
type Verify struct {
	// Check judges files: a whole package, or single papers. digest is the agreement's, as the QR code on the paper
	// names it; it may be empty.
	Check   func(ctx context.Context, files []VerifyFile, digest string) (ok bool, list []Finding, err error)
	Keys    func(ctx context.Context) (sign.KeyList, error) // the seal keys that this installation vouches for
	Limiter coord.Limiter
	AnAddr  int // checks an address in a minute; 0 means 10
}

// Routes implements Area.
func (a Verify) Routes(r *Router) {
	r.Post("/verify", Anyone(), a.verify)
	r.Upload(fiber.MethodPost, "/verify")
	r.Get("/verify/keys", Anyone(), a.keys)
}

// mostFiles is how many files one check takes.
const mostFiles = 30

func (a Verify) verify(c *fiber.Ctx) error {
	most := a.AnAddr
	if most == 0 {
		most = 10
	}
	ok, retry, err := a.Limiter.Allow(c.UserContext(), "verify/"+Peer(c).Addr.String(), most, time.Minute)
	if err != nil {
		return err
	}
	if !ok {
		return fault.New(fault.TooMany, "verify.too_many").After(retry)
	}
	f, err := form(c, []string{"digest"}, []string{"files"}, true)
	if err != nil {
		return err
	}
	heads := f.File["files"]
	if len(heads) > mostFiles {
		return fault.InField("verify.too_many_files", "files")
	}
	var files []VerifyFile
	for i := range heads {
		body, err := content("files", heads[i:])
		if err != nil {
			return err
		}
		files = append(files, VerifyFile{Name: heads[i].Filename, Body: body})
	}
	digest := field(f, "digest")
	if len(files) == 0 && digest == "" {
		return fault.InField("request.file_missing", "files")
	}
	good, list, err := a.Check(c.UserContext(), files, digest)
	if list == nil {
		list = []Finding{}
	}
	return reply(c, fiber.StatusOK, fiber.Map{"ok": good, "findings": list}, err)
}

func (a Verify) keys(c *fiber.Ctx) error {
	list, err := a.Keys(c.UserContext())
	if list.Keys == nil {
		list.Keys = []sign.Published{}
	}
	return reply(c, fiber.StatusOK, list, err)
}
