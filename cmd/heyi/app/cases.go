package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"heyi/cases"
	"heyi/configs"
	"heyi/gateway/auth"
	"heyi/gateway/link"
	"heyi/gateway/rest"
	"heyi/gateway/wire"
	"heyi/internal/ident"
	"heyi/internal/sign"
	"heyi/mediation/handoff"
	"heyi/store"
)

// handoffWorkers is how many packages are on their way at once: one slow receiver does not hold up the others.
const handoffWorkers = 2

// intake makes the door of the case store.
func (n *node) intake() error {
	known, err := senders(n.cfg.Cases.Senders)
	if err != nil {
		return err
	}
	foreign, err := foreignSeals(n.cfg.Cases.SealKeys)
	if err != nil {
		return err
	}
	n.cases = cases.NewIntake(cases.Deps{
		Store: n.store, TZ: n.tz, Now: n.now,
		Sender: func(ctx context.Context, kid string) (cases.Sender, bool, error) {
			if s, ok := known[kid]; ok {
				return s, true, nil
			}
			own, err := n.sender(ctx) // this program itself
			return cases.Sender{Name: "self", KID: own.KID, Alg: own.Alg, Public: own.Public}, own.KID == kid, err
		},
		SealKeys: func(ctx context.Context) (sign.KeyList, error) {
			own, err := n.store.SealKeys(ctx)
			own.Keys = append(own.Keys, foreign.Keys...)
			return own, err //nolint:wrapcheck // a fault keeps its code
		},
	})
	return nil
}

// senders are the installations that may deliver here, by the id of their key.
func senders(list []configs.Sender) (map[string]cases.Sender, error) {
	known := make(map[string]cases.Sender, len(list))
	for _, s := range list {
		pub, err := sign.Bytes(s.Pub)
		if err != nil {
			return nil, fmt.Errorf("cases.senders %s: pub: %w", s.Name, err)
		}
		known[s.KID] = cases.Sender{Name: s.Name, KID: s.KID, Alg: sign.Alg(s.Alg), Public: pub}
	}
	return known, nil
}

// foreignSeals reads the published seal keys of other installations.
func foreignSeals(path string) (sign.KeyList, error) {
	if path == "" {
		return sign.KeyList{}, nil
	}
	b, err := os.ReadFile(path) //nolint:gosec // named by the operator
	if err != nil {
		return sign.KeyList{}, fmt.Errorf("cases.seal_keys: %w", err)
	}
	list, err := sign.ParseKeyList(b)
	if err != nil {
		return list, fmt.Errorf("cases.seal_keys %s: %w", path, err)
	}
	return list, nil
}

// sender is the key that signs this installation's requests to case stores.
func (p *parts) sender(ctx context.Context) (sign.Key, error) {
	k, err := p.store.Key(ctx, store.KeyHandoff)
	if err != nil {
		return sign.Key{}, err //nolint:wrapcheck // a fault keeps its code
	}
	return sign.FromSecret(sign.Ed25519, k.KID, k.Secret) //nolint:wrapcheck // names itself
}

// packages makes the embedded case store and what brings packages from the outbox to it, or to another one.
func (n *node) packages() error {
	if err := n.intake(); err != nil {
		return err
	}
	c := n.cfg.Handoff
	limits := handoff.Defaults()
	limits.Dead = c.DeadAfter
	attempts := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "heyi_handoff_attempts_total", Help: "Attempts to deliver a package, by what became of it."}, []string{"outcome"})
	open := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "heyi_handoff_open", Help: "Packages that have not arrived, by state; dead ones need an operator."}, []string{"state"})
	n.metrics.MustRegister(attempts, open)
	for _, s := range []handoff.State{handoff.Verified, handoff.Failed, handoff.Dead} {
		attempts.WithLabelValues(string(s))
	}
	d := handoff.Deps{
		Outbox: n.store, Embedded: n.cases, Sender: n.sender, Seal: n.store.SealKey, Render: n.render, Nudges: n.coord, Node: n.cfg.Node.Name,
		Limits: limits, TZ: n.tz, Now: n.now, Logger: n.logger,
		Count: func(s handoff.State) { attempts.WithLabelValues(string(s)).Inc() },
		Gauge: func(rows map[handoff.State]int) {
			for _, s := range []handoff.State{handoff.Queued, handoff.Sending, handoff.Failed, handoff.Dead} {
				open.WithLabelValues(string(s)).Set(float64(rows[s]))
			}
		},
	}
	if c.Target != configs.Embedded {
		client, err := remoteClient(c.CAFile)
		if err != nil {
			return err
		}
		d.Remote, d.Address = &handoff.Remote{Address: c.Target, Client: client}, c.Target
	}
	worker := handoff.NewWorker(d)
	for i := range handoffWorkers {
		n.group.Add(fmt.Sprintf("packages %d", i+1), worker.Run)
	}
	return nil
}

// remoteClient speaks to another installation's case store; a redirect would carry a package to somebody else.
func remoteClient(caFile string) (*http.Client, error) {
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: 50 * time.Second,
		IdleConnTimeout: time.Minute, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if caFile != "" {
		pem, err := os.ReadFile(caFile) //nolint:gosec // named by the operator
		if err != nil {
			return nil, fmt.Errorf("handoff.ca_file: %w", err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("handoff.ca_file %s: no certificate in it", caFile)
		}
	}
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("a case store does not redirect") },
	}, nil
}

// caseAreas are the routes of the case store and of the outbox.
func (n *node) caseAreas() []rest.Area {
	return []rest.Area{
		rest.Cases{Book: &cases.Book{Store: n.store}, Tree: n.tree, Now: n.now},
		rest.Handoffs{Office: &handoff.Office{Store: n.store, Now: n.now}, Tree: n.tree, Now: n.now},
		rest.Intake{Intake: n.cases},
	}
}

// casesOnly makes the case store alone: people sign in and read, other installations deliver. No terminal, queue or
// room is served.
func (n *node) casesOnly(ctx context.Context, incarnation int64) error {
	if err := n.identity(ctx, incarnation); err != nil {
		return err
	}
	if err := n.intake(); err != nil {
		return err
	}
	n.group.Add("keys", n.keys.Run)
	n.group.Add("clock", n.runClock)
	n.group.Add("leases", n.leases.Run)
	n.group.Add("housekeeping", n.housekeeping)
	n.hub = link.New(n.linkConfig(), link.Deps{
		Verifier: link.NewVerifier(n.auth, n.tokens), Presence: link.NewPresence(n.presence), Streams: n.streams, Nudges: n.coord,
		Facts: n.facts(n.self), Sync: func(context.Context, auth.Caller) ([]wire.SyncItem, error) { return nil, nil }, Views: n.liveView,
		Watch: func(context.Context, string, auth.Caller, bool) {}, Metrics: n.metrics, Logger: n.logger, Now: n.now,
	})
	return n.open(ctx, append(n.caseAreas(), n.staffArea(),
		n.consoleArea(func(context.Context, ident.UnitID) (rest.Figures, error) { return rest.Figures{}, nil }),
		n.deviceArea()))
}
