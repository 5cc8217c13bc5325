// Package sim is what simulated people and devices are made of: a device with its key, its journal and the reconnect
// rules of the protocol, a signed-in staff member, and one attachment of a call with prepared media. fleetsim drives
// them as load and demo, test/chaos under faults. Beside media/rtc it is the only importer of pion/webrtc.
//
// Concurrency: Device.Live owns its link and everything it starts; Journal, Link.Access and Peer are safe for concurrent use.
package sim

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"heyi/gateway/wire"
	"heyi/internal/ident"
)

// Device is one simulated device: its key never leaves it, its identity came by import. The fields are set before it
// is used.
type Device struct {
	Serial   string
	Kind     string
	Class    string
	Org      string
	Name     string
	Place    string
	Model    string // Model: it shows in the console with a tag and may draw no tickets
	KeyStore string // soft, webcrypto ...

	ID     string
	Cred   string
	BootID string
	Src    net.IP // source address, 127.x.y.z: lifts the port limit of one address; nil = any
	base   string // address of the service on the present link, for files

	Journal   *Journal
	AckWithin time.Duration    // how long a frame may stay unacked on a live link
	Clock     func() time.Time // its wall clock, which may be wrong

	priv ed25519.PrivateKey
	pub  ed25519.PublicKey
}

// NewDevice returns a device with a new key, an empty journal in memory and no identity.
func NewDevice(serial string) (*Device, error) {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	return &Device{
		Serial: serial, Model: Model, KeyStore: "soft", priv: priv, pub: pub, BootID: ident.New[string](), Journal: NewJournal(), AckWithin: ackTimeout, Clock: time.Now,
	}, nil
}

// CSV returns the device's line of devices/import.
func (d *Device) CSV() string {
	sum := sha256.Sum256(d.pub)
	return strings.Join([]string{d.Serial, fmt.Sprintf("%x", sum), d.Kind, d.Class, d.Model, d.Org, d.Name, d.Place}, ",")
}

// Seed is the private key as Restore takes it.
func (d *Device) Seed() []byte { return d.priv.Seed() }

// Model is the model of simulated devices: it shows in the console with a tag and may draw no tickets.
const Model = "fleetsim"

// ImportHead is the head of an import file.
const ImportHead = "serial,key_sha256,kind,class,model,org_code,name,place\n"

func lengthPrefixed(label string, parts ...[]byte) []byte {
	b := append([]byte(label), 0)
	for _, p := range parts {
		b = binary.BigEndian.AppendUint16(b, uint16(len(p)))
		b = append(b, p...)
	}
	return b
}

// Enrol claims an identity for the imported fingerprint; an imported key is active at once.
func (d *Device) Enrol(ctx context.Context, c *Client) error {
	proof := ed25519.Sign(d.priv, lengthPrefixed("heyi.v1 claim", d.pub, []byte(d.Serial)))
	var claim struct {
		ClaimID string `json:"claim_id"`
		Secret  string `json:"secret"`
	}
	anon := &Client{Base: c.Base, HTTP: &http.Client{Transport: c.HTTP.Transport, Timeout: 40 * time.Second}}
	err := anon.Call(ctx, http.MethodPost, "/api/v1/claims", map[string]any{
		"pub": base64.RawURLEncoding.EncodeToString(d.pub), "alg": "ed25519", "key_store": d.KeyStore, "serial": d.Serial,
		"model": d.Model, "kind": d.Kind, "proof": base64.RawURLEncoding.EncodeToString(proof),
		"app": map[string]string{"name": Model, "ver": "1", "engine": "sim"},
	}, &claim)
	if err != nil {
		return fmt.Errorf("claim %s: %w", d.Serial, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Base+"/api/v1/claims/"+claim.ClaimID, http.NoBody)
	if err != nil {
		return fmt.Errorf("claim %s: %w", d.Serial, err)
	}
	req.Header.Set("X-Claim-Secret", claim.Secret)
	res, err := anon.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("claim %s: %w", d.Serial, err)
	}
	defer func() { _ = res.Body.Close() }()
	var got struct {
		DeviceID string `json:"device_id"`
		Cred     string `json:"cred"`
		Code     string `json:"code"`
	}
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil {
		return fmt.Errorf("claim %s: %w", d.Serial, err)
	}
	if res.StatusCode != http.StatusOK || got.Cred == "" {
		return fmt.Errorf("claim %s: not approved (HTTP %d %s)", d.Serial, res.StatusCode, got.Code)
	}
	d.ID, d.Cred = got.DeviceID, got.Cred
	return nil
}

