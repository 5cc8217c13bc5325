package devices

import (
	"context"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"

	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/internal/org"
)

// MaxImport is the most lines of one import.
const MaxImport = 50_000

// importChunk is how many devices one transaction adds: small enough that the queue's commands do not wait for it.
const importChunk = 200

// simulatedModel begins the model of every device that cmd/fleetsim drives.
const simulatedModel = "fleetsim"

// ImportLine is one expected device.
type ImportLine struct {
	Line    int    // in the file, from 1
	OrgCode string // 12 digits
	Device  Device
}

// ImportResult is what became of a line. Code is a fault code when OK is false.
type ImportResult struct {
	Line     int            `json:"line"`
	OK       bool           `json:"ok"`
	Code     string         `json:"code"`
	DeviceID ident.DeviceID `json:"device_id"`
}

// importColumns is the header of an import file.
const importColumns = "serial,key_sha256,kind,class,model,org_code,name,place"

// Import registers expected terminals from CSV (header serial,key_sha256,kind,class,model,org_code,name,place). A
// terminal whose key has the given fingerprint is active the moment it claims; one without waits for an operator.
// Every line is judged alone: codes are import.bad_serial, bad_key, bad_kind, bad_class, bad_model, bad_name,
// bad_place, no_unit (also a unit outside the subtree), serial_taken, bad_line.
//
// Errors: fault.Invalid "import.bad_header", "import.too_long".
func (r *Registry) Import(ctx context.Context, s Scope, src io.Reader) ([]ImportResult, error) {
	cr := csv.NewReader(src)
	cr.FieldsPerRecord = -1
	head, err := cr.Read()
	if err != nil || len(head) == 0 || strings.TrimPrefix(strings.Join(head, ","), "\ufeff") != importColumns {
		return nil, fault.InField("import.bad_header", "line 1")
	}
	var (
		results []ImportResult
		lines   []ImportLine
	)
	for {
		f, err := cr.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if len(results)+len(lines) >= MaxImport {
			return nil, fault.New(fault.Invalid, "import.too_long")
		}
		if parse, ok := errors.AsType[*csv.ParseError](err); ok {
			results = append(results, ImportResult{Line: parse.Line, Code: "import.bad_line"})
			continue
		}
		if err != nil {
			return nil, err
		}
		n, _ := cr.FieldPos(0)
		line, code := importLine(n, f)
		if code != "" {
			results = append(results, ImportResult{Line: n, Code: code})
			continue
		}
		lines = append(lines, line)
	}
	at := r.now().UnixMicro()
	for chunk := range slices.Chunk(lines, importChunk) {
		for i := range chunk {
			chunk[i].Device.ID, chunk[i].Device.At = ident.New[ident.DeviceID](), at
		}
		got, err := r.fleet.ImportDevices(ctx, s, chunk, at)
		if err != nil {
			return nil, err
		}
		results = append(results, got...)
	}
	slices.SortFunc(results, func(a, b ImportResult) int { return a.Line - b.Line })
	r.changed(ctx, "")
	return results, nil
}

func importLine(n int, f []string) (ImportLine, string) {
	if len(f) != 8 {
		return ImportLine{}, "import.bad_line"
	}
	for i := range f {
		f[i] = strings.TrimSpace(f[i])
	}
	d := Device{
		Serial: f[0], KeySHA256: strings.ToLower(f[1]), Kind: Kind(f[2]), Class: Class(f[3]), Model: f[4], Name: f[6],
		Place: f[7], Life: Pending, Simulated: strings.HasPrefix(f[4], simulatedModel),
	}
	key, err := hex.DecodeString(d.KeySHA256)
	switch {
	case !plain(d.Serial, 1, 64):
		return ImportLine{}, "import.bad_serial"
	case err != nil || len(key) != 0 && len(key) != 32:
		return ImportLine{}, "import.bad_key"
	case org.LevelOf(f[5]) == "":
		return ImportLine{}, "import.no_unit"
	case !d.Kind.Known():
		return ImportLine{}, "import.bad_kind"
	case !d.Class.Known():
		return ImportLine{}, "import.bad_class"
	case !plain(d.Model, 0, 64):
		return ImportLine{}, "import.bad_model"
	case !text(d.Name, 1, 60):
		return ImportLine{}, "import.bad_name"
	case !text(d.Place, 0, 60):
		return ImportLine{}, "import.bad_place"
	}
	return ImportLine{Line: n, OrgCode: f[5], Device: d}, ""
}
