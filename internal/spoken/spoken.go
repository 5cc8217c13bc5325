// Package spoken holds the short codes that people read from a screen, say and type: 40 bits in 8 characters of
// Crockford's base 32, which has no I, L, O and U.
//
// Concurrency: everything is pure.
package spoken

import (
	"encoding/base32"
	"strings"
)

const (
	alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	// Len is the number of characters of a code.
	Len = 8
	// Bytes is the number of random bytes in a code.
	Bytes = 5
)

// Code returns the code of the first Bytes bytes of b.
func Code(b []byte) string {
	return base32.NewEncoding(alphabet).WithPadding(base32.NoPadding).EncodeToString(b[:Bytes])
}

// Spelled is a code as it stands on a screen, in two groups of four; another text stays as it is.
func Spelled(code string) string {
	if len(code) != Len {
		return code
	}
	return code[:Len/2] + "-" + code[Len/2:]
}

// Normal undoes what people do to a code: spaces, hyphens, small letters, I, L and O for 1, 1 and 0. It is empty when
// the text is no code.
func Normal(s string) string {
	out := make([]byte, 0, Len)
	for _, c := range strings.ToUpper(s) {
		switch c {
		case '-', ' ':
			continue
		case 'O':
			c = '0'
		case 'I', 'L':
			c = '1'
		}
		if !strings.ContainsRune(alphabet, c) || len(out) == Len {
			return ""
		}
		out = append(out, byte(c))
	}
	if len(out) != Len {
		return ""
	}
	return string(out)
}
