package rest

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"heyi/gateway/auth"
	"heyi/gateway/wire"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/media"
	"heyi/mediation/flow"
	"heyi/mediation/partylink"
	"heyi/mediation/session"
)

// ICEServer is one entry of RTCIceServer.
type ICEServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}

// Sessions is the area of mediation sessions. All fields but ICE must be set.
type Sessions struct {
	Requests *flow.Requests
	Rooms    *session.Executor
	Records  *session.Records
	Tokens   *auth.Tokens
	RTCPath  string // path of /ws/rtc on every node
	ICE      []ICEServer
	Now      func() time.Time
}

// Routes implements Area.
func (a Sessions) Routes(r *Router) {
	take := RequireRole(auth.RolesOf(auth.TakeTickets)...)
	r.Post("/sessions/{id}/media-tickets", Require(auth.Device, auth.Capture, auth.Party, auth.Staff), a.mediaTicket)
	r.Post("/sessions/{id}/leave", Require(auth.Device), a.leave)
	r.Post("/sessions/{id}/rating", Require(auth.Device, auth.Capture), a.rate)
	r.Post("/sessions/{id}/control", take, a.control)
	r.Put("/sessions/{id}/note", take, a.note)
	r.Post("/sessions/{id}/wrap-up", take, a.wrapUp)
}

func sessionID(c *fiber.Ctx) (ident.SessionID, error) {
	return pathID[ident.SessionID](c, "session.none")
}

func (a Sessions) mediaTicket(c *fiber.Ctx) error {
	var in struct {
		Attach media.AttachKind `json:"attach"`
	}
	if err := Body(c, &in); err != nil {
		return err
	}
	switch in.Attach {
	case media.AttachFull, media.AttachView, media.AttachCapture:
	default:
		return fault.InField("session.bad_attach", "attach")
	}
	id, err := sessionID(c)
	if err != nil {
		return err
	}
	caller := Caller(c)
	if caller.Kind == auth.Party && caller.Purpose != partylink.Join {
		return fault.New(fault.NotFound, "session.none") // it signs, the room is not its
	}
	who := session.Who{Staff: caller.StaffID, Device: caller.DeviceID, Grant: caller.GrantID, Link: caller.Link}
	t, k, err := a.Rooms.Entry(c.UserContext(), who, plainCommand(c, "room.enter", a.Now()), id, in.Attach)
	if err != nil {
		return err
	}
	origin, err := a.Rooms.Origin(t.Node)
	if err != nil {
		return err
	}
	token, _, err := a.Tokens.Media(t, a.Now())
	if err != nil {
		return err
	}
	ice := a.ICE
	if ice == nil {
		ice = []ICEServer{}
	}
	return c.JSON(fiber.Map{
		"session_id": k.ID, "room_id": k.Room, "epoch": k.Epoch, "participant_id": t.Participant, "attach": t.Kind,
		"rtc": fiber.Map{"url": origin + a.RTCPath, "node": t.Node, "fence": t.Fence, "ticket": token, "ice": ice},
	})
}

func (a Sessions) leave(c *fiber.Ctx) error {
	var in struct {
		Key string `json:"key"`
	}
	if err := Body(c, &in); err != nil {
		return err
	}
	if err := a.Requests.Leave(c.UserContext(), by(c), wire.RoomLeaveBody{SessionID: c.Params("id"), Key: in.Key}); err != nil {
		return err
	}
	return c.SendStatus(http.StatusNoContent)
}

func (a Sessions) rate(c *fiber.Ctx) error {
	var in struct {
		Key   string `json:"key"`
		Score int    `json:"score"`
		Skip  bool   `json:"skip"`
	}
	if err := Body(c, &in); err != nil {
		return err
	}
	if in.Skip != (in.Score == 0) {
		return fault.InField("rating.bad_score", "score")
	}
	id, err := sessionID(c)
	if err != nil {
		return err
	}
	cmd, err := command(c, "session.rate", in.Key, a.Now())
	if err != nil {
		return err
	}
	if _, err := a.Records.Rate(c.UserContext(), cmd, id, Caller(c).DeviceID, in.Score); err != nil {
		return err
	}
	return c.SendStatus(http.StatusNoContent)
}

func (a Sessions) control(c *fiber.Ctx) error {
	var in struct {
		Key  string               `json:"key"`
		Op   string               `json:"op"`
		Args wire.RoomControlArgs `json:"args"`
	}
	if err := Body(c, &in); err != nil {
		return err
	}
	d, err := a.Requests.Control(c.UserContext(), by(c), wire.RoomControlBody{SessionID: c.Params("id"), Key: in.Key, Op: in.Op, Args: in.Args})
	return reply(c, http.StatusOK, d, err)
}

func (a Sessions) note(c *fiber.Ctx) error {
	var in struct {
		Matter    string `json:"matter"`
		Advice    string `json:"advice"`
		Answer    string `json:"answer"`
		Materials string `json:"materials"`
		NextStep  string `json:"next_step"`
	}
	if err := Body(c, &in); err != nil {
		return err
	}
	id, err := sessionID(c)
	if err != nil {
		return err
	}
	version, err := strconv.ParseInt(strings.Trim(c.Get(fiber.HeaderIfMatch), `"`), 10, 64)
	if err != nil {
		return fault.InField("request.bad_version", fiber.HeaderIfMatch)
	}
	n, err := a.Records.SaveNote(c.UserContext(), plainCommand(c, "consult.save", a.Now()), id, Caller(c).StaffID, version,
		session.Note{Matter: in.Matter, Advice: in.Advice, Answer: in.Answer, Materials: in.Materials, NextStep: in.NextStep})
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderETag, `"`+strconv.FormatInt(n.Version, 10)+`"`)
	return c.JSON(n)
}

func (a Sessions) wrapUp(c *fiber.Ctx) error {
	var in struct {
		Key     string `json:"key"`
		Outcome string `json:"outcome"`
	}
	if err := Body(c, &in); err != nil {
		return err
	}
	id, err := sessionID(c)
	if err != nil {
		return err
	}
	cmd, err := command(c, "session.wrap_up", in.Key, a.Now())
	if err != nil {
		return err
	}
	if err := a.Requests.Flow.WrapUp(c.UserContext(), cmd, Caller(c).StaffID, id, in.Outcome); err != nil {
		return err
	}
	return replyDesk(c, a.Requests.Views)
}
