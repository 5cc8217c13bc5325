// Package configs holds the one configuration of the program: defaults, a strict YAML file over them, HEYI_*
// variables over both. heyi.example.yaml documents every key by its consequence and is tested against this struct.
package configs

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// Example is the documented example file; it equals Default.
//
//go:embed heyi.example.yaml
var Example []byte

// ClusterExample is what one of several nodes needs beside the defaults.
//
//go:embed cluster.example.yaml
var ClusterExample []byte

// Config is everything an operator may set. Durations are Go durations ("15s"), sizes are bytes.
type Config struct {
	Demo  bool     `yaml:"demo"`
	Data  string   `yaml:"data"`
	Roles []string `yaml:"roles"`

	Node    Node    `yaml:"node"`
	HTTP    HTTP    `yaml:"http"`
	Store   Store   `yaml:"store"`
	Coord   Coord   `yaml:"coord"`
	Link    Link    `yaml:"link"`
	People  People  `yaml:"people"`
	Fleet   Fleet   `yaml:"fleet"`
	Queue   Queue   `yaml:"queue"`
	Room    Room    `yaml:"room"`
	Media   Media   `yaml:"media"`
	Texts   Texts   `yaml:"texts"`
	PDF     PDF     `yaml:"pdf"`
	Handoff Handoff `yaml:"handoff"`
	Cases   Cases   `yaml:"cases"`
	Log     Log     `yaml:"log"`
}

// Node names this process.
type Node struct {
	Name   string `yaml:"name"`
	URL    string `yaml:"url"`
	Health string `yaml:"health"`
	Region string `yaml:"region"`
}

// HTTP is the front door.
type HTTP struct {
	Listen         string        `yaml:"listen"`
	PlainListen    string        `yaml:"plain_listen"`
	TLS            bool          `yaml:"tls"`
	CertFile       string        `yaml:"cert_file"`
	KeyFile        string        `yaml:"key_file"`
	PublicURL      string        `yaml:"public_url"`
	Origins        []string      `yaml:"origins"`
	TrustedProxies []string      `yaml:"trusted_proxies"`
	BodyLimit      int           `yaml:"body_limit"`
	UploadLimit    int           `yaml:"upload_limit"`
	MetricsToken   string        `yaml:"metrics_token"`
	MetricsEvery   time.Duration `yaml:"metrics_every"`
	DrainTimeout   time.Duration `yaml:"drain_timeout"`
}

// Store is the database.
type Store struct {
	Driver     string        `yaml:"driver"`
	DSN        string        `yaml:"dsn"`
	Readers    int           `yaml:"readers"`
	BatchMax   int           `yaml:"batch_max"`
	ClockEvery time.Duration `yaml:"clock_every"`
}

// Coord is how the nodes of one installation tell each other that something changed.
type Coord struct {
	Driver     string        `yaml:"driver"`
	URL        string        `yaml:"url"`
	Prefix     string        `yaml:"prefix"`
	Timeout    time.Duration `yaml:"timeout"`
	Beat       time.Duration `yaml:"beat"`
	BreakAfter int           `yaml:"break_after"`
	BreakFor   time.Duration `yaml:"break_for"`
	Sweep      time.Duration `yaml:"sweep"`
}

// The engines of Coord.
const (
	CoordMemory = "memory" // one node
	CoordRedis  = "redis"  // several
)

// Link bounds websocket links.
type Link struct {
	PendingMax    int           `yaml:"pending_max"`
	ConnectRate   int           `yaml:"connect_rate"`
	AddressRate   int           `yaml:"address_rate"`
	AddressBurst  int           `yaml:"address_burst"`
	AuthTimeout   time.Duration `yaml:"auth_timeout"`
	Ping          time.Duration `yaml:"ping"`
	DeadAfter     time.Duration `yaml:"dead_after"`
	Frame         int           `yaml:"frame"`
	SendBuffer    int           `yaml:"send_buffer"`
	WriteTimeout  time.Duration `yaml:"write_timeout"`
	Rate          int           `yaml:"rate"`
	Burst         int           `yaml:"burst"`
	EpochBatch    int           `yaml:"epoch_batch"`
	EpochInterval time.Duration `yaml:"epoch_interval"`
	WantWithin    time.Duration `yaml:"want_within"`
	AuthFails     int           `yaml:"auth_fails"`
	AuthBlock     time.Duration `yaml:"auth_block"`
	AckTimeout    time.Duration `yaml:"ack_timeout"`
	DownSweep     time.Duration `yaml:"down_sweep"`
}