// Link is one connected link.
type Link struct {
	WS      *websocket.Conn
	Welcome wire.WelcomeBody
	Node    string // that gave the challenge
	Sent    uint64 // frames

	access atomic.Pointer[string]
}

// Access is the bearer token of the live link; the service renews it.
func (l *Link) Access() string {
	if t := l.access.Load(); t != nil {
		return *t
	}
	return ""
}

// ErrRefused says that the door answered instead of an upgrade; RefusedError tells for how long to stay away.
var ErrRefused = errors.New("refused before upgrade")

// RefusedError is the door's answer.
type RefusedError struct {
	Status string
	After  time.Duration // of Retry-After, 0 = none
}

func (e *RefusedError) Error() string { return "refused before upgrade: " + e.Status }

// Is makes it ErrRefused.
func (e *RefusedError) Is(target error) bool { return target == ErrRefused }

// Connect dials, answers the challenge with a signature and waits for the welcome.
func (d *Device) Connect(ctx context.Context, base, why string) (*Link, error) {
	l, err := DialLink(ctx, base+"/ws/v1", d.Src)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = l.WS.Close() })
	defer stop()
	if err := d.handshake(l, why); err != nil {
		_ = l.WS.Close()
		return nil, err
	}
	return l, nil
}

// DialLink opens a websocket from a source address, nil: any.
func DialLink(ctx context.Context, url string, src net.IP) (*Link, error) {
	dialer := websocket.Dialer{
		Subprotocols: []string{wire.Subprotocol}, HandshakeTimeout: 30 * time.Second, ReadBufferSize: 1024, WriteBufferSize: 1024,
		TLSClientConfig: Insecure().TLSClientConfig,
		NetDialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			nd := net.Dialer{}
			if src != nil {
				nd.LocalAddr = &net.TCPAddr{IP: src}
			}
			return nd.DialContext(ctx, network, addr)
		},
	}
	ws, res, err := dialer.DialContext(ctx, "ws"+strings.TrimPrefix(url, "http"), nil)
	if err != nil {
		if res != nil {
			_ = res.Body.Close()
			secs, _ := strconv.Atoi(res.Header.Get("Retry-After"))
			return nil, &RefusedError{Status: res.Status, After: time.Duration(secs) * time.Second}
		}
		return nil, fmt.Errorf("dial: %w", err)
	}
	return &Link{WS: ws}, nil
}

func (d *Device) handshake(l *Link, why string) error {
	if err := l.WS.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return fmt.Errorf("deadline: %w", err)
	}
	var ch wire.ChallengeBody
	if err := l.Expect(wire.Challenge, &ch); err != nil {
		return err
	}
	l.Node = ch.Node
	cnonce := make([]byte, 16)
	if _, err := rand.Read(cnonce); err != nil {
		return fmt.Errorf("random: %w", err)
	}
	cred := sha256.Sum256([]byte(d.Cred))
	sig := ed25519.Sign(d.priv, lengthPrefixed("heyi.v1 connect", []byte(ch.Server), ch.Nonce, cnonce, []byte(d.ID), cred[:], nil))
	err := l.Send(wire.Connect, 0, wire.ConnectBody{
		Auth:   wire.AuthBody{Kind: "device", DeviceID: d.ID, Cred: d.Cred, Alg: "ed25519", CNonce: cnonce, Sig: sig},
		BootID: d.BootID, App: wire.AppInfo{Name: Model, Ver: "1", Model: d.Model, OS: "sim", Engine: "sim"}, Why: why,
		Hashes: map[string]string{"inventory": wire.DocumentHash(d.inventory())}, Resume: d.Journal.Position(),
	})
	if err != nil {
		return err
	}
	if err := l.Expect(wire.Welcome, &l.Welcome); err != nil {
		return err
	}
	if a := l.Welcome.Access; a != nil {
		l.access.Store(&a.Token)
	}
	if err := l.WS.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("deadline: %w", err)
	}
	return nil
}

