package devices_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"heyi/devices"
	"heyi/internal/fault"
	"heyi/internal/ident"
)

func TestChipFirstMatchWins(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 9, 9, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	tests := map[string]struct {
		life  devices.Life
		state devices.State
		class devices.Class
		since time.Duration
		want  devices.Chip
	}{
		"disabled although still connected": {devices.Disabled, devices.Connected, devices.Public, 0, devices.ChipDisabled},
		"retired":                           {devices.Retired, devices.Offline, devices.Public, 90 * day, devices.ChipRetired},
		"pending":                           {devices.Pending, devices.Offline, devices.Public, 90 * day, devices.ChipPending},
		"quarantined":                       {devices.Quarantined, devices.Suspect, devices.Home, 0, devices.ChipQuarantined},
		"public, a week off":                {devices.Active, devices.Offline, devices.Public, 7 * day, devices.ChipOffline},
		"public, more than a week off":      {devices.Active, devices.Offline, devices.Public, 7*day + 1, devices.ChipLost},
		"home, more than a week off":        {devices.Active, devices.Offline, devices.Home, 8 * day, devices.ChipOffline},
		"home, more than a month off":       {devices.Active, devices.Offline, devices.Home, 31 * day, devices.ChipLost},
		"worker, more than a month off":     {devices.Active, devices.Offline, devices.Work, 31 * day, devices.ChipLost},
		"suspect":                           {devices.Active, devices.Suspect, devices.Public, 0, devices.ChipSuspect},
		"online for a year":                 {devices.Active, devices.Connected, devices.Public, 365 * day, devices.ChipOnline},
	}
	for name, tt := range tests {
		if got := devices.ChipOf(tt.life, tt.state, tt.class, now.Add(-tt.since), now); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestLifeEdges(t *testing.T) {
	t.Parallel()
	all := []devices.Life{devices.Pending, devices.Active, devices.Quarantined, devices.Disabled, devices.Retired}
	edges := map[devices.Life]string{
		devices.Pending: "active retired", devices.Active: "quarantined disabled retired", devices.Quarantined: "active retired",
		devices.Disabled: "active retired", devices.Retired: "",
	}
	for from, want := range edges {
		var got []string
		for _, to := range all {
			if from.May(to) {
				got = append(got, string(to))
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("from %s to %v, want %s", from, got, want)
		}
	}
}

func TestCredential(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 9, 9, 0, 0, 0, time.UTC)
	ca, strange := newCA(t, "k1"), newCA(t, "k1")
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := devices.Credential{
		DeviceID: ident.New[ident.DeviceID](), Kind: devices.STB, Alg: devices.Ed25519, Pub: base64.RawURLEncoding.EncodeToString(pub),
		Serial: "SN", NbfAt: now.UnixMicro(), ExpAt: now.Add(devices.CredentialLife).UnixMicro(),
	}
	text := func(ca devices.CAKey, change func(*devices.Credential)) string {
		t.Helper()
		c := good
		change(&c)
		s, err := c.Sign(ca)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	right := text(ca, func(*devices.Credential) {})
	head, tail, _ := strings.Cut(right, ".")
	tests := map[string]struct {
		text string
		at   time.Time
		code string
	}{
		"right":                {right, now, ""},
		"in its last moment":   {right, now.Add(devices.CredentialLife - time.Microsecond), ""},
		"expired":              {right, now.Add(devices.CredentialLife), "cred.expired"},
		"a clock at 1970":      {right, time.UnixMicro(0), "cred.not_yet"},
		"another CA, same kid": {text(strange, func(*devices.Credential) {}), now, "cred.bad_signature"},
		"unknown kid":          {text(devices.CAKey{Kid: "k9", Private: ca.Private}, func(*devices.Credential) {}), now, "cred.unknown_key"},
		"key of another kind":  {text(ca, func(c *devices.Credential) { c.Alg = devices.P256 }), now, "cred.bad"},
		"no id":                {text(ca, func(c *devices.Credential) { c.DeviceID = "x" }), now, "cred.bad"},
		"no signature":         {head + ".", now, "cred.bad_signature"},
		"one part":             {head, now, "cred.bad"},
		"three parts":          {right + "." + tail, now, "cred.bad"},
		"padded":               {head + "=." + tail, now, "cred.bad"},
		"too long":             {strings.Repeat("a", 3000) + "." + tail, now, "cred.bad"},
		"empty":                {"", now, "cred.bad"},
	}
	for name, tt := range tests {
		c, err := devices.ParseCredential(tt.text, func(kid string) (ed25519.PublicKey, bool) { return ca.Public, kid == ca.Kid }, tt.at)
		got := ""
		if err != nil {
			got = fault.CodeOf(err)
		}
		if got != tt.code {
			t.Errorf("%s: %v, want %q", name, err, tt.code)
		}
		if err == nil && (c.DeviceID != good.DeviceID || string(c.Key()) != string(pub)) {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

func newCA(t *testing.T, kid string) devices.CAKey {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return devices.CAKey{Kid: kid, Public: pub, Private: priv}
}

func TestCursor(t *testing.T) {
	t.Parallel()
	p := devices.Position{Text: "电视 1", N: 3, ID: ident.New[ident.DeviceID]()}
	got, err := devices.ParseCursor(p.Cursor())
	if err != nil || got != p {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"x", "e30", base64.RawURLEncoding.EncodeToString([]byte(`{"t":"a","i":"b"}`))} {
		if _, err := devices.ParseCursor(bad); fault.CodeOf(err) != "list.bad_cursor" {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestTierOf(t *testing.T) {
	t.Parallel()
	for engine, want := range map[string]devices.Tier{
		"Chrome/66.0": devices.TierC, "Mozilla/5.0 (X11) AppleWebKit/537.36 Chrome/83.0.4103.61 Safari/537.36": devices.TierA, "chromium 72": devices.TierB,
		"58": devices.TierD, "HeadlessChrome/120": devices.TierA, "": "", "Firefox/115": "", "Chrome": "",
	} {
		if got := devices.TierOf(engine); got != want {
			t.Errorf("%q is %q, want %q", engine, got, want)
		}
	}
}
