package main

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
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"heyi/gateway/wire"
	"heyi/internal/ident"
)

// simDevice is one simulated device: its key never leaves it, its identity came by import.
type simDevice struct {
	Serial string
	Kind   string
	Class  string
	Org    string
	Name   string
	Place  string

	priv    ed25519.PrivateKey
	pub     ed25519.PublicKey
	bootID  string
	journal *journal
	// ackWithin is how long a frame may stay unacked on a live link
	ackWithin time.Duration

	id   string
	cred string
	base string // address of the service, for files
	src  net.IP // source address, 127.x.y.z: lifts the port limit of one address; nil = any
}

func newDevice(serial string) (*simDevice, error) {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	return &simDevice{Serial: serial, priv: priv, pub: pub, bootID: ident.New[string](), journal: newJournal(), ackWithin: ackTimeout}, nil
}

// csv returns the device's line of devices/import.
func (d *simDevice) csv() string {
	sum := sha256.Sum256(d.pub)
	return strings.Join([]string{d.Serial, fmt.Sprintf("%x", sum), d.Kind, d.Class, simModel, d.Org, d.Name, d.Place}, ",")
}

// simModel marks a device as simulated: it shows in the console with a tag and may draw no tickets.
const simModel = "fleetsim"

const importHead = "serial,key_sha256,kind,class,model,org_code,name,place\n"

func lengthPrefixed(label string, parts ...[]byte) []byte {
	b := append([]byte(label), 0)
	for _, p := range parts {
		b = binary.BigEndian.AppendUint16(b, uint16(len(p)))
		b = append(b, p...)
	}
	return b
}

// enrol claims an identity for the imported fingerprint; an imported key is active at once.
func (d *simDevice) enrol(ctx context.Context, c *staffClient) error {
	proof := ed25519.Sign(d.priv, lengthPrefixed("heyi.v1 claim", d.pub, []byte(d.Serial)))
	var claim struct {
		ClaimID string `json:"claim_id"`
		Secret  string `json:"secret"`
	}
	anon := &staffClient{base: c.base, http: &http.Client{Transport: c.http.Transport, Timeout: 40 * time.Second}}
	err := anon.call(ctx, http.MethodPost, "/api/v1/claims", map[string]any{
		"pub": base64.RawURLEncoding.EncodeToString(d.pub), "alg": "ed25519", "key_store": "soft", "serial": d.Serial,
		"model": simModel, "kind": d.Kind, "proof": base64.RawURLEncoding.EncodeToString(proof),
		"app": map[string]string{"name": simModel, "ver": "1", "engine": "sim"},
	}, &claim)
	if err != nil {
		return fmt.Errorf("claim %s: %w", d.Serial, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/api/v1/claims/"+claim.ClaimID, http.NoBody)
	if err != nil {
		return fmt.Errorf("claim %s: %w", d.Serial, err)
	}
	req.Header.Set("X-Claim-Secret", claim.Secret)
	res, err := anon.http.Do(req)
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
	d.id, d.cred = got.DeviceID, got.Cred
	return nil
}

// simLink is one connected device link.
type simLink struct {
	ws      *websocket.Conn
	welcome wire.WelcomeBody
	sent    uint64
}

var errRefused = errors.New("refused before upgrade")

// connect dials, answers the challenge with a signature and waits for the welcome.
func (d *simDevice) connect(ctx context.Context, base, why string) (*simLink, error) {
	l, err := dialLink(ctx, base+"/ws/v1", d.src)
	if err != nil {
		return nil, err
	}
	if err := d.handshake(l, why); err != nil {
		_ = l.ws.Close()
		return nil, err
	}
	return l, nil
}

// dialLink opens a websocket from a source address, nil: any.
func dialLink(ctx context.Context, url string, src net.IP) (*simLink, error) {
	dialer := websocket.Dialer{
		Subprotocols: []string{wire.Subprotocol}, HandshakeTimeout: 30 * time.Second, ReadBufferSize: 1024, WriteBufferSize: 1024,
		TLSClientConfig: insecure().TLSClientConfig,
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
			return nil, fmt.Errorf("%w: %s", errRefused, res.Status)
		}
		return nil, fmt.Errorf("dial: %w", err)
	}
	return &simLink{ws: ws}, nil
}

func (d *simDevice) handshake(l *simLink, why string) error {
	if err := l.ws.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return fmt.Errorf("deadline: %w", err)
	}
	var ch wire.ChallengeBody
	if err := l.expect(wire.Challenge, &ch); err != nil {
		return err
	}
	cnonce := make([]byte, 16)
	if _, err := rand.Read(cnonce); err != nil {
		return fmt.Errorf("random: %w", err)
	}
	cred := sha256.Sum256([]byte(d.cred))
	sig := ed25519.Sign(d.priv, lengthPrefixed("heyi.v1 connect", []byte(ch.Server), ch.Nonce, cnonce, []byte(d.id), cred[:], nil))
	err := l.send(wire.Connect, 0, wire.ConnectBody{
		Auth:   wire.AuthBody{Kind: "device", DeviceID: d.id, Cred: d.cred, Alg: "ed25519", CNonce: cnonce, Sig: sig},
		BootID: d.bootID, App: wire.AppInfo{Name: simModel, Ver: "1", Model: simModel, OS: "sim", Engine: "sim"}, Why: why,
		Hashes: map[string]string{"inventory": wire.DocumentHash(d.inventory())}, Resume: d.journal.position(),
	})
	if err != nil {
		return err
	}
	if err := l.expect(wire.Welcome, &l.welcome); err != nil {
		return err
	}
	if err := l.ws.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("deadline: %w", err)
	}
	return nil
}

func (l *simLink) expect(t wire.Type, body any) error {
	_, raw, err := l.ws.ReadMessage()
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

// send writes one frame; id 0 means no answer is wanted.
func (l *simLink) send(t wire.Type, id uint64, body any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return l.write(wire.Frame{T: t, ID: id, B: raw})
}

func (l *simLink) write(f wire.Frame) error {
	out, err := wire.Append(nil, &f)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	if err := l.ws.WriteMessage(websocket.TextMessage, out); err != nil {
		return fmt.Errorf("write %s: %w", f.T, err)
	}
	l.sent++
	return nil
}

// read consumes frames until the link ends and returns the close code, 0 when the line just broke. on may be nil.
func (l *simLink) read(on func(*wire.Frame)) (code int) {
	for {
		_, raw, err := l.ws.ReadMessage()
		if err != nil {
			if ce, ok := errors.AsType[*websocket.CloseError](err); ok {
				return ce.Code
			}
			return 0
		}
		if on == nil {
			continue
		}
		var f wire.Frame
		if wire.Decode(raw, &f) == nil {
			on(&f)
		}
	}
}

func backoff(rnd *mrand.Rand, n int, base, limit time.Duration) time.Duration {
	d := min(limit, base<<min(n, 10))
	return time.Duration(rnd.Float64() * float64(d))
}

// pause waits d or until ctx ends; it reports whether the wait was whole.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// restore takes over a saved identity.
func (d *simDevice) restore(s savedDevice) {
	d.priv = ed25519.NewKeyFromSeed(s.Key)
	if pub, ok := d.priv.Public().(ed25519.PublicKey); ok {
		d.pub = pub
	}
	d.id, d.cred = s.ID, s.Cred
}
