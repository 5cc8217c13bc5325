package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"heyi/devices"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/internal/org"
)

// SampleNode is the node that holds the links of made-up devices. It has no lease, so nobody takes it for lost.
const SampleNode = "sample"

// Sample says how large a made-up fleet is.
type Sample struct {
	Size int    // devices
	Seed uint64 // of kinds, places and states: the same fleet again
	Now  time.Time
}

// SampleFleet fills an installation with made-up devices over all its villages and townships: the mix of kinds, engines and
// states of a prefecture, one township cut off, and a day of link history. Tests, benches and the load generator call it;
// it refuses an installation that has devices of its own.
//
// Errors: fault.Conflict "sample.not_empty"; fault.Precondition "sample.no_units".
func (s *Store) SampleFleet(ctx context.Context, c Sample) error {
	units, err := s.Units(ctx)
	if err != nil {
		return err
	}
	units = slices.DeleteFunc(units, func(u org.Unit) bool { return u.Level != org.Village && u.Level != org.Township })
	if len(units) == 0 {
		return fault.New(fault.Precondition, "sample.no_units")
	}
	var own int
	if err := s.read(ctx).one(`SELECT COUNT(*) FROM device WHERE NOT simulated`, nil, &own); err != nil {
		return err
	}
	if own > 0 {
		return fault.New(fault.Conflict, "sample.not_empty")
	}
	g := &sampler{rng: rand.New(rand.NewPCG(c.Seed, 15)), units: units, now: c.Now} //nolint:gosec // a fleet for benches is no secret
	for from := 0; from < c.Size; from += sampleCommit {
		list := make([]sampled, 0, sampleCommit)
		for i := from; i < min(from+sampleCommit, c.Size); i++ {
			list = append(list, g.device(i))
		}
		err := s.write(ctx, func(t *tx) error {
			for chunk := range slices.Chunk(list, sampleChunk) {
				if err := t.sample(chunk); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if _, ok := s.dialect.(postgresDialect); !ok {
		return nil
	}
	// What autovacuum does in a living installation within a minute of such a change.
	for _, table := range []string{"device", "device_link", "device_session", "fleet_count", "org_closure"} {
		if _, err := s.db.ExecContext(ctx, "VACUUM ANALYZE "+table); err != nil {
			return s.dialect.fault(err)
		}
	}
	return nil
}

// How many devices one statement and one transaction add.
const (
	sampleChunk  = 256
	sampleCommit = 16 * sampleChunk
)

// sampled is one made-up device with its presence and its day.
type sampled struct {
	devices.Device

	state  devices.State
	chip   devices.Chip
	cause  string
	since  int64
	seen   int64
	appVer string
	engine string
	spans  []linkEnd
}

type sampler struct {
	rng   *rand.Rand
	units []org.Unit
	now   time.Time
}

// model is one make of terminal with its engine.
type model struct{ name, engine, serial string }

//nolint:gochecknoglobals // tables
var (
	sampleBoxes  = []model{{"fleetsim-A16", "Chrome/66.0", "C8"}, {"fleetsim-B32", "Chrome/80.0", "B2"}, {"fleetsim-B32", "Chrome/101.0", "B2"}, {"fleetsim-A8", "Chrome/58.0", "C8"}, {"fleetsim-A16", "Chrome/69.0", "C8"}}
	sampleKiosks = []model{{"fleetsim-K27", "Chrome/108.0", "K1"}, {"fleetsim-K32", "Chrome/120.0", "K2"}}
	sampleTabs   = []model{{"fleetsim-P10", "Chrome/120.0", "T3"}}
	sampleApps   = []string{"2.4.1", "2.4.1", "2.4.1", "2.4.0", "2.3.8", "2.1.7"}
	sampleCauses = []string{"network", "network", "power", "user_off", "unknown"}
)

// cutOff is the township that has no line in a made-up fleet: 萨力巴乡 of 敖汉旗.
const cutOff = "150430206"

func (g *sampler) device(i int) sampled {
	r := g.rng
	u := g.units[r.IntN(len(g.units))]
	d := sampled{Device: devices.Device{
		ID: ident.New[ident.DeviceID](), UnitID: u.ID, KeyStore: devices.SoftKey, Alg: devices.Ed25519, Life: devices.Active, Simulated: true, At: g.ago(90 * 24 * time.Hour),
	}}
	var m model
	place := strings.TrimSuffix(u.Name, "（示例）")
	switch n := r.IntN(100); {
	case n < 62:
		m, d.Kind, d.Class, d.Name = pick(r, sampleBoxes), devices.STB, devices.Home, fmt.Sprintf("%s %d 组 %02d 号盒", place, 1+r.IntN(12), 1+r.IntN(60))
	case n < 80:
		m, d.Kind, d.Class, d.Name = pick(r, sampleBoxes), devices.STB, devices.Public, fmt.Sprintf("%s 村委会大厅 %d", place, 1+r.IntN(6))
	case n < 92:
		m, d.Kind, d.Class, d.Name = pick(r, sampleKiosks), devices.Kiosk, devices.Public, fmt.Sprintf("%s 司法所 终端 %d", place, 1+r.IntN(9))
	default:
		m, d.Kind, d.Class, d.Name = pick(r, sampleTabs), devices.Tablet, devices.Work, fmt.Sprintf("JIPad %s %d", place, 1+r.IntN(20))
	}
	d.Model, d.Serial, d.engine, d.appVer = m.name, fmt.Sprintf("%s-%05d", m.serial, i), m.engine, pick(r, sampleApps)
	g.condition(&d, strings.HasPrefix(u.Code, cutOff))
	return d
}

// condition gives a device its life, presence and day.
func (g *sampler) condition(d *sampled, cut bool) {
	r, at := g.rng, g.now.UnixMicro()
	up := func() {
		d.state, d.since, d.seen = devices.Connected, g.ago(20*time.Hour), g.ago(9*time.Minute)
	}
	down := func(least, most time.Duration, cause string) {
		d.state, d.cause = devices.Offline, cause
		d.since = at - least.Microseconds() - r.Int64N((most - least).Microseconds())
		d.seen = d.since
	}
	switch n := r.IntN(1000); {
	case cut && n < 950:
		down(14*time.Minute, 15*time.Minute, "network")
	case n < 870:
		up()
	case n < 955:
		down(time.Minute, 6*24*time.Hour, pick(r, sampleCauses))
	case n < 960:
		d.state, d.cause, d.since, d.seen = devices.Suspect, "network", g.ago(30*time.Second), g.ago(time.Minute)
	case n < 978:
		down(31*24*time.Hour, 60*24*time.Hour, pick(r, sampleCauses))
	case n < 988:
		down(time.Hour, 24*time.Hour, "")
		d.Life, d.engine, d.appVer, d.seen = devices.Pending, "", "", 0
	case n < 994:
		down(time.Hour, 24*time.Hour, "disabled")
		d.Life = devices.Disabled
	case n < 995:
		down(time.Hour, 24*time.Hour, "quarantined")
		d.Life = devices.Quarantined
	default:
		down(time.Hour, 24*time.Hour, "retired")
		d.Life = devices.Retired
	}
	d.chip = devices.ChipOf(d.Life, d.state, d.Class, time.UnixMicro(d.since), g.now)
	if d.Life != devices.Active || d.chip == devices.ChipLost {
		return
	}
	// The day before the present state, newest first: each link began soon after the one before it was lost.
	end := d.since
	if d.state == devices.Connected {
		end -= r.Int64N(time.Hour.Microseconds())
	}
	for epoch := int64(3); epoch >= 1 && at-end < (24*time.Hour).Microseconds(); epoch-- {
		from := end - r.Int64N((14 * time.Hour).Microseconds())
		cause := pick(r, sampleCauses)
		if epoch == 3 && d.cause != "" {
			cause = d.cause
		}
		d.spans = append(d.spans, linkEnd{device: d.ID, epoch: epoch, node: SampleNode, from: from, to: end, cause: cause, bytes: r.Int64N(4 << 20)})
		end = from - r.Int64N((3 * time.Hour).Microseconds())
	}
}

func (g *sampler) ago(most time.Duration) int64 {
	return g.now.UnixMicro() - g.rng.Int64N(most.Microseconds())
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// sample writes one chunk by the same tables, keys and counters as enrolment and presence do.
func (t *tx) sample(list []sampled) error {
	moved := tally{}
	var spans []linkEnd
	for _, d := range list {
		moved[cell{d.UnitID, d.Kind, d.Class, d.chip}]++
		spans = append(spans, d.spans...)
	}
	rows, args := values("ttttttttttti", 1, len(list), func(i int) []any {
		d := list[i]
		return []any{d.ID, d.UnitID, d.Serial, "", d.Alg, d.KeyStore, d.Kind, d.Class, d.Model, d.Name, d.Life, d.At}
	})
	_, err := t.exec(`INSERT INTO device (id, unit_id, serial, key_sha256, alg, key_store, kind, class, model, name, life, at, place, simulated)
		SELECT v.column1, v.column2, v.column3, v.column4, v.column5, v.column6, v.column7, v.column8, v.column9, v.column10, v.column11, v.column12, '', TRUE
		FROM `+rows+` AS v WHERE v.column1 <> ''`, args...)
	if err != nil {
		return err
	}
	rows, args = values("ttttttttttttiiit", 1, len(list), func(i int) []any {
		d := list[i]
		return []any{
			d.ID, d.UnitID, d.state, d.cause, d.chip, d.Kind, d.Class, d.Model, string(devices.TierOf(d.engine)), devices.Key(d.Name), devices.Key(d.Serial),
			d.appVer, d.since, d.seen, int64(len(d.spans) + 1), d.engine,
		}
	})
	_, err = t.exec(`INSERT INTO device_link (device_id, unit_id, state, cause, chip, prev_chip, kind, class, model, tier, name_key, serial_key,
			app_ver, since_at, seen_at, linked_at, epoch, engine, node, inc, admit, suspect_until_at)
		SELECT v.column1, v.column2, v.column3, v.column4, v.column5, v.column5, v.column6, v.column7, v.column8, v.column9, v.column10, v.column11,
			v.column12, v.column13, v.column14, v.column13, v.column15, v.column16, '`+SampleNode+`', 1, v.column5 IN ('online', 'suspect', 'offline', 'lost'),
			CASE WHEN v.column3 = 'suspect' THEN v.column13 + 86400000000 ELSE 0 END
		FROM `+rows+` AS v WHERE v.column1 <> ''`, args...)
	if err != nil {
		return err
	}
	rows, args = values("tt", 1, len(list), func(i int) []any { return []any{list[i].ID, ident.New[string]()} })
	if _, err := t.exec(`INSERT INTO device_stream (device_id, down_stream) SELECT v.column1, v.column2 FROM `+rows+` AS v WHERE v.column1 <> ''`, args...); err != nil {
		return err
	}
	return errors.Join(t.linksEnded(spans), t.count(0, moved))
}
