package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"heyi/internal/ident"
	"heyi/mediation"
)

// exportFormat is the only format of Export.
const exportFormat = "heyi.events.v1"

type exported struct {
	Format string          `json:"format"`
	Events []exportedEvent `json:"events"`
}

type exportedEvent struct {
	Aggregate string              `json:"aggregate"`
	ID        string              `json:"id"`
	Seq       int64               `json:"seq"`
	Type      string              `json:"type"`
	Data      map[string]string   `json:"data"`
	ActorKind mediation.ActorKind `json:"actor_kind"`
	ActorID   string              `json:"actor_id"`
	Device    ident.DeviceID      `json:"device"`
	At        int64               `json:"at"`
	Cause     string              `json:"cause"`
	PrevHash  string              `json:"prev_hash"`
	Hash      string              `json:"hash"`
}

// Export writes chains as the file events.json of a dossier: whole chains, each from its first event on.
func Export(events []Event) ([]byte, error) {
	x := exported{Format: exportFormat, Events: make([]exportedEvent, len(events))}
	for i, e := range events {
		if e.Data == nil {
			e.Data = map[string]string{}
		}
		x.Events[i] = exportedEvent{
			Aggregate: e.Aggregate, ID: e.ID, Seq: e.Seq, Type: e.Type, Data: e.Data, ActorKind: e.Actor.Kind, ActorID: e.Actor.ID,
			Device: e.Actor.Device, At: e.At, Cause: e.Cause, PrevHash: e.PrevHash, Hash: e.Hash,
		}
	}
	b, err := json.MarshalIndent(x, "", " ")
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return append(b, '\n'), nil
}

// Import reads what Export wrote.
func Import(b []byte) ([]Event, error) {
	var x exported
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&x); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	if x.Format != exportFormat {
		return nil, fmt.Errorf("audit: format %q", x.Format)
	}
	events := make([]Event, len(x.Events))
	for i, e := range x.Events {
		events[i] = Event{
			Aggregate: e.Aggregate, ID: e.ID, Seq: e.Seq, Type: e.Type, Data: e.Data,
			Actor: mediation.Actor{Kind: e.ActorKind, ID: e.ActorID, Device: e.Device}, At: e.At, Cause: e.Cause, PrevHash: e.PrevHash, Hash: e.Hash,
		}
	}
	return events, nil
}

// VerifyAll checks several chains that stand in one list and returns the first event that does not fit its chain, nil
// when all hold.
func VerifyAll(events []Event) *Event {
	type chain struct{ aggregate, id string }
	var order []chain
	byChain := map[chain][]Event{}
	for _, e := range events {
		c := chain{e.Aggregate, e.ID}
		if !slices.Contains(order, c) {
			order = append(order, c)
		}
		byChain[c] = append(byChain[c], e)
	}
	for _, c := range order {
		if i := Verify(byChain[c]); i >= 0 {
			return &byChain[c][i]
		}
	}
	return nil
}
