package people

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"time"

	"heyi/internal/coord"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation"
)

// Store keeps staff and their sign-ins.
type Store interface {
	// StaffByLogin returns a staff member with secrets. fault.NotFound "staff.not_found".
	StaffByLogin(ctx context.Context, login string) (Staff, Secrets, error)
	// StaffByID is StaffByLogin for somebody who is signed in.
	StaffByID(ctx context.Context, id ident.StaffID) (Staff, Secrets, error)
	// UseTOTP uses up a TOTP step outside a sign-in. Errors: as OpenLogin.
	UseTOTP(ctx context.Context, id ident.StaffID, step int64, by mediation.Command) error
	// SaveStaff adds a staff member or changes the one with this id. fault.Conflict "staff.login_taken";
	// fault.NotFound "org.no_unit".
	SaveStaff(ctx context.Context, s Staff, by mediation.Command) error
	// SetSecrets replaces password hash or second factor (nil leaves it) and ends all sign-ins of the person.
	// fault.NotFound "staff.not_found".
	SetSecrets(ctx context.Context, id ident.StaffID, hash, totp *string, by mediation.Command) error
	// OpenLogin keeps a sign-in and uses up the TOTP step, 0 for none. fault.Conflict "auth.totp_used" when the step,
	// or a later one, was used before.
	OpenLogin(ctx context.Context, l LoginSession, step int64, by mediation.Command) error
	// LoginByToken returns the sign-in of a token with its staff member. It leaves out what is revoked, expired at now
	// or of a disabled person: fault.NotFound "auth.no_session".
	LoginByToken(ctx context.Context, tokenHash string, now int64) (LoginSession, Staff, error)
	// LoginByID is LoginByToken for a sign-in that a link token names.
	LoginByID(ctx context.Context, id ident.LoginID, now int64) (LoginSession, Staff, error)
	// TouchLogin notes that a sign-in was used.
	TouchLogin(ctx context.Context, id ident.LoginID, at int64) error
	// RevokeLogin ends a sign-in; ending it again does nothing.
	RevokeLogin(ctx context.Context, id ident.LoginID, by mediation.Command) error
}

// Config holds limits and costs. Zero values take the defaults.
type Config struct {
	RequireTOTP bool // outside demo mode
	Cost        Argon2
	Parallel    int           // password hashes computed at once; 2
	Absolute    time.Duration // life of a sign-in; 12 h
	Idle        time.Duration // life without use; 60 min
	Touch       time.Duration // how often use is written down; 1 min
	WrongLogin  int           // tries an account in Window; 5
	WrongAddr   int           // tries an address in Window; 50
	Window      time.Duration // 10 min
}

// Deps are what a Service works with. All must be set.
type Deps struct {
	Store   Store
	Limiter coord.Limiter
	Now     func() time.Time
}

// Service signs staff in and out and says who holds a token. It is safe for concurrent use.
type Service struct {
	cfg     Config
	store   Store
	limiter coord.Limiter
	now     func() time.Time
	hasher  *hasher
}

// NewService returns a ready Service.
func NewService(cfg Config, d Deps) *Service {
	def := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	def(&cfg.Absolute, 12*time.Hour)
	def(&cfg.Idle, time.Hour)
	def(&cfg.Touch, time.Minute)
	def(&cfg.Window, 10*time.Minute)
	if cfg.WrongLogin == 0 {
		cfg.WrongLogin = 5
	}
	if cfg.WrongAddr == 0 {
		cfg.WrongAddr = 50
	}
	return &Service{cfg: cfg, store: d.Store, limiter: d.Limiter, now: d.Now, hasher: newHasher(cfg.Cost, cfg.Parallel)}
}

// SignInRequest is what the sign-in page sends.
type SignInRequest struct {
	Login, Password, TOTP string
	Addr                  string // remote address, for the limit
}

// SignedIn is a fresh sign-in. Token goes into the cookie and nowhere else.
type SignedIn struct {
	Staff     Staff
	Login     LoginSession
	Token     string
	ExpiresIn time.Duration
}

