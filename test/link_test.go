package test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"heyi/gateway/wire"
)

func TestBrokenFramesCloseOnlyTheirLink(t *testing.T) {
	t.Parallel()
	n := start(t, demoConfig(t))
	neighbour := n.claim().connect()
	tests := []struct {
		name string
		kind int
		data string
	}{
		{"larger than a frame may be", websocket.TextMessage, `{"v":1,"t":"ping","b":{"x":"` + strings.Repeat("a", n.cfg.Link.Frame) + `"}}`},
		{"no JSON", websocket.TextMessage, `{"v":1,"t":"ping",`},
		{"a field of the wrong type", websocket.TextMessage, `{"v":1,"t":"ping","id":"one"}`},
		{"deeper than 16 levels", websocket.TextMessage, `{"v":1,"t":"ping","b":` + strings.Repeat("[", 17) + strings.Repeat("]", 17) + `}`},
		{"binary", websocket.BinaryMessage, "\x00\x01\x02"},
	}
	for i, tt := range tests {
		l := n.claim().connect()
		l.write(tt.kind, []byte(tt.data))
		if code := l.closed(); code != wire.CloseProtocol {
			t.Errorf("%s: closed with %d, want %d", tt.name, code, wire.CloseProtocol)
		}
		neighbour.alive(uint64(i + 1))
	}
}

func TestBrokenFirstFrameClosesTheLink(t *testing.T) {
	t.Parallel()
	n := start(t, demoConfig(t))
	for name, data := range map[string]string{
		"larger than a first frame may be": `{"v":1,"t":"connect","b":{"boot_id":"` + strings.Repeat("a", 4<<10) + `"}}`,
		"something before connect":         `{"v":1,"t":"ping","id":1,"b":{}}`,
		"no JSON":                          `hello`,
	} {
		l, _ := n.dial()
		l.write(websocket.TextMessage, []byte(data))
		if code := l.closed(); code != wire.CloseProtocol {
			t.Errorf("%s: closed with %d, want %d", name, code, wire.CloseProtocol)
		}
	}
}

func TestReplayedConnectIsRefused(t *testing.T) {
	t.Parallel()
	n := start(t, demoConfig(t))
	d := n.claim()
	first, ch := n.dial()
	frame := d.connectFrame(ch)
	first.write(websocket.TextMessage, frame)
	first.expect(wire.Welcome, nil)

	second, _ := n.dial()
	second.write(websocket.TextMessage, frame) // heard on the wire, sent again to a new nonce
	if code := second.closed(); code != wire.CloseBadSignature {
		t.Errorf("closed with %d, want %d", code, wire.CloseBadSignature)
	}
	first.alive(1)
}

func TestNewerLinkOfOneDeviceSupersedes(t *testing.T) {
	t.Parallel()
	n := start(t, demoConfig(t))
	d := n.claim()
	older := d.connect()
	newer := d.connect()
	if code := older.closed(); code != wire.CloseSuperseded {
		t.Errorf("closed with %d, want %d", code, wire.CloseSuperseded)
	}
	newer.alive(1)
	if a := d.do(http.MethodGet, "/situation", nil); a.status != http.StatusOK {
		t.Errorf("the newer link's token: %d %s", a.status, a.body)
	}
}

func TestStrangersAtTheDoor(t *testing.T) {
	t.Parallel()
	n := start(t, demoConfig(t))
	for name, tt := range map[string]struct {
		protocols []string
		origin    string
		want      int
	}{
		"a page of ours":                {[]string{wire.Subprotocol}, n.url, http.StatusSwitchingProtocols},
		"a program":                     {[]string{wire.Subprotocol}, "", http.StatusSwitchingProtocols},
		"a foreign page":                {[]string{wire.Subprotocol}, "https://evil.example", http.StatusForbidden},
		"a page of another port":        {[]string{wire.Subprotocol}, "http://127.0.0.1:1", http.StatusForbidden},
		"no subprotocol":                {nil, n.url, http.StatusBadRequest},
		"a subprotocol we do not speak": {[]string{"heyi.v9.cbor"}, n.url, http.StatusBadRequest},
	} {
		for _, path := range []string{"/ws/v1", "/ws/rtc"} {
			header := http.Header{}
			if tt.origin != "" {
				header.Set("Origin", tt.origin)
			}
			dialer := websocket.Dialer{Subprotocols: tt.protocols, HandshakeTimeout: patience}
			ws, res, err := dialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(n.url, "http")+path, header)
			if res == nil {
				t.Fatalf("%s %s: %v", name, path, err)
			}
			_ = res.Body.Close()
			if ws != nil {
				_ = ws.Close()
			}
			if res.StatusCode != tt.want {
				t.Errorf("%s %s: %d, want %d", name, path, res.StatusCode, tt.want)
			}
		}
	}
}
