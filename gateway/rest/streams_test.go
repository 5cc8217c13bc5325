package rest_test

import (
	"encoding/json"
	"testing"
	"time"

	"heyi/devices"
	"heyi/gateway/wire"
)

// The page of a device shows what it is made of and what it reported, newest first.
func TestDevicePageShowsWhatItReported(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	v := h.enrol("TV-1")
	op := h.signIn("op")
	var page struct {
		Inventory *struct {
			Hash     string
			Document map[string]any
		} `json:"inventory"`
		Reports []struct {
			ID       int64           `json:"id"`
			Kind     string          `json:"kind"`
			Data     json.RawMessage `json:"data"`
			DeviceAt int64           `json:"device_at"`
			At       int64           `json:"at"`
		} `json:"reports"`
	}
	op.want(200, "", "GET", "/devices/"+string(v.id), nil, &page)
	if page.Inventory != nil || page.Reports == nil || len(page.Reports) != 0 {
		t.Errorf("before anything came: %+v", page)
	}
	got, err := h.presence.Connect(t.Context(), []devices.LinkUp{{
		Device: v.id, KeySHA256: devices.Fingerprint(v.pub), At: time.Now().UnixMicro(), Resume: &devices.Resume{UpStream: "j"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	doc := json.RawMessage(`{"tier":"A","screen":[1920,1080]}`)
	inv, err := devices.NewInventory(wire.InventoryBody{Hash: wire.DocumentHash(doc), Document: doc}, 5)
	if err != nil {
		t.Fatal(err)
	}
	frame := devices.UpFrame{Device: v.id, Epoch: got[0].Epoch, Stream: "j"}
	boot, changed, state := frame, frame, frame
	boot.Seq, boot.Report = 1, &devices.Report{Kind: "boot", Data: json.RawMessage(`{"ver":"1"}`), DeviceAt: 3, At: 4}
	state.Seq, state.Inventory = 2, &inv
	changed.Seq, changed.Report = 3, &devices.Report{Kind: "network_changed", Data: json.RawMessage(`{}`), At: 6}
	if _, err := h.devices.Streams.Append(t.Context(), []devices.UpFrame{boot, state, changed}); err != nil {
		t.Fatal(err)
	}
	op.want(200, "", "GET", "/devices/"+string(v.id), nil, &page)
	if page.Inventory == nil || page.Inventory.Hash != inv.Hash || page.Inventory.Document["tier"] != "A" {
		t.Errorf("inventory %+v", page.Inventory)
	}
	if len(page.Reports) != 2 || page.Reports[0].Kind != "network_changed" || page.Reports[1].ID != 1 || page.Reports[1].DeviceAt != 3 ||
		page.Reports[1].At != 4 || string(page.Reports[1].Data) != `{"ver":"1"}` {
		t.Errorf("reports %+v", page.Reports)
	}
	h.signIn("op2").want(404, "device.not_found", "GET", "/devices/"+string(v.id), nil, nil)
}