// SignIn checks login, password and second factor. An unknown login and a wrong password are the same answer after
// the same work. Every try counts against the account (until one succeeds) and against the address; when the limiter
// cannot be asked nobody gets in.
//
// Errors: fault.Unauthenticated "auth.wrong", "auth.totp_required" (the password was right, a code is missing),
// "auth.totp_missing" (none enrolled where one is required); fault.TooMany "auth.locked"; fault.Unavailable
// "auth.busy", "coord.unavailable".
func (s *Service) SignIn(ctx context.Context, q SignInRequest) (SignedIn, error) {
	wrong := fault.New(fault.Unauthenticated, "auth.wrong")
	login := strings.ToLower(strings.TrimSpace(q.Login))
	account := "signin/login/" + hashHex(login)
	for _, limit := range []struct {
		key string
		max int
	}{{account, s.cfg.WrongLogin}, {"signin/addr/" + q.Addr, s.cfg.WrongAddr}} {
		ok, retry, err := s.limiter.Allow(ctx, limit.key, limit.max, s.cfg.Window)
		if err != nil {
			return SignedIn{}, err
		}
		if !ok {
			return SignedIn{}, fault.New(fault.TooMany, "auth.locked").After(retry)
		}
	}
	if len(q.Password) > maxPassword {
		return SignedIn{}, wrong
	}
	var (
		staff   Staff
		secrets Secrets
	)
	if loginForm.MatchString(login) { // else it is nobody's, with the same work
		var err error
		if staff, secrets, err = s.store.StaffByLogin(ctx, login); err != nil && fault.KindOf(err) != fault.NotFound {
			return SignedIn{}, err
		}
	}
	match, err := s.hasher.verify(ctx, q.Password, secrets.PasswordHash)
	if err != nil {
		return SignedIn{}, err
	}
	if !match || staff.Disabled {
		return SignedIn{}, wrong
	}
	now := s.now()
	step, err := s.secondFactor(q.TOTP, secrets, now)
	if err != nil {
		return SignedIn{}, err
	}
	token := newToken()
	l := LoginSession{
		ID: ident.New[ident.LoginID](), StaffID: staff.ID, TokenHash: hashHex(token), At: now.UnixMicro(), SeenAt: now.UnixMicro(),
		ExpiresAt: now.Add(s.cfg.Absolute).UnixMicro(),
	}
	by := mediation.Command{Name: "staff.signed_in", Actor: mediation.Actor{Kind: mediation.ActorStaff, ID: string(staff.ID)}, At: l.At}
	if err := s.store.OpenLogin(ctx, l, step, by); err != nil {
		if fault.CodeOf(err) == "auth.totp_used" {
			return SignedIn{}, wrong
		}
		return SignedIn{}, err
	}
	if err := s.limiter.Reset(ctx, account); err != nil {
		return SignedIn{}, err
	}
	return SignedIn{Staff: staff, Login: l, Token: token, ExpiresIn: s.cfg.Absolute}, nil
}

// maxPassword bounds what a stranger makes us hash.
const maxPassword = 256

// secondFactor returns the step that the code uses up, 0 when none is enrolled and none required.
func (s *Service) secondFactor(code string, sec Secrets, now time.Time) (int64, error) {
	switch {
	case sec.TOTP == "" && s.cfg.RequireTOTP:
		return 0, fault.New(fault.Unauthenticated, "auth.totp_missing")
	case sec.TOTP == "":
		return 0, nil
	case code == "":
		return 0, fault.New(fault.Unauthenticated, "auth.totp_required")
	}
	step, ok := totpStep(sec.TOTP, code, sec.TOTPStep, now)
	if !ok {
		return 0, fault.New(fault.Unauthenticated, "auth.wrong")
	}
	return step, nil
}

// Authenticate says who holds a token and notes its use.
//
// Errors: fault.Unauthenticated "auth.required" for a token that is unknown, revoked, idle too long or too old.
func (s *Service) Authenticate(ctx context.Context, token string) (LoginSession, Staff, error) {
	required := fault.New(fault.Unauthenticated, "auth.required")
	if token == "" || len(token) > 64 {
		return LoginSession{}, Staff{}, required
	}
	return s.alive(ctx, func(now int64) (LoginSession, Staff, error) { return s.store.LoginByToken(ctx, hashHex(token), now) })
}

func (s *Service) alive(ctx context.Context, find func(now int64) (LoginSession, Staff, error)) (LoginSession, Staff, error) {
	required := fault.New(fault.Unauthenticated, "auth.required")
	now := s.now()
	l, staff, err := find(now.UnixMicro())
	if fault.KindOf(err) == fault.NotFound {
		return LoginSession{}, Staff{}, required
	}
	if err != nil {
		return LoginSession{}, Staff{}, err
	}
	idle := now.Sub(time.UnixMicro(l.SeenAt))
	if idle >= s.cfg.Idle {
		return LoginSession{}, Staff{}, required
	}
	if idle >= s.cfg.Touch {
		if err := s.store.TouchLogin(ctx, l.ID, now.UnixMicro()); err != nil {
			return LoginSession{}, Staff{}, err
		}
	}
	return l, staff, nil
}

