package app

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"heyi/internal/sign"
	"heyi/mediation/proof"
)

const verifyUsage = "heyi verify PACKAGE.tar | FILES... [-keys keys.json] [-digest HEX]"

// ErrNotVerified says that `heyi verify` found something that does not hold, or could not tell who issued it.
var ErrNotVerified = errors.New("核对没有通过")

// Verify checks a package or papers offline and prints what it found; it reads no configuration and opens no database.
// Flags may stand before or after the files. ErrNotVerified unless everything holds and the issuer is known.
func Verify(args []string, out io.Writer) error {
	fs := flag.NewFlagSet("heyi verify", flag.ContinueOnError)
	keyFile := fs.String("keys", "", "published list of seal keys, from GET /api/v1/verify/keys of the issuer or by another way you trust")
	digest := fs.String("digest", "", "digest from the QR code of a paper")
	var names []string
	for rest := args; ; rest = fs.Args()[1:] {
		if err := fs.Parse(rest); err != nil {
			return fmt.Errorf("%w; %s", err, verifyUsage)
		}
		if fs.NArg() == 0 {
			break
		}
		names = append(names, fs.Arg(0))
	}
	if len(names) == 0 {
		return errors.New(verifyUsage)
	}
	var keys *sign.KeyList
	if *keyFile != "" {
		b, err := os.ReadFile(*keyFile)
		if err != nil {
			return fmt.Errorf("keys: %w", err)
		}
		list, err := sign.ParseKeyList(b)
		if err != nil {
			return fmt.Errorf("keys: %s is no published list: %w", *keyFile, err)
		}
		keys = &list
	}
	files := make([]proof.File, len(names))
	for i, name := range names {
		b, err := os.ReadFile(name) //nolint:gosec // named by the user
		if err != nil {
			return fmt.Errorf("file: %w", err)
		}
		files[i] = proof.File{Name: name, Body: b}
	}
	res := proof.Check(files, keys, *digest)
	return printResult(out, res)
}

func printResult(out io.Writer, res proof.Result) error {
	var b strings.Builder
	known := true
	for _, f := range res.Findings {
		mark := "✓"
		if !f.OK {
			mark = "✗"
			known = known && f.Code == proof.CodeUnchecked
		}
		name := f.File
		if name == "" {
			name = "整体"
		}
		fmt.Fprintf(&b, "%s %s：%s\n", mark, name, f.Text)
	}
	switch {
	case res.OK:
		b.WriteString("\n结论：都对得上，签发单位已核对。\n")
	case known:
		b.WriteString("\n结论：内容没有发现改动，但是未核对签发单位。请用 -keys 给出公布的密钥名单再核对。\n")
	default:
		b.WriteString("\n结论：有对不上的地方（标 ✗ 的），不要采用。\n")
	}
	if _, err := io.WriteString(out, b.String()); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if !res.OK {
		return ErrNotVerified
	}
	return nil
}