// People bounds sign-in.
type People struct {
	SessionMax  time.Duration `yaml:"session_max"`
	SessionIdle time.Duration `yaml:"session_idle"`
	RequireTOTP bool          `yaml:"require_totp"`
	WrongMax    int           `yaml:"wrong_max"`
	WrongWindow time.Duration `yaml:"wrong_window"`
	AddressMax  int           `yaml:"address_max"`
	Argon2MiB   int           `yaml:"argon2_mib"`
	Argon2Time  int           `yaml:"argon2_time"`
}

// Fleet bounds devices.
type Fleet struct {
	DemoUnit     string        `yaml:"demo_unit"`
	ClaimLife    time.Duration `yaml:"claim_life"`
	ClaimsPerMin int           `yaml:"claims_per_min"`
	Grace        time.Duration `yaml:"grace"`
	Sweep        time.Duration `yaml:"sweep"`
	CredLife     time.Duration `yaml:"cred_life"`
	EventsKept   int           `yaml:"events_kept"`
	Audit        time.Duration `yaml:"audit"`
	LinksKept    time.Duration `yaml:"links_kept"`

	CommandsOpen  int           `yaml:"commands_open"`
	CommandsKept  time.Duration `yaml:"commands_kept"`
	CommandSilent time.Duration `yaml:"command_silent"`
	FilesKept     time.Duration `yaml:"files_kept"`
	FileMax       int           `yaml:"file_max"`
}

// Queue holds the promises of the waiting line.
type Queue struct {
	OfferLease     time.Duration `yaml:"offer_lease"`
	Ring           time.Duration `yaml:"ring"`
	Missed         time.Duration `yaml:"missed"`
	Grace          time.Duration `yaml:"grace"`
	Parked         time.Duration `yaml:"parked"`
	WrapUp         time.Duration `yaml:"wrap_up"`
	SeatLost       time.Duration `yaml:"seat_lost"`
	TicketsPerHour int           `yaml:"tickets_per_hour"`
	MatchEvery     time.Duration `yaml:"match_every"`
}

// Room holds the clocks of a session.
type Room struct {
	Grace     time.Duration `yaml:"grace"`
	Suspended time.Duration `yaml:"suspended"`
	Capture   time.Duration `yaml:"capture"`
	Invite    time.Duration `yaml:"invite"`
}

// Media is the SFU.
type Media struct {
	ListenUDP     []string      `yaml:"listen_udp"`
	PublicIPs     []string      `yaml:"public_ips"`
	Profile       string        `yaml:"profile"`
	MaxRooms      int           `yaml:"max_rooms"`
	SpecSweep     time.Duration `yaml:"spec_sweep"`
	LeaseTTL      time.Duration `yaml:"lease_ttl"`
	LeaseRenew    time.Duration `yaml:"lease_renew"`
	FrozenMax     time.Duration `yaml:"frozen_max"`
	DrainDeadline time.Duration `yaml:"drain_deadline"`
	DrainOverlap  time.Duration `yaml:"drain_overlap"`
	DrainSettle   time.Duration `yaml:"drain_settle"`
}

// Texts says how texts reach people's phones.
type Texts struct {
	Gateway string `yaml:"gateway"`
	Token   string `yaml:"token"`
}

// PDF says in which fonts papers are set.
type PDF struct {
	Fonts []string `yaml:"fonts"`
	Bold  string   `yaml:"bold"`
}

