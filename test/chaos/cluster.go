package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // RFC 6238 names it
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"heyi/test/impair"
)

// cluster is one installation: PostgreSQL, Redis when the program knows it, and its nodes, each behind forwarders of its
// own to clients, PostgreSQL and Redis.
type cluster struct {
	c      config
	dir    string
	n      *nursery
	env    []string // what every process of the program gets
	pg     *postgres
	redis  *redis // nil: this build keeps coordination in memory
	orders bool   // this build knows commands to devices
	nodes  []*server
	log    *os.File
}

// server is one node of the installation.
type server struct {
	cl     *cluster
	name   string
	port   int
	udp    int
	front  *impair.TCP // clients come through here
	toPG   *impair.TCP
	toR    *impair.TCP // nil without Redis
	logger *os.File

	mu      sync.Mutex
	proc    *proc
	startAt time.Time
	kills   []time.Time // unannounced deaths
}

func (s *server) base() string { return "http://" + s.front.Addr() }

// direct is the address that no fault stands before: figures and readiness are read there.
func (s *server) direct() string { return "http://127.0.0.1:" + strconv.Itoa(s.port) }

// newCluster starts everything and waits until all nodes are ready.
func newCluster(ctx context.Context, c config, dir string) (*cluster, error) {
	cl := &cluster{c: c, dir: dir, n: newNursery()}
	if err := cl.open(ctx); err != nil {
		return nil, errors.Join(err, cl.close())
	}
	return cl, nil
}

func (cl *cluster) open(ctx context.Context) (err error) {
	if cl.log, err = appendTo(filepath.Join(cl.dir, "ground.log")); err != nil {
		return err
	}
	if cl.pg, err = newPostgres(ctx, cl.n, cl.dir, cl.log); err != nil {
		return err
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails, see crypto/rand
	cl.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TZ=Asia/Shanghai", "HEYI_MASTER_KEY=" + base64.StdEncoding.EncodeToString(key), "HEYI_STORE_DRIVER=postgres",
		"HEYI_PEOPLE_REQUIRE_TOTP=false", "HEYI_PEOPLE_ARGON2_MIB=8", "HEYI_PEOPLE_ARGON2_TIME=1", // signing in is not what is tested
		"HEYI_FLEET_CLAIMS_PER_MIN=100000", "HEYI_QUEUE_TICKETS_PER_HOUR=100000", "HEYI_FLEET_EVENTS_KEPT=100000", // a simulated citizen comes back at once
		"HEYI_PDF_FONTS=" + filepath.Join(cl.c.Fonts, "NotoSansSC-Regular.ttf"), "HEYI_PDF_BOLD=" + filepath.Join(cl.c.Fonts, "NotoSansSC-Bold.ttf"),
	}
	settings, err := output(ctx, append(slices.Clone(cl.env), "HEYI_STORE_DSN="+cl.pg.url(dbName, cl.pg.port)), cl.c.Heyi, "config")
	if err != nil {
		return err
	}
	cl.orders = has(settings, "link", "down_sweep")
	if has(settings, "coord", "driver") {
		if cl.redis, err = newRedis(ctx, cl.n, cl.dir, cl.log); err != nil {
			return err
		}
	}
	if _, err := cl.admin(ctx, "migrate"); err != nil {
		return err
	}
	if _, err := cl.admin(ctx, "admin", "units", "import", cl.c.Units); err != nil {
		return err
	}
	for i := range cl.c.Nodes {
		s, err := cl.newServer(ctx, i, settings)
		if err != nil {
			return err
		}
		cl.nodes = append(cl.nodes, s)
	}
	for _, s := range cl.nodes {
		if err := s.start(""); err != nil {
			return err
		}
	}
	for _, s := range cl.nodes {
		if err := until(ctx, time.Minute, s.name+" is ready", func() bool { return s.ready(ctx) }); err != nil {
			return err
		}
	}
	return nil
}

// has reports whether a printed configuration knows a key of a section.
func has(settings, section, key string) bool {
	in := false
	for line := range strings.Lines(settings) {
		switch {
		case !strings.HasPrefix(line, " "):
			in = strings.HasPrefix(line, section+":")
		case in && strings.HasPrefix(strings.TrimSpace(line), key+":"):
			return true
		}
	}
	return false
}

// admin runs a command of the program on the database.
func (cl *cluster) admin(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	env := append(slices.Clone(cl.env), "HEYI_STORE_DSN="+cl.pg.url(dbName, cl.pg.port), "HEYI_DATA="+filepath.Join(cl.dir, "admin"), "HEYI_LOG_LEVEL=error")
	return output(ctx, env, cl.c.Heyi, args...)
}

// account is how somebody signs in.
type account struct{ login, password, secret string }

// addStaff makes an account.
func (cl *cluster) addStaff(ctx context.Context, login, roles string) (account, error) {
	out, err := cl.admin(ctx, "admin", "staff", "add", "-login", login, "-name", login, "-unit", rootUnit, "-roles", roles)
	if err != nil {
		return account{}, err
	}
	a := account{login: login}
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if f := strings.Fields(line); len(f) == 2 && f[0] == "password" {
			a.password = f[1]
		}
		if u, err := url.Parse(line); err == nil && u.Scheme == "otpauth" {
			a.secret = u.Query().Get("secret")
		}
	}
	if a.password == "" || a.secret == "" {
		return account{}, fmt.Errorf("no password or second factor in %q", out)
	}
	return a, nil
}

