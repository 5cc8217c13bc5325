package store_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"heyi/cases"
	"heyi/gateway/bridge"
	"heyi/gateway/rest"
	"heyi/internal/coord"
	"heyi/internal/coord/memcoord"
	"heyi/internal/ident"
	"heyi/internal/lifecycle"
	"heyi/internal/org"
	"heyi/internal/sign"
	"heyi/mediation"
	"heyi/mediation/agreement"
	"heyi/mediation/agreement/pdf"
	"heyi/mediation/agreement/pdf/pdftest"
	"heyi/mediation/dispute"
	"heyi/mediation/flow"
	"heyi/mediation/handoff"
	"heyi/mediation/parcel"
	"heyi/mediation/partylink"
	"heyi/mediation/session"
	"heyi/people"
	"heyi/store"
	"heyi/store/storetest"
)

// chaosEnv makes this test binary the process that TestHandoffChaos kills; it holds a chaosChild as JSON.
const chaosEnv = "HEYI_TEST_CHAOS_CHILD"

// shortTrials is how often a process is killed in an ordinary run; make chaos-handoff kills 300.
const shortTrials = 12

type chaosChild struct {
	Driver, DSN, Address string
	Base                 int64 // what the clock shows at the start, Unix microseconds
	Fonts                pdf.Config
}

// carrier is what finishes and delivers in the child: everything between the mediator's signature and the receipt, as
// cmd/heyi runs it, without doors.
func carrier(c chaosChild) error {
	ctx := context.Background()
	begun := time.Now()
	now := func() time.Time { return time.UnixMicro(c.Base).UTC().Add(time.Since(begun)) }
	s, err := store.Open(ctx, store.Config{Driver: c.Driver, DSN: c.DSN, MasterKey: []byte("a master key for tests, 32 bytes"), Now: now})
	if err != nil {
		return err
	}
	units, err := s.Units(ctx)
	if err != nil {
		return err
	}
	tree, err := org.NewTree(units)
	if err != nil {
		return err
	}
	days, err := org.Holidays()
	if err != nil {
		return err
	}
	renderer, err := pdf.New(c.Fonts)
	if err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	nudges := memcoord.New(now)
	sender := ownSender(s)
	dockets := flow.NewDockets(flow.DocketDeps{
		Store: saying{DocketStore: s}, Nudges: nudges, Tree: tree, Calendar: days, Secrets: partylink.NewSecrets(make([]byte, 32)),
		Rooms:  session.NewExecutor(session.ExecutorDeps{Store: s, Engine: newEngine(), Nudges: nudges, Node: testNode, Now: now, Logger: log}),
		Reauth: people.NewService(people.Config{}, people.Deps{Store: s, Limiter: nudges, Now: now}),
		Render: renderer.Render, SealKey: s.SealKey, PublicURL: "https://heyi.example", TZ: time.FixedZone("CST", 8*3600), Now: now, Logger: log,
	})
	intake := embedded(s, now)
	worker := handoff.NewWorker(handoff.Deps{
		Outbox: saying{Outbox: s}, Embedded: sayingStore{intake}, Remote: sayingStore{&handoff.Remote{Address: c.Address, Client: &http.Client{}}}, Address: c.Address,
		Sender: sender, Seal: s.SealKey, Render: renderer.Render, Nudges: nudges, Node: testNode, TZ: time.UTC, Now: now, Logger: log, Every: 5 * time.Millisecond,
		Limits: handoff.Limits{First: 5 * time.Millisecond, Most: 50 * time.Millisecond, Dead: 24 * time.Hour, Lease: time.Minute, Try: 250 * time.Millisecond},
	})
	ctx, done := context.WithCancel(ctx)
	defer done()
	var g lifecycle.Group
	g.Add("finisher", (&flow.Finisher{Dockets: dockets, Every: 5 * time.Millisecond}).Run)
	g.Add("packages 1", worker.Run)
	g.Add("packages 2", worker.Run)
	g.Add("idle", func(ctx context.Context) error {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
			open, err2 := s.CountHandoffs(ctx) // first: a package that arrives between the two is the finisher's work
			left, err := s.Unfinished(ctx, 1)
			if err == nil && err2 == nil && len(left) == 0 && open[handoff.Queued]+open[handoff.Sending]+open[handoff.Failed] == 0 {
				done()
				return nil
			}
		}
	})
	if err := g.Run(ctx); err != nil {
		return err
	}
	return s.Close()
}

func ownSender(s *store.Store) func(context.Context) (sign.Key, error) {
	return func(ctx context.Context) (sign.Key, error) {
		k, err := s.Key(ctx, store.KeyHandoff)
		if err != nil {
			return sign.Key{}, err
		}
		return sign.FromSecret(sign.Ed25519, k.KID, k.Secret)
	}
}