// Alive says whose sign-in it is while it is good; redeeming a link token asks. Errors as Authenticate.
func (s *Service) Alive(ctx context.Context, id ident.LoginID) (LoginSession, Staff, error) {
	return s.alive(ctx, func(now int64) (LoginSession, Staff, error) { return s.store.LoginByID(ctx, id, now) })
}

// SignOut ends a sign-in; its cookie and link tokens are worthless from then on.
func (s *Service) SignOut(ctx context.Context, l LoginSession) error {
	return s.store.RevokeLogin(ctx, l.ID, mediation.Command{
		Name: "staff.signed_out", Actor: mediation.Actor{Kind: mediation.ActorStaff, ID: string(l.StaffID)}, At: s.now().UnixMicro(),
	})
}

// SaveStaff adds a staff member or changes one. Errors as Staff.Check and Store.SaveStaff.
func (s *Service) SaveStaff(ctx context.Context, staff Staff, by mediation.Actor) error {
	if err := staff.Check(); err != nil {
		return err
	}
	return s.store.SaveStaff(ctx, staff, mediation.Command{Name: "staff.saved", Actor: by, At: s.now().UnixMicro()})
}

// SetPassword replaces a password and ends all sign-ins of the person.
//
// Errors: fault.Invalid "staff.weak_password" under 10 characters; fault.NotFound "staff.not_found".
func (s *Service) SetPassword(ctx context.Context, id ident.StaffID, password string, by mediation.Actor) error {
	if len([]rune(password)) < 10 || len(password) > maxPassword {
		return fault.InField("staff.weak_password", "password")
	}
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	return s.store.SetSecrets(ctx, id, &hash, nil, mediation.Command{Name: "staff.password_set", Actor: by, At: s.now().UnixMicro()})
}

// SetTOTP enrols a second factor (a secret of NewTOTP) and ends all sign-ins of the person.
// fault.NotFound "staff.not_found".
func (s *Service) SetTOTP(ctx context.Context, id ident.StaffID, secret string, by mediation.Actor) error {
	return s.store.SetSecrets(ctx, id, nil, &secret, mediation.Command{Name: "staff.totp_set", Actor: by, At: s.now().UnixMicro()})
}

// Seed is a staff member that a fresh installation needs.
type Seed struct {
	Staff    Staff  // without id
	Password string // "" = a random one is made
}

// Seeded is what became of a Seed. Password is empty when the account was there already and was left alone.
type Seeded struct {
	Staff    Staff
	Password string
}

// SeedStaff adds the accounts that are missing, by login, and leaves the others alone: a second start changes no
// password. reset gives every listed account its password anew.
func (s *Service) SeedStaff(ctx context.Context, seeds []Seed, reset bool) ([]Seeded, error) {
	by := mediation.Actor{Kind: mediation.ActorSystem, ID: "seed"}
	out := make([]Seeded, 0, len(seeds))
	for _, seed := range seeds {
		have, secrets, err := s.store.StaffByLogin(ctx, seed.Staff.Login)
		switch {
		case err == nil && secrets.PasswordHash != "" && !reset: // an account without one is a seeding that broke off
			out = append(out, Seeded{Staff: have})
			continue
		case err == nil:
			seed.Staff.ID = have.ID
		case fault.KindOf(err) != fault.NotFound:
			return nil, err
		default:
			seed.Staff.ID = ident.New[ident.StaffID]()
			if err := s.SaveStaff(ctx, seed.Staff, by); err != nil {
				return nil, err
			}
		}
		if seed.Password == "" {
			seed.Password = NewPassword()
		}
		if err := s.SetPassword(ctx, seed.Staff.ID, seed.Password, by); err != nil {
			return nil, err
		}
		out = append(out, Seeded(seed))
	}
	return out, nil
}

// NewPassword returns 60 random bits as three groups of four letters and digits that are easy to read aloud.
func NewPassword() string {
	const alphabet = "abcdefghjkmnpqrstvwxyz0123456789" // 32 characters: each takes 5 bits of its byte
	b := make([]byte, 12)
	_, _ = rand.Read(b) // never fails since Go 1.24: the program ends instead
	for i := range b {
		b[i] = alphabet[b[i]&31]
	}
	return string(b[:4]) + "-" + string(b[4:8]) + "-" + string(b[8:])
}

// newToken returns 32 random bytes as text.
func newToken() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails since Go 1.24: the program ends instead
	return base64.RawURLEncoding.EncodeToString(b)
}

func hashHex(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