// code is the second factor of a moment (RFC 6238: HMAC-SHA1 over the number of 30 s steps, 6 digits).
func (a account) code(at time.Time) (string, error) {
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.TrimRight(a.secret, "="))
	if err != nil {
		return "", fmt.Errorf("second factor: %w", err)
	}
	h := hmac.New(sha1.New, key)
	_ = binary.Write(h, binary.BigEndian, at.Unix()/30) // a hash takes everything
	sum := h.Sum(nil)
	n := binary.BigEndian.Uint32(sum[sum[len(sum)-1]&15:]) & 0x7fffffff
	return fmt.Sprintf("%06d", n%1_000_000), nil
}

func (cl *cluster) newServer(ctx context.Context, i int, settings string) (s *server, err error) {
	s = &server{cl: cl, name: "n" + strconv.Itoa(i+1)}
	if s.port, err = freePort(ctx); err != nil {
		return nil, err
	}
	if s.udp, err = freePort(ctx); err != nil {
		return nil, err
	}
	if s.front, err = impair.ListenTCP(ctx, "127.0.0.1:"+strconv.Itoa(s.port)); err != nil {
		return nil, err //nolint:wrapcheck // names itself
	}
	if s.toPG, err = impair.ListenTCP(ctx, cl.pg.addr()); err != nil {
		return nil, err //nolint:wrapcheck // names itself
	}
	if cl.redis != nil {
		if s.toR, err = impair.ListenTCP(ctx, cl.redis.addr()); err != nil {
			return nil, err //nolint:wrapcheck // names itself
		}
	}
	if s.logger, err = appendTo(filepath.Join(cl.dir, s.name+".log")); err != nil {
		return nil, err
	}
	_, port, _ := strings.Cut(s.toPG.Addr(), ":")
	pg, err := strconv.Atoi(port)
	if err != nil {
		return nil, fmt.Errorf("forwarder: %w", err)
	}
	conf := []string{
		"node: {name: " + s.name,
	}
	if has(settings, "node", "url") {
		conf[0] += ", url: \"" + s.base() + "\", health: \"" + s.direct() + "/healthz\""
	}
	conf[0] += "}"
	conf = append(conf, fmt.Sprintf("http: {listen: \"127.0.0.1:%d\", public_url: \"%s\"}", s.port, s.base()),
		"store: {driver: postgres, dsn: \""+cl.pg.url(dbName, pg)+"\"}", "data: "+filepath.Join(cl.dir, s.name),
		fmt.Sprintf("media: {listen_udp: [\"127.0.0.1:%d\"]}", s.udp))
	if s.toR != nil {
		conf = append(conf, "coord: {driver: redis, url: \"redis://"+s.toR.Addr()+"/0\"}")
	}
	if err := os.WriteFile(s.config(), []byte(strings.Join(conf, "\n")+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return s, nil
}

func (s *server) config() string { return filepath.Join(s.cl.dir, s.name+".yaml") }

// start starts the node's process. clock is the schedule of its clock, empty: the real one.
func (s *server) start(clock string) error {
	bin, env := s.cl.c.Heyi, slices.Clone(s.cl.env)
	if clock != "" {
		bin, env = s.cl.c.Clock, append(env, clockEnv+"="+clock)
	}
	p, err := s.cl.n.start(s.logger, env, nil, s.cl.dir, bin, "serve", "-config", s.config())
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proc, s.startAt = p, time.Now()
	return nil
}

// kill ends the process without warning.
func (s *server) kill() {
	s.mu.Lock()
	p := s.proc
	s.kills = append(s.kills, time.Now())
	s.mu.Unlock()
	p.kill()
}

func (s *server) process() *proc {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc
}

// deaths tells when the node was killed.
func (s *server) deaths() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.kills)
}

func (s *server) ready(ctx context.Context) bool {
	status, _ := get(ctx, s.direct()+"/readyz")
	return status == http.StatusOK
}

// heal ends every fault that still stands: lines pass, processes run.
func (cl *cluster) heal(ctx context.Context) error {
	for _, s := range cl.nodes {
		for _, l := range []*impair.TCP{s.front, s.toPG, s.toR} {
			if l != nil {
				l.Set(impair.Line{})
			}
		}
		s.process().signal(syscall.SIGCONT)
	}
	if cl.redis != nil && !cl.redis.proc.alive() {
		if err := cl.redis.start(ctx); err != nil {
			return err
		}
	}
	cl.pg.proc.signal(syscall.SIGCONT)
	if !cl.pg.proc.alive() {
		if err := cl.pg.start(ctx); err != nil {
			return err
		}
	}
	for _, s := range cl.nodes {
		if !s.process().alive() {
			if err := s.start(""); err != nil {
				return err
			}
		}
	}
	for _, s := range cl.nodes {
		if err := until(ctx, time.Minute, s.name+" is ready again", func() bool { return s.ready(ctx) }); err != nil {
			return err
		}
	}
	return nil
}

// close ends everything, nodes first.
func (cl *cluster) close() error {
	var err error
	for _, s := range cl.nodes {
		if s.proc != nil {
			s.proc.signal(syscall.SIGCONT)
			s.proc.kill()
		}
		for _, l := range []*impair.TCP{s.front, s.toPG, s.toR} {
			if l != nil {
				l.Close()
			}
		}
		err = errors.Join(err, s.logger.Close())
	}
	if cl.redis != nil && cl.redis.proc != nil {
		cl.redis.proc.kill()
	}
	if cl.pg != nil && cl.pg.proc != nil {
		err = errors.Join(err, cl.pg.stop())
	}
	cl.n.close()
	if cl.log != nil {
		err = errors.Join(err, cl.log.Close())
	}
	return err
}