func embedded(s *store.Store, now func() time.Time) *cases.Intake {
	return cases.NewIntake(cases.Deps{
		Store: s, TZ: time.UTC, Now: now, SealKeys: s.SealKeys,
		Sender: func(ctx context.Context, kid string) (cases.Sender, bool, error) {
			k, err := ownSender(s)(ctx)
			return cases.Sender{Name: "self", KID: k.KID, Alg: k.Alg, Public: k.Public}, k.KID == kid, err
		},
	})
}

// say tells the parent how far this process is; it may be killed at any of these lines.
func say(stage string) { _, _ = os.Stdout.WriteString(stage + "\n") }

// saying stands before the store and says what is about to happen and what happened.
type saying struct {
	flow.DocketStore
	handoff.Outbox
}

func (s saying) ChangeDocket(ctx context.Context, cmd mediation.Command, ref flow.DocketRef, fn func(*flow.Docket) error) (flow.DocketChange, error) {
	say("finalise " + cmd.Name)
	c, err := s.DocketStore.ChangeDocket(ctx, cmd, ref, fn)
	say("finalised " + cmd.Name)
	return c, err
}

func (s saying) ClaimHandoff(ctx context.Context, node string, now int64, lease time.Duration) (handoff.Row, bool, error) {
	r, ok, err := s.Outbox.ClaimHandoff(ctx, node, now, lease)
	if ok {
		say("claimed")
	}
	return r, ok, err
}

func (s saying) HandoffMade(ctx context.Context, cmd mediation.Command, r handoff.Row, node string, m handoff.Made) error {
	say("make")
	err := s.Outbox.HandoffMade(ctx, cmd, r, node, m)
	say("made")
	return err
}

func (s saying) SettleHandoff(ctx context.Context, cmd mediation.Command, o handoff.Outcome) ([]coord.Nudge, error) {
	say("settle")
	n, err := s.Outbox.SettleHandoff(ctx, cmd, o)
	say("settled")
	return n, err
}

type sayingStore struct{ handoff.CaseStore }

func (s sayingStore) Put(ctx context.Context, r parcel.Request) (parcel.Receipt, error) {
	say("put")
	receipt, err := s.CaseStore.Put(ctx, r)
	say("answered")
	return receipt, err
}

// moody is the door of another installation that answers as networks do: late, twice, wrong, not at all.
type moody struct {
	mu   sync.Mutex
	rng  *rand.Rand
	door http.Handler
	did  map[string]int
}

func (m *moody) mood() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	mood := []string{"well", "well", "well", "well", "late", "twice", "deaf", "mute", "garbled", "broken", "other"}[m.rng.IntN(11)]
	m.did[mood]++
	return mood
}

func (m *moody) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // killed in the middle of its request
	}
	through := func() *httptest.ResponseRecorder { //nolint:contextcheck // what went through stays, whoever waits for the answer
		q := r.Clone(context.WithoutCancel(r.Context()))
		q.Body = io.NopCloser(bytes.NewReader(body))
		rec := httptest.NewRecorder()
		m.door.ServeHTTP(rec, q)
		return rec
	}
	mood := m.mood()
	if mood == "deaf" { // the line breaks before anything arrives
		panic(http.ErrAbortHandler)
	}
	rec := through()
	switch mood {
	case "late": // the answer comes when nobody waits any more
		<-r.Context().Done()
	case "twice":
		rec = through()
	case "mute": // the line breaks before the answer
		panic(http.ErrAbortHandler)
	case "garbled":
		rec.Body = bytes.NewBufferString(`{"receipt_no":`)
	case "broken":
		rec = httptest.NewRecorder()
		rec.WriteHeader(http.StatusBadGateway)
	case "other": // the receipt of somebody else
		rec.Body = bytes.NewBufferString(`{"receipt_no":"R-1","digest":"` + strings.Repeat("0", 64) + `","delivery_id":"x"}`)
	}
	maps.Copy(w.Header(), rec.Header())
	w.Header().Del("Content-Length")
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes())
}

// TestHandoffChaos kills the process that finishes and delivers by SIGKILL at a random moment between the mediator's
// signature and the verified receipt, again and again, while the receiver answers late, twice or wrong. Every dispute
// becomes exactly one case there, every consultation one here, and no number is lost (domain.md D12).
//
//	HEYI_TEST_TRIALS   how many kills in all; HEYI_TEST_SEED  repeats the choices of a run
func TestHandoffChaos(t *testing.T) {
	t.Parallel()
	trials, seed := shortTrials, uint64(time.Now().UnixNano())
	if v, err := strconv.Atoi(os.Getenv("HEYI_TEST_TRIALS")); err == nil {
		trials = v
	}
	if v, err := strconv.ParseUint(os.Getenv("HEYI_TEST_SEED"), 10, 64); err == nil {
		seed = v
	}
	t.Logf("SEED=%d TRIALS=%d", seed, trials)
	engines := map[string]func(testing.TB) store.Config{store.SQLite: storetest.SQLiteConfig, store.Postgres: storetest.PostgresConfig}
	for i, driver := range slices.Sorted(maps.Keys(engines)) {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			c := newChaos(t, engines[driver], seed+uint64(i))
			for c.kills < trials/2 {
				c.round(trials/2 - c.kills)
			}
			c.check()
			t.Logf("%d kills at %v; the receiver was %v", c.kills, c.at, c.door.did)
		})
	}
}