// ClosedError is a close frame with its code.
type ClosedError struct {
	Code   int
	Reason string
}

func (e *ClosedError) Error() string { return fmt.Sprintf("closed with %d %s", e.Code, e.Reason) }

// Expect reads one frame, which must be of type t.
func (l *Link) Expect(t wire.Type, body any) error {
	_, raw, err := l.WS.ReadMessage()
	if ce, ok := errors.AsType[*websocket.CloseError](err); ok {
		return fmt.Errorf("waiting for %s: %w", t, &ClosedError{Code: ce.Code, Reason: ce.Text})
	}
	if err != nil {
		return fmt.Errorf("waiting for %s: %w", t, err)
	}
	var f wire.Frame
	if err := wire.Decode(raw, &f); err != nil {
		return fmt.Errorf("waiting for %s: %w", t, err)
	}
	if f.T != t {
		return fmt.Errorf("waiting for %s: got %s", t, f.T)
	}
	if err := f.Body(body); err != nil {
		return fmt.Errorf("body of %s: %w", t, err)
	}
	return nil
}

// Send writes one frame; id 0 means no answer is wanted.
func (l *Link) Send(t wire.Type, id uint64, body any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return l.Write(wire.Frame{T: t, ID: id, B: raw})
}

// Write writes one frame as it is. Only one goroutine may write.
func (l *Link) Write(f wire.Frame) error {
	out, err := wire.Append(nil, &f)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	if err := l.WS.WriteMessage(websocket.TextMessage, out); err != nil {
		return fmt.Errorf("write %s: %w", f.T, err)
	}
	l.Sent++
	return nil
}

// Read consumes frames until the link ends and returns the close code, 0 when the line just broke or nothing came for
// as long as the welcome allows. on may be nil.
func (l *Link) Read(on func(*wire.Frame)) (code int) {
	alive := func() { // an error shows at the next read
		if s := l.Welcome.Ping.DeadAfterS; s > 0 {
			_ = l.WS.SetReadDeadline(time.Now().Add(time.Duration(s) * time.Second))
		}
	}
	pong := l.WS.PingHandler()
	l.WS.SetPingHandler(func(data string) error {
		alive()
		return pong(data)
	})
	for {
		alive()
		_, raw, err := l.WS.ReadMessage()
		if err != nil {
			if ce, ok := errors.AsType[*websocket.CloseError](err); ok {
				return ce.Code
			}
			return 0
		}
		var f wire.Frame
		if wire.Decode(raw, &f) != nil {
			continue
		}
		if f.T == wire.LinkConfig {
			var b wire.LinkConfigBody
			if f.Body(&b) == nil && b.Access != nil {
				l.access.Store(&b.Access.Token)
			}
		}
		if on != nil {
			on(&f)
		}
	}
}

// Close ends the link without a word.
func (l *Link) Close() { _ = l.WS.Close() }

// Backoff is full jitter: anything up to base doubled n times, limit at most.
func Backoff(rnd *mrand.Rand, n int, base, limit time.Duration) time.Duration {
	d := min(limit, base<<min(n, 10))
	return time.Duration(rnd.Float64() * float64(d))
}

// Pause waits d or until ctx ends; it reports whether the wait was whole.
func Pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Restore takes over a saved identity.
func (d *Device) Restore(seed []byte, id, cred string) {
	d.priv = ed25519.NewKeyFromSeed(seed)
	if pub, ok := d.priv.Public().(ed25519.PublicKey); ok {
		d.pub = pub
	}
	d.ID, d.Cred = id, cred
}