// Handoff says where finished packages go and with what they are sealed.
type Handoff struct {
	Target    string        `yaml:"target"`
	CAFile    string        `yaml:"ca_file"`
	DeadAfter time.Duration `yaml:"dead_after"`
	Seal      string        `yaml:"seal"`
}

// Embedded is the Handoff.Target of this program's own case store.
const Embedded = "embedded"

// Cases says from whom the case store takes packages beside this program itself.
type Cases struct {
	Senders  []Sender `yaml:"senders"`
	SealKeys string   `yaml:"seal_keys"`
}

// Sender is an installation that may deliver packages; heyi admin handoff key prints its line.
type Sender struct {
	Name string `yaml:"name"`
	KID  string `yaml:"kid"`
	Alg  string `yaml:"alg"`
	Pub  string `yaml:"pub"`
}

// The roles of a process.
const (
	RoleAll   = "all"   // everything, the case store included
	RoleCases = "cases" // the case store alone
)

// Log says what is logged.
type Log struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

// Default returns the configuration of one node on the embedded database, loopback only.
func Default() Config {
	return Config{
		Data: "data", Roles: []string{RoleAll},
		HTTP:  HTTP{Listen: "127.0.0.1:8480", BodyLimit: 1 << 20, UploadLimit: 25 << 20, MetricsEvery: 15 * time.Second, DrainTimeout: 20 * time.Second},
		Store: Store{Driver: "sqlite", Readers: 4, BatchMax: 256, ClockEvery: 5 * time.Second},
		Coord: Coord{
			Driver: CoordMemory, Prefix: "heyi", Timeout: 300 * time.Millisecond, Beat: time.Second, BreakAfter: 3, BreakFor: time.Second,
			Sweep: 5 * time.Second,
		},
		Link: Link{
			PendingMax: 2000, ConnectRate: 1000, AddressRate: 200, AddressBurst: 2000, AuthTimeout: 10 * time.Second,
			Ping: 45 * time.Second, DeadAfter: 100 * time.Second, Frame: 64 << 10, SendBuffer: 256 << 10,
			WriteTimeout: 10 * time.Second, Rate: 20, Burst: 60, EpochBatch: 200, EpochInterval: 20 * time.Millisecond,
			WantWithin: 30 * time.Second, AuthFails: 200, AuthBlock: 15 * time.Minute, AckTimeout: 30 * time.Second, DownSweep: 5 * time.Second,
		},
		People: People{
			SessionMax: 12 * time.Hour, SessionIdle: time.Hour, RequireTOTP: true, WrongMax: 5, WrongWindow: 10 * time.Minute,
			AddressMax: 50, Argon2MiB: 64, Argon2Time: 3,
		},
		Fleet: Fleet{
			DemoUnit: "150430206201", ClaimLife: 10 * time.Minute, ClaimsPerMin: 30, Grace: time.Minute, Sweep: 5 * time.Second,
			CredLife: 180 * 24 * time.Hour, EventsKept: 200, Audit: 10 * time.Minute, LinksKept: 400 * 24 * time.Hour,
			CommandsOpen: 1000, CommandsKept: 180 * 24 * time.Hour, CommandSilent: 7 * 24 * time.Hour, FilesKept: 30 * 24 * time.Hour, FileMax: 4 << 20,
		},
		Queue: Queue{
			OfferLease: 15 * time.Second, Ring: 30 * time.Second, Missed: 10 * time.Minute, Grace: 2 * time.Minute,
			Parked: 30 * time.Minute, WrapUp: 2 * time.Minute, SeatLost: time.Minute, TicketsPerHour: 10,
			MatchEvery: 500 * time.Millisecond,
		},
		Room: Room{Grace: 2 * time.Minute, Suspended: 10 * time.Minute, Capture: 10 * time.Minute, Invite: 24 * time.Hour},
		Media: Media{
			ListenUDP: []string{"127.0.0.1:7882"}, Profile: "auto", MaxRooms: 100, SpecSweep: 500 * time.Millisecond,
			LeaseTTL: 4 * time.Second, LeaseRenew: time.Second, FrozenMax: 10 * time.Minute, DrainDeadline: 10 * time.Minute,
			DrainOverlap: 5 * time.Second, DrainSettle: 10 * time.Second,
		},
		Log:     Log{Level: "info", Format: "text"},
		Handoff: Handoff{Target: Embedded, DeadAfter: 24 * time.Hour, Seal: "ed25519"},
		Cases:   Cases{Senders: []Sender{}},
	}
}