type chaos struct {
	*house

	rng      *rand.Rand
	door     *moody
	receiver *store.Store
	url      string
	fonts    pdf.Config
	kills    int
	at       map[string]int // kills by the line before them
	disputes []string
	consults []string
}

func newChaos(t *testing.T, config func(testing.TB) store.Config, seed uint64) *chaos {
	t.Helper()
	h := newHouse(t, config(t))
	c := &chaos{house: h, rng: rand.New(rand.NewPCG(seed, 1)), fonts: pdftest.Fonts(t), at: map[string]int{}} //nolint:gosec // chooses when to kill
	rc := config(t)
	rc.Now = h.clock.Now
	c.receiver = storetest.Open(t, rc)
	seeds, err := org.Chifeng()
	h.ok(err)
	_, err = c.receiver.SeedUnits(t.Context(), seeds)
	h.ok(err)
	key, err := ownSender(h.store)(t.Context())
	h.ok(err)
	intake := cases.NewIntake(cases.Deps{
		Store: c.receiver, TZ: time.UTC, Now: h.clock.Now, SealKeys: h.store.SealKeys,
		Sender: func(_ context.Context, kid string) (cases.Sender, bool, error) {
			return cases.Sender{Name: "county", KID: key.KID, Alg: key.Alg, Public: key.Public}, kid == key.KID, nil
		},
	})
	api, err := rest.New(rest.Deps{Logger: slog.New(slog.DiscardHandler), Now: h.clock.Now}, rest.Intake{Intake: intake})
	h.ok(err)
	c.door = &moody{rng: rand.New(rand.NewPCG(seed, 2)), door: bridge.New(api.App, bridge.Config{Limit: api.BodyLimit}), did: map[string]int{}} //nolint:gosec // chooses how to fail
	srv := httptest.NewServer(c.door)
	t.Cleanup(srv.Close)
	c.url = srv.URL
	return c
}

// round brings one dispute to the mediator's signature, kills what finishes and delivers it at most three times, lets it
// end, and closes the consultation that led there: its package goes out with the next round's.
func (c *chaos) round(most int) {
	c.t.Helper()
	k := newTalk(c.t.(*testing.T), c.house) //nolint:forcetypeassert // newHouse got it
	k.together(mediation.Contract)
	digest := k.freeze().Agreement.Digest
	k.readAll(k.a)
	k.readAll(k.b)
	over, err := k.dockets.Handover(c.ctx(), k.a, flow.KeyBody{Key: newKey()})
	c.ok(err)
	found, err := c.store.FindLink(c.ctx(), partylink.Secret{Hash: partylink.Hash(strings.TrimPrefix(over.URL, "https://heyi.example/s/"))})
	c.ok(err)
	phone := flow.By{Actor: mediation.Actor{Kind: mediation.ActorParty, ID: string(found.ID)}, Link: found.ID}
	_, err = k.dockets.Redeem(c.ctx(), mediation.Command{Name: "link.redeem", Actor: phone.Actor, At: c.now()}, found.ID, ident.New[string]())
	c.ok(err)
	c.ok(k.sign(phone))
	c.ok(k.sign(k.b))
	v, err := k.dockets.MediatorSign(c.ctx(), k.staff, k.id, flow.MediatorSignBody{Key: newKey(), Digest: digest, Password: secretWords, Mark: k.mark})
	c.ok(err)
	if v.Agreement.State != agreement.MediatorSigned {
		c.t.Fatalf("%s", v.Agreement.State)
	}
	begun := time.Now()
	for range min(3, most) {
		// lines of an undisturbed run: two for each command of the finisher, seven for each package
		if c.run(begun, c.rng.IntN(22)) {
			break
		}
	}
	for !c.run(begun, -1) {
		c.t.Fatal("the process ended with packages left")
	}
	if v = k.view(); v.State != dispute.HandedOff {
		c.t.Fatalf("the dispute is %s, its package %+v", v.State, v.Handoff)
	}
	c.ok(c.control(c.lawyer, k.session, flow.OpEnd))
	c.ok(c.flow.WrapUp(c.ctx(), c.cmd("session.wrap_up", k.staff.Actor, newKey()), c.lawyer, k.session, "served"))
	c.disputes, c.consults = append(c.disputes, k.id), append(c.consults, string(k.session))
	c.clock.Advance(11 * time.Minute)
}

