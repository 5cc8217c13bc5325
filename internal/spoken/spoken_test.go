package spoken_test

import (
	"testing"

	"pgregory.net/rapid"

	"heyi/internal/spoken"
)

func TestNormal(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"ABCD-1234": "ABCD1234", "abcd 1234": "ABCD1234", "OIL0-0000": "01100000", " 0o1l-iIzz": "001111ZZ",
		"ABCD-123": "", "ABCD-12345": "", "ABCU-1234": "", "村BCD1234": "", "": "",
	}
	for in, want := range tests {
		if got := spoken.Normal(in); got != want {
			t.Errorf("%q reads as %q, want %q", in, got, want)
		}
	}
}

func TestCodeIsReadAgain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		code := spoken.Code(rapid.SliceOfN(rapid.Byte(), spoken.Bytes, spoken.Bytes).Draw(t, "bytes"))
		if got := spoken.Normal(spoken.Spelled(code)); got != code || len(code) != spoken.Len {
			t.Errorf("%q is read as %q", code, got)
		}
	})
}