// Load reads the file (none when path is empty) over Default, then the variables of env ("HEYI_HTTP_LISTEN=..."),
// and validates. Unknown keys, in the file or among HEYI_*, are errors that name the key.
func Load(path string, env []string) (Config, error) {
	c := Default()
	if path != "" {
		b, err := os.ReadFile(path) //nolint:gosec // named by the operator
		if err != nil {
			return c, fmt.Errorf("config file: %w", err)
		}
		dec := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict(), yaml.DisallowUnknownField())
		if err := dec.Decode(&c); err != nil {
			return c, fmt.Errorf("config file %s: %w", path, err)
		}
	}
	if err := overlay(&c, env); err != nil {
		return c, err
	}
	if c.Node.Name == "" {
		name, err := os.Hostname()
		if err != nil || name == "" {
			name = "heyi"
		}
		c.Node.Name = name
	}
	return c, c.Validate()
}

// reserved are HEYI_ variables that are not configuration keys.
func reserved(name string) bool {
	switch name {
	case "HEYI_MASTER_KEY", "HEYI_CONFIG":
		return true
	}
	return strings.HasPrefix(name, "HEYI_TEST_")
}

func overlay(c *Config, env []string) error {
	fields := map[string]reflect.Value{}
	var walk func(prefix string, v reflect.Value)
	walk = func(prefix string, v reflect.Value) {
		for i := range v.NumField() {
			name := prefix + "_" + strings.ToUpper(v.Type().Field(i).Tag.Get("yaml"))
			if v.Field(i).Kind() == reflect.Struct {
				walk(name, v.Field(i))
				continue
			}
			fields[name] = v.Field(i)
		}
	}
	walk("HEYI", reflect.ValueOf(c).Elem())
	for _, kv := range env {
		name, val, ok := strings.Cut(kv, "=")
		if !ok || !strings.HasPrefix(name, "HEYI_") || reserved(name) {
			continue
		}
		f, known := fields[name]
		if !known {
			return fmt.Errorf("%s: no such setting; heyi config lists them", name)
		}
		if err := set(f, val); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func set(f reflect.Value, val string) error {
	switch f.Interface().(type) {
	case time.Duration:
		d, err := time.ParseDuration(val)
		if err != nil {
			return fmt.Errorf("want a duration like 15s: %w", err)
		}
		f.SetInt(int64(d))
	case string:
		f.SetString(val)
	case bool:
		b, err := strconv.ParseBool(val)
		if err != nil {
			return errors.New("want true or false")
		}
		f.SetBool(b)
	case int:
		n, err := strconv.Atoi(val)
		if err != nil {
			return errors.New("want a whole number")
		}
		f.SetInt(int64(n))
	case []string:
		var list []string
		for s := range strings.SplitSeq(val, ",") {
			if s = strings.TrimSpace(s); s != "" {
				list = append(list, s)
			}
		}
		f.Set(reflect.ValueOf(list))
	default:
		return fmt.Errorf("cannot be set by a variable (%s)", f.Type())
	}
	return nil
}

// Validate returns the first setting that cannot work, in words that say what to do.
func (c *Config) Validate() error {
	if _, _, err := net.SplitHostPort(c.HTTP.Listen); err != nil {
		return fmt.Errorf("http.listen %q: want host:port", c.HTTP.Listen)
	}
	if c.Store.Driver != "sqlite" && c.Store.Driver != "postgres" {
		return fmt.Errorf("store.driver %q: want sqlite or postgres", c.Store.Driver)
	}
	if c.Store.Driver == "postgres" && c.Store.DSN == "" {
		return errors.New("store.dsn: postgres needs a URL, postgres://user@host/db")
	}
	if c.Data == "" {
		return errors.New("data: name a folder that this program may write")
	}
	if len(c.Roles) != 1 || c.Roles[0] != RoleAll && c.Roles[0] != RoleCases {
		return fmt.Errorf("roles %q: want all or cases", c.Roles)
	}
	if err := c.Handoff.validate(); err != nil {
		return err
	}
	if err := c.Coord.validate(); err != nil {
		return err
	}
	for i, s := range c.Cases.Senders {
		if s.Name == "" || s.KID == "" || s.Pub == "" || s.Alg != "ed25519" && s.Alg != "sm2" {
			return fmt.Errorf("cases.senders %d: want name, kid, alg (ed25519 or sm2) and pub, as heyi admin handoff key prints them", i+1)
		}
	}
	if c.HTTP.UploadLimit < 1<<20 {
		return fmt.Errorf("http.upload_limit %d: want at least 1048576 bytes", c.HTTP.UploadLimit)
	}
	if u, err := url.Parse(c.Texts.Gateway); c.Texts.Gateway != "" && (err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http")) {
		return fmt.Errorf("texts.gateway %q: want https://host/path", c.Texts.Gateway)
	}
	if (c.HTTP.CertFile == "") != (c.HTTP.KeyFile == "") {
		return errors.New("http.cert_file and http.key_file: give both or none")
	}
	if c.Media.Profile != "auto" && c.Media.Profile != "e2e" {
		return fmt.Errorf("media.profile %q: want auto or e2e", c.Media.Profile)
	}
	if err := c.Node.validate(); err != nil {
		return err
	}
	if c.Media.LeaseRenew <= 0 || c.Media.LeaseTTL < 3*c.Media.LeaseRenew {
		return errors.New("media.lease_ttl: must be at least three times media.lease_renew, or one late renewal costs all rooms their node")
	}
	if c.Media.MaxRooms < 0 {
		return errors.New("media.max_rooms: want a number, 0 for a node that takes no rooms")
	}
	if len(c.Media.ListenUDP) == 0 {
		return errors.New("media.listen_udp: name at least one address, 127.0.0.1:7882")
	}
	for _, a := range c.Media.ListenUDP {
		host, _, err := net.SplitHostPort(a)
		if err != nil || net.ParseIP(host) == nil || net.ParseIP(host).IsUnspecified() {
			return fmt.Errorf("media.listen_udp %q: want an explicit address and port, 192.0.2.7:7882", a)
		}
	}
	if c.People.RequireTOTP && c.Demo {
		c.People.RequireTOTP = false // demo passwords are random and printed; a second factor would end the walk
	}
	for name, d := range map[string]time.Duration{
		"queue.offer_lease": c.Queue.OfferLease, "queue.ring": c.Queue.Ring, "queue.missed": c.Queue.Missed,
		"queue.grace": c.Queue.Grace, "queue.parked": c.Queue.Parked, "queue.wrap_up": c.Queue.WrapUp,
		"media.spec_sweep": c.Media.SpecSweep, "media.frozen_max": c.Media.FrozenMax, "media.drain_deadline": c.Media.DrainDeadline, "media.drain_overlap": c.Media.DrainOverlap, "media.drain_settle": c.Media.DrainSettle,
		"room.grace": c.Room.Grace, "room.suspended": c.Room.Suspended, "room.capture": c.Room.Capture, "room.invite": c.Room.Invite,
		"link.ping": c.Link.Ping, "link.dead_after": c.Link.DeadAfter, "link.auth_timeout": c.Link.AuthTimeout,
		"http.metrics_every": c.HTTP.MetricsEvery,
		"fleet.audit":        c.Fleet.Audit, "fleet.links_kept": c.Fleet.LinksKept,
		"store.clock_every": c.Store.ClockEvery, "fleet.grace": c.Fleet.Grace, "link.want_within": c.Link.WantWithin, "link.auth_block": c.Link.AuthBlock, "fleet.claim_life": c.Fleet.ClaimLife, "people.session_max": c.People.SessionMax,
		"fleet.commands_kept": c.Fleet.CommandsKept, "fleet.command_silent": c.Fleet.CommandSilent, "fleet.files_kept": c.Fleet.FilesKept,
		"link.ack_timeout": c.Link.AckTimeout, "link.down_sweep": c.Link.DownSweep,
	} {
		if d <= 0 {
			return fmt.Errorf("%s: want a duration above zero", name)
		}
	}
	for name, n := range map[string]int{
		"fleet.events_kept": c.Fleet.EventsKept, "link.auth_fails": c.Link.AuthFails, "fleet.commands_open": c.Fleet.CommandsOpen, "fleet.file_max": c.Fleet.FileMax,
	} {
		if n <= 0 {
			return fmt.Errorf("%s: want a number above zero", name)
		}
	}
	if c.Link.DeadAfter <= c.Link.Ping {
		return errors.New("link.dead_after: must be longer than link.ping")
	}
	return nil
}

func (n Node) validate() error {
	for key, s := range map[string]string{"node.url": n.URL, "node.health": n.Health} {
		u, err := url.Parse(s)
		if s != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || key == "node.url" && strings.Trim(u.Path, "/")+u.RawQuery != "") {
			return fmt.Errorf("%s %q: want the address of this very node, https://g1.example:8480", key, s)
		}
	}
	return nil
}

func (h Handoff) validate() error {
	if h.Target != Embedded {
		u, err := url.Parse(h.Target)
		// without TLS a package would cross the network in the clear
		if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
			return fmt.Errorf("handoff.target %q: want embedded or https://host[:port]; http only on this machine", h.Target)
		}
	}
	if h.Seal != "ed25519" && h.Seal != "sm2" {
		return fmt.Errorf("handoff.seal %q: want ed25519 or sm2", h.Seal)
	}
	if h.DeadAfter <= 0 {
		return errors.New("handoff.dead_after: want a duration above zero")
	}
	return nil
}