// run starts the process and kills it after so many of its lines and a moment more, -1 = never. done says that it ended
// by itself with nothing left to do.
func (c *chaos) run(begun time.Time, lines int) (done bool) {
	c.t.Helper()
	child, err := json.Marshal(chaosChild{
		Driver: c.cfg.Driver, DSN: c.cfg.DSN, Address: c.url, Base: c.clock.Now().Add(time.Since(begun)).UnixMicro(), Fonts: c.fonts,
	})
	c.ok(err)
	ctx, cancel := context.WithTimeout(c.ctx(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0]) //nolint:gosec // this test binary itself
	cmd.Env = append(os.Environ(), chaosEnv+"="+string(child))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	c.ok(err)
	c.ok(cmd.Start())
	last := "start"
	scan, killed := bufio.NewScanner(out), false
	for n := 0; scan.Scan(); n++ {
		if killed {
			continue
		}
		last = scan.Text()
		if n == lines {
			<-time.After(time.Duration(c.rng.Int64N(int64(3 * time.Millisecond))))
			c.ok(cmd.Process.Kill())
			killed = true
		}
	}
	err = cmd.Wait()
	switch {
	case killed:
		c.kills++
		c.at[last]++
		return false
	case err != nil:
		c.t.Fatalf("the process failed: %v\n%s", err, stderr.String())
	}
	return true
}

// check looks at both stores after everything.
func (c *chaos) check() {
	c.t.Helper()
	begun := time.Now()
	if !c.run(begun, -1) { // the consultation of the last round
		c.t.Fatal("packages are left")
	}
	count := func(s *store.Store, query string, args ...any) int {
		c.t.Helper()
		var n int
		c.ok(s.One(c.ctx(), query, args, &n))
		return n
	}
	n := len(c.disputes)
	for what, got := range map[string][2]int{
		"packages":                {count(c.store, `SELECT count(*) FROM handoff`), 2 * n},
		"verified packages":       {count(c.store, `SELECT count(*) FROM handoff WHERE state = 'verified'`), 2 * n},
		"cases there":             {count(c.receiver, `SELECT count(*) FROM case_file WHERE kind = 'dossier'`), n},
		"versions there":          {count(c.receiver, `SELECT count(*) FROM case_version`), n},
		"records here":            {count(c.store, `SELECT count(*) FROM case_file WHERE kind = 'consult'`), n},
		"versions here":           {count(c.store, `SELECT count(*) FROM case_version`), n},
		"disputes":                {count(c.store, `SELECT count(*) FROM dispute WHERE state = 'handed_off'`), n},
		"the last dispute number": {count(c.store, `SELECT max(serial) FROM dispute`), n},
		"dispute numbers":         {count(c.store, `SELECT count(DISTINCT serial) FROM dispute`), n},
	} {
		if got[0] != got[1] {
			c.t.Errorf("%s: %d, want %d", what, got[0], got[1])
		}
	}
	for _, s := range []*store.Store{c.store, c.receiver} {
		drawn := count(s, `SELECT coalesce(sum(last), 0) FROM receipt_counter`)
		given := count(s, `SELECT count(DISTINCT receipt_no) FROM case_version`)
		if drawn != given || given != n {
			c.t.Errorf("%d receipt numbers drawn, %d given", drawn, given)
		}
	}
	for _, id := range c.disputes {
		r, _, err := c.store.HandoffOf(c.ctx(), id)
		c.ok(err)
		if got := count(c.receiver, `SELECT count(*) FROM case_version JOIN case_file ON case_file.id = case_version.case_id
			WHERE case_file.subject = $1 AND case_version.delivery_id = $2 AND case_version.receipt_no = $3`, id, r.DeliveryID, r.ReceiptNo); got != 1 {
			c.t.Errorf("the receipt %s of %s is not the receiver's", r.ReceiptNo, id)
		}
		if n := count(c.store, `SELECT count(*) FROM event WHERE aggregate = 'dispute' AND agg_id = $1 AND type = 'agreement.effective'`, id); n != 1 {
			c.t.Errorf("%s took effect %d times", id, n)
		}
		c.chain("dispute", id)
		c.chain("handoff", string(r.ID))
	}
	for _, id := range c.consults {
		r, _, err := c.store.HandoffOf(c.ctx(), id)
		c.ok(err)
		c.chain("handoff", string(r.ID))
	}
}

func chaosMain(text string) int {
	var c chaosChild
	err := json.Unmarshal([]byte(text), &c)
	if err == nil {
		err = carrier(c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
