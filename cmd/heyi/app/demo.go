package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"heyi/internal/org"
	"heyi/internal/qr"
	"heyi/mediation"
	"heyi/people"
)

// demoStaff is one line of the demo file.
type demoStaff struct {
	Login    string `json:"login"`
	Password string `json:"password"`
	Role     string `json:"role"`
	Name     string `json:"name"`
}

// demoFile stands beside the demo's data, mode 0600: where the demo listens and who may sign in. A second start on the
// same data keeps the passwords.
type demoFile struct {
	URL   string      `json:"url"`
	Staff []demoStaff `json:"staff"`
}

const demoFileName = "demo.json"

// demoSeeds are the people of the demo stories (domain.md §11); their names are roles, not names.
func demoSeeds(tree *org.Tree) ([]people.Seed, error) {
	city, ok := tree.ByCode("150400000000")
	if !ok {
		return nil, errors.New("demo: the city 150400000000 is missing in the tree of units")
	}
	staff := func(login, name, title string, langs []mediation.Lang, roles ...people.Role) people.Seed {
		return people.Seed{Staff: people.Staff{UnitID: city.ID, Login: login, Name: name, Title: title, Roles: roles, Langs: langs}}
	}
	both := []mediation.Lang{mediation.Chinese, mediation.Mongolian}
	return []people.Seed{
		staff("lvshi", "律师丁", "值班律师", both, people.Lawyer),
		staff("tiaojie", "调解员丙", "人民调解员", both, people.Mediator),
		staff("yunwei", "值守员戊", "设备运维", nil, people.Operator, people.Dispatcher),
		staff("diaodu", "调度员己", "指挥调度", nil, people.Dispatcher),
		staff("suozhang", "司法所庚", "司法所工作人员", nil, people.Worker),
	}, nil
}

// seedDemo makes the demo's accounts and writes the demo file.
func seedDemo(ctx context.Context, svc *people.Service, tree *org.Tree, dir, url string) (demoFile, error) {
	path := filepath.Join(dir, demoFileName)
	old, err := readDemo(path)
	fresh := errors.Is(err, fs.ErrNotExist)
	if err != nil && !fresh {
		return demoFile{}, err
	}
	seeds, err := demoSeeds(tree)
	if err != nil {
		return demoFile{}, err
	}
	known := map[string]string{}
	for _, s := range old.Staff {
		known[s.Login] = s.Password
	}
	for i := range seeds {
		seeds[i].Password = known[seeds[i].Staff.Login]
	}
	done, err := svc.SeedStaff(ctx, seeds, fresh)
	if err != nil {
		return demoFile{}, fmt.Errorf("demo accounts: %w", err)
	}
	d := demoFile{URL: url}
	for _, s := range done {
		pw := s.Password
		if pw == "" {
			pw = known[s.Staff.Login]
		}
		d.Staff = append(d.Staff, demoStaff{Login: s.Staff.Login, Password: pw, Role: string(s.Staff.Roles[0]), Name: s.Staff.Name})
	}
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return demoFile{}, fmt.Errorf("demo file: %w", err)
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, append(b, '\n'), 0o600); err != nil {
		return demoFile{}, fmt.Errorf("demo file: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return demoFile{}, fmt.Errorf("demo file: %w", err)
	}
	return d, nil
}

func readDemo(path string) (demoFile, error) {
	var d demoFile
	b, err := os.ReadFile(path) //nolint:gosec // the operator's own folder
	if err != nil {
		return d, fmt.Errorf("demo file: %w", err)
	}
	if err := json.Unmarshal(b, &d); err != nil {
		return d, fmt.Errorf("demo file %s is damaged, remove it: %w", path, err)
	}
	return d, nil
}

// banner tells a person where to go: every page, who may sign in, and a QR code for a phone.
func banner(out io.Writer, local, public string, d demoFile) error {
	var b strings.Builder
	b.WriteString("\n  和议 Heyi is running. Open these in a browser:\n\n")
	for _, p := range []struct{ path, what string }{
		{"/tv", "电视 TV (arrow keys, Enter = OK, Escape = Back, digits)"},
		{"/desk", "调解工作台 desk (mediator, duty lawyer)"},
		{"/phone", "手机 phone (camera for a TV)"},
		{"/kiosk", "一体机 kiosk (touch)"},
		{"/tablet", "平板 tablet (judicial-office worker)"},
		{"/console", "指挥台 console (operators)"},
		{"/demo/texts", "演示手机 the texts that would go to people's phones"},
		{"/verify", "文书核对 check a signed paper"},
	} {
		fmt.Fprintf(&b, "    %-34s %s\n", local+p.path, p.what)
	}
	if len(d.Staff) > 0 {
		b.WriteString("\n  Demo sign-ins (random, kept in the data folder):\n\n")
		for _, s := range d.Staff {
			fmt.Fprintf(&b, "    %-10s %-16s %s (%s)\n", s.Login, s.Password, s.Name, s.Role)
		}
	}
	if public != local {
		code, err := qr.Terminal(public + "/phone")
		if err != nil {
			return fmt.Errorf("QR code: %w", err)
		}
		fmt.Fprintf(&b, "\n  Phones on this network: %s/phone (the certificate is self-signed: accept it once)\n\n%s\n", public, code)
	} else {
		b.WriteString("\n  Phones on the LAN need a secure page for their camera: start again with TLS=1 (or --tls).\n")
	}
	b.WriteString("\n  Ctrl+C stops.\n\n")
	if _, err := io.WriteString(out, b.String()); err != nil {
		return fmt.Errorf("banner: %w", err)
	}
	return nil
}