func (c Coord) validate() error {
	switch c.Driver {
	case CoordMemory:
		if c.URL != "" {
			return errors.New("coord.url: is for coord.driver redis; set the driver, or leave the address out")
		}
	case CoordRedis:
		if u, err := url.Parse(c.URL); err != nil || u.Host == "" || u.Scheme != "redis" && u.Scheme != "rediss" {
			return errors.New("coord.url: want redis://host:port or rediss://user:password@host:port") // the address may hold a password
		}
		if c.Prefix == "" || strings.ContainsAny(c.Prefix, "{} \t\n") {
			return fmt.Errorf("coord.prefix %q: want a word without spaces and braces, the same on every node", c.Prefix)
		}
	default:
		return fmt.Errorf("coord.driver %q: want memory (one node) or redis (several)", c.Driver)
	}
	for name, d := range map[string]time.Duration{"coord.timeout": c.Timeout, "coord.break_for": c.BreakFor, "coord.sweep": c.Sweep} {
		if d <= 0 {
			return fmt.Errorf("%s: want a duration above zero", name)
		}
	}
	if c.Beat <= c.Timeout {
		return errors.New("coord.beat: must be longer than coord.timeout")
	}
	if c.BreakAfter <= 0 {
		return errors.New("coord.break_after: want a number above zero")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Redacted returns the configuration as YAML without secrets.
func (c Config) Redacted() string {
	if c.HTTP.MetricsToken != "" {
		c.HTTP.MetricsToken = "(set)"
	}
	if c.Texts.Token != "" {
		c.Texts.Token = "(set)"
	}
	if i := strings.Index(c.Store.DSN, "@"); i > 0 {
		c.Store.DSN = "(set)" + c.Store.DSN[i:]
	}
	if i := strings.LastIndex(c.Coord.URL, "@"); i > 0 {
		c.Coord.URL = "(set)" + c.Coord.URL[i:]
	}
	b, err := yaml.Marshal(c)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
