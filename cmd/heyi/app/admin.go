package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"heyi/configs"
	"heyi/internal/fault"
	"heyi/internal/org"
	"heyi/internal/qr"
	"heyi/mediation"
	"heyi/people"
)

const adminUsage = `heyi admin staff add -login NAME -name NAME -unit CODE -roles lawyer,mediator [-title TITLE] [-langs zh,mn]
heyi admin staff password -login NAME
heyi admin units import FILE   (CSV like internal/org/chifeng.csv)
heyi admin backup [-with texts,...] FILE    everything in the database, while the node runs; FILE - is standard output
heyi admin restore [-check] FILE            into an empty database; -check only reads the file
heyi admin handoff list                     packages that have not arrived
heyi admin handoff retry ID | -all-dead     try again what was given up
heyi admin handoff key                      the line for cases.senders of a case store elsewhere
heyi admin keys rotate PURPOSE              a new key: device_ca, access_token, link_token or media_ticket; it signs 10 minutes later`

// Admin carries out one administrative command on the database of the configuration. The server may be running on
// PostgreSQL; an embedded database must be stopped first, because one process holds its folder. A backup needs no stop.
func Admin(ctx context.Context, cfg configs.Config, args []string, out io.Writer) error {
	if len(args) < 2 {
		return errors.New(adminUsage)
	}
	switch args[0] {
	case "backup":
		return backup(ctx, cfg, args[1:], out)
	case "restore":
		return restore(ctx, cfg, args[1:], out)
	}
	unlock, err := lockData(cfg.Data)
	if err != nil {
		return err
	}
	defer unlock()
	p, err := openParts(ctx, cfg)
	if err != nil {
		return err
	}
	defer p.close()
	switch strings.Join(args[:2], " ") {
	case "staff add":
		return p.addStaff(ctx, args[2:], out)
	case "staff password":
		return p.newPassword(ctx, args[2:], out)
	case "units import":
		return p.importUnits(ctx, args[2:], out)
	case "handoff list":
		return p.listHandoffs(ctx, out)
	case "handoff retry":
		return p.retryHandoffs(ctx, args[2:], out)
	case "handoff key":
		return p.handoffKey(ctx, out)
	case "keys rotate":
		return p.rotateKey(ctx, args[2:], out)
	}
	return errors.New(adminUsage)
}

// rotateKey makes the next key of a purpose; the nodes that run read it within a minute.
func (p *parts) rotateKey(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 1 {
		return errors.New(adminUsage)
	}
	k, at, err := p.store.RotateKey(ctx, args[0])
	if fault.CodeOf(err) == "key.purpose" {
		return fmt.Errorf("keys of purpose %q do not rotate: want device_ca, access_token, link_token or media_ticket", args[0])
	}
	if err != nil {
		return fmt.Errorf("rotate %s: %w", args[0], err)
	}
	_, err = fmt.Fprintf(out, "key %s of %s signs from %s on; the former one goes on verifying\n", k.KID, args[0], at.Format(time.DateTime))
	if err != nil {
		return fmt.Errorf("output: %w", err)
	}
	return nil
}

func (p *parts) addStaff(ctx context.Context, args []string, out io.Writer) error {
	fs := flag.NewFlagSet("heyi admin staff add", flag.ContinueOnError)
	login := fs.String("login", "", "sign-in name")
	name := fs.String("name", "", "name shown to citizens")
	title := fs.String("title", "", "title shown to citizens")
	unit := fs.String("unit", "", "12-digit division code of the unit whose subtree the roles reach")
	roles := fs.String("roles", "", "comma-separated: mediator, lawyer, worker, operator, dispatcher, auditor, sysadmin")
	langs := fs.String("langs", "", "comma-separated: zh, mn; empty = every language")
	if err := fs.Parse(args); err != nil {
		return fmt.Errorf("flags: %w", err)
	}
	u, ok := p.tree.ByCode(*unit)
	if !ok {
		return fmt.Errorf("no unit has the code %q: heyi admin units import brings the tree", *unit)
	}
	s := people.Staff{UnitID: u.ID, Login: *login, Name: *name, Title: *title}
	for r := range strings.SplitSeq(*roles, ",") {
		s.Roles = append(s.Roles, people.Role(strings.TrimSpace(r)))
	}
	for l := range strings.SplitSeq(*langs, ",") {
		if l = strings.TrimSpace(l); l != "" {
			s.Langs = append(s.Langs, mediation.Lang(l))
		}
	}
	done, err := p.people.SeedStaff(ctx, []people.Seed{{Staff: s}}, false)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	if done[0].Password == "" {
		return fmt.Errorf("%s exists already: heyi admin staff password gives a new password", s.Login)
	}
	return p.printSecrets(ctx, done[0].Staff, done[0].Password, out)
}

func (p *parts) newPassword(ctx context.Context, args []string, out io.Writer) error {
	fs := flag.NewFlagSet("heyi admin staff password", flag.ContinueOnError)
	login := fs.String("login", "", "sign-in name")
	if err := fs.Parse(args); err != nil {
		return fmt.Errorf("flags: %w", err)
	}
	s, _, err := p.store.StaffByLogin(ctx, *login)
	if err != nil {
		return fmt.Errorf("account %q: %w", *login, err)
	}
	pw := people.NewPassword()
	if err := p.people.SetPassword(ctx, s.ID, pw, adminActor()); err != nil {
		return fmt.Errorf("password: %w", err)
	}
	return p.printSecrets(ctx, s, pw, out)
}

// printSecrets gives the account a fresh second factor and prints password and QR code, once.
func (p *parts) printSecrets(ctx context.Context, s people.Staff, password string, out io.Writer) error {
	secret, address, err := people.NewTOTP("Heyi", s.Login)
	if err != nil {
		return fmt.Errorf("second factor: %w", err)
	}
	if err := p.people.SetTOTP(ctx, s.ID, secret, adminActor()); err != nil {
		return fmt.Errorf("second factor: %w", err)
	}
	code, err := qr.Terminal(address)
	if err != nil {
		return fmt.Errorf("QR code: %w", err)
	}
	_, err = fmt.Fprintf(out, "login     %s\npassword  %s\nsecond factor, for an authenticator app:\n\n%s\n%s\n\nThis is shown once.\n", s.Login, password, code, address)
	return err //nolint:wrapcheck // nothing to add
}

func (p *parts) importUnits(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 1 {
		return errors.New(adminUsage)
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return fmt.Errorf("units: %w", err)
	}
	seeds, err := org.ParseSeeds(string(text))
	if err != nil {
		return fmt.Errorf("units: %w", err)
	}
	n, err := p.store.SeedUnits(ctx, seeds)
	if err != nil {
		return fmt.Errorf("units: %w", err)
	}
	_, err = fmt.Fprintf(out, "%d of %d units are new\n", n, len(seeds))
	return err //nolint:wrapcheck // nothing to add
}

func adminActor() mediation.Actor { return mediation.Actor{Kind: mediation.ActorSystem, ID: "admin"} }
