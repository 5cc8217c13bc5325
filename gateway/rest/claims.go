package rest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/gofiber/fiber/v2"

	"heyi/devices"
	"heyi/gateway/auth"
	"heyi/gateway/wire"
	"heyi/internal/ident"
	"heyi/internal/org"
	"heyi/internal/qr"
)

// claimPoll is how long a terminal's question after its claim may wait for the operator.
const claimPoll = 25 * time.Second

// Claims is the area by which terminals enrol. All fields must be set; a Poll of 0 means 25 s.
type Claims struct {
	Registry  *devices.Registry
	Tree      *org.Tree
	PublicURL string // base address of the pages, without a slash at the end
	Poll      time.Duration
	Now       func() time.Time
}

// Routes implements Area.
func (a Claims) Routes(r *Router) {
	enrol := RequireRole(auth.RolesOf(auth.EnrolDevice)...)
	r.Post("/claims", Anyone(), a.create)
	r.Get("/claims/{id}", Anyone(), a.fetch)
	r.Get("/claims", enrol, a.list)
	r.Post("/claims/{id}/approve", enrol, a.approve)
	r.Post("/claims/{id}/refuse", enrol, a.refuse)
}

func (a Claims) create(c *fiber.Ctx) error {
	var in struct {
		Pub      wire.Bytes       `json:"pub"`
		Alg      devices.Alg      `json:"alg"`
		KeyStore devices.KeyStore `json:"key_store"`
		Serial   string           `json:"serial"`
		Model    string           `json:"model"`
		Kind     devices.Kind     `json:"kind"`
		Proof    wire.Bytes       `json:"proof"`
		App      wire.AppInfo     `json:"app"`
	}
	if err := Body(c, &in); err != nil {
		return err
	}
	peer := Peer(c)
	got, err := a.Registry.Claim(c.UserContext(), devices.ClaimRequest{
		Pub: in.Pub, Alg: in.Alg, KeyStore: in.KeyStore, Serial: in.Serial, Model: in.Model, Kind: in.Kind, Proof: in.Proof,
		Addr: peer.Addr.String(), Demo: peer.Loopback() && loopbackName(peer.Host),
	})
	if err != nil {
		return err
	}
	url := a.PublicURL + "/claim?c=" + got.Code
	svg, err := qr.SVG(url)
	if err != nil {
		return err
	}
	return c.Status(http.StatusCreated).JSON(fiber.Map{
		"claim_id": got.ID, "secret": got.Secret, "code": got.Code, "url": url, "qr_svg": svg, "expires_at": got.ExpiresAt,
		"approved": got.Approved,
	})
}

// loopbackName reports whether the client dialled this machine by a name of its own: a foreign name that was made to
// point here (DNS rebinding) is no demo TV.
func loopbackName(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func (a Claims) fetch(c *fiber.Ctx) error {
	wait := a.Poll
	if wait == 0 {
		wait = claimPoll
	}
	id, err := pathID[ident.ClaimID](c, "claim.not_found")
	if err != nil {
		return err
	}
	state, device, cred, err := a.Registry.Fetch(c.UserContext(), id, c.Get("X-Claim-Secret"), wait)
	if errors.Is(err, context.Canceled) || errors.Is(err, net.ErrClosed) {
		state, err = devices.ClaimWaiting, nil // the terminal went away and asks again
	}
	if err != nil {
		return err
	}
	if state == devices.ClaimWaiting {
		return c.Status(http.StatusAccepted).JSON(fiber.Map{"state": state})
	}
	return c.JSON(fiber.Map{"device_id": device, "cred": cred})
}

type claimRow struct {
	ID        ident.ClaimID  `json:"id"`
	Code      string         `json:"code"`
	Serial    string         `json:"serial"`
	Model     string         `json:"model"`
	Kind      devices.Kind   `json:"kind"`
	At        int64          `json:"at"`
	ExpiresAt int64          `json:"expires_at"`
	DeviceID  ident.DeviceID `json:"device_id"` // a known device with this serial: expected, or to be re-keyed
}

func (a Claims) list(c *fiber.Ctx) error {
	claims, err := a.Registry.Claims(c.UserContext(), scopeOf(c), c.Query("code"))
	if err != nil {
		return err
	}
	rows := make([]claimRow, 0, len(claims))
	for _, cl := range claims {
		rows = append(rows, claimRow{
			ID: cl.ID, Code: cl.Code[:4] + "-" + cl.Code[4:], Serial: cl.Serial, Model: cl.Model, Kind: cl.Kind, At: cl.At,
			ExpiresAt: cl.ExpiresAt, DeviceID: cl.Known,
		})
	}
	return c.JSON(fiber.Map{"claims": rows})
}

func (a Claims) approve(c *fiber.Ctx) error {
	var in struct {
		Key    string        `json:"key"`
		UnitID ident.UnitID  `json:"unit_id"`
		Name   string        `json:"name"`
		Class  devices.Class `json:"class"`
	}
	if err := Body(c, &in); err != nil {
		return err
	}
	if err := checkKey(in.Key); err != nil {
		return err
	}
	id, err := pathID[ident.ClaimID](c, "claim.not_found")
	if err != nil {
		return err
	}
	row, err := a.Registry.Approve(c.UserContext(), devices.Approval{
		ClaimID: id, UnitID: in.UnitID, Name: in.Name, Class: in.Class, Key: in.Key, Scope: scopeOf(c),
	})
	if err != nil {
		return err
	}
	return c.JSON(NewDeviceRow(row, a.Tree, nil))
}

func (a Claims) refuse(c *fiber.Ctx) error {
	var in struct {
		Key string `json:"key"`
	}
	if err := Body(c, &in); err != nil {
		return err
	}
	id, err := pathID[ident.ClaimID](c, "claim.not_found")
	if err != nil {
		return err
	}
	if err := a.Registry.Refuse(c.UserContext(), scopeOf(c), id); err != nil {
		return err
	}
	return c.SendStatus(http.StatusNoContent)
}
