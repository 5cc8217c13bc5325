// Package audit is the hash-chained event log: which change, by whom, on which terminal, when. Events hold ids and
// digests only, never personal data. A store appends the event in the transaction of the change.
package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"

	"heyi/mediation"
)

// Event is one change of one aggregate. Seq, PrevHash and Hash are filled by the store.
type Event struct {
	Aggregate string            // "device", "ticket", "session", "staff" ...
	ID        string            // id of the aggregate
	Seq       int64             // 1, 2, ... per aggregate
	Type      string            // "ticket.created"
	Data      map[string]string // ids, states, digests, numbers; never a name, phone or text of a person
	Actor     mediation.Actor
	At        int64  // Unix microseconds
	Cause     string // request or timer that led here, may be empty
	PrevHash  string // hex; empty for Seq 1
	Hash      string // hex
}

// Sum returns the hash of an event over all its fields and the hash before it, so that one changed byte of any row
// breaks the chain from there on.
func Sum(e Event) string {
	h := sha256.New()
	put := func(s string) {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	num := func(v int64) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(v))
		h.Write(n[:])
	}
	put("heyi event v1")
	put(e.PrevHash)
	put(e.Aggregate)
	put(e.ID)
	num(e.Seq)
	put(e.Type)
	put(EncodeData(e.Data))
	put(string(e.Actor.Kind))
	put(e.Actor.ID)
	put(string(e.Actor.Device))
	num(e.At)
	put(e.Cause)
	return hex.EncodeToString(h.Sum(nil))
}

// EncodeData writes event data as sorted key=value lines; keys and values hold no newline and no "=" in keys.
func EncodeData(m map[string]string) string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var b strings.Builder
	for _, k := range keys {
		b.WriteString(k + "=" + strings.ReplaceAll(m[k], "\n", " ") + "\n")
	}
	return b.String()
}

// DecodeData reads what EncodeData wrote.
func DecodeData(s string) map[string]string {
	m := map[string]string{}
	for line := range strings.SplitSeq(s, "\n") {
		if k, v, ok := strings.Cut(line, "="); ok {
			m[k] = v
		}
	}
	return m
}

// Verify returns the position of the first event that does not fit the chain, -1 when the whole chain holds.
func Verify(events []Event) int {
	prev := ""
	for i, e := range events {
		if e.Seq != int64(i+1) || e.PrevHash != prev || e.Hash != Sum(e) {
			return i
		}
		prev = e.Hash
	}
	return -1
}
