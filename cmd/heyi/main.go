// Command heyi is the whole product in one program: gateway, queue, sessions, media and store.
//
//	heyi serve   [--demo] [--tls] [--data DIR] [--roles=cases] [--config FILE]   run
//	heyi migrate [--config FILE]                                  bring the database up to date and stop
//	heyi config  [--config FILE]                                  print the effective configuration without secrets
//	heyi admin   staff ... · units import FILE · handoff ...      accounts, the administrative tree, packages that did not arrive
//	heyi admin   backup FILE · restore FILE                       everything in the database, on either engine
//	heyi verify  PACKAGE.tar | FILES... [-keys keys.json]           check sealed papers, offline
//	heyi version
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"heyi/cmd/heyi/app"
	"heyi/configs"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "heyi:", err)
		os.Exit(1)
	}
}

const usage = "heyi serve | migrate | config | admin | verify | version; heyi serve -h lists the flags"

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("say what to do: %s", usage)
	}
	if args[0] == "verify" {
		return app.Verify(args[1:], os.Stdout) //nolint:wrapcheck // says what is wrong
	}
	fs := flag.NewFlagSet("heyi "+args[0], flag.ContinueOnError)
	file := fs.String("config", os.Getenv("HEYI_CONFIG"), "configuration file (configs/heyi.example.yaml documents every key)")
	demo := fs.Bool("demo", false, "demo data, random printed passwords, no second factor")
	tls := fs.Bool("tls", false, "speak TLS on the application port (phones on the LAN need it for their camera)")
	data := fs.String("data", "", "folder for database, keys and certificate")
	roles := fs.String("roles", "", "all, or cases: the case store alone")
	if err := fs.Parse(args[1:]); err != nil {
		return fmt.Errorf("%w; %s", err, usage)
	}
	if args[0] == "version" {
		_, err := fmt.Fprintln(os.Stdout, app.Version)
		return err //nolint:wrapcheck // nothing to add
	}
	env := os.Environ()
	for flag, on := range map[string]bool{"HEYI_DEMO=true": *demo, "HEYI_HTTP_TLS=true": *tls, "HEYI_DATA=" + *data: *data != "", "HEYI_ROLES=" + *roles: *roles != ""} {
		if on {
			env = append(env, flag)
		}
	}
	cfg, err := configs.Load(*file, env)
	if err != nil {
		return err //nolint:wrapcheck // names the setting already
	}
	switch args[0] {
	case "serve":
		return app.Run(ctx, cfg, os.Stdout)
	case "migrate":
		return app.Migrate(ctx, cfg)
	case "config":
		_, err := fmt.Fprint(os.Stdout, cfg.Redacted())
		return err //nolint:wrapcheck // nothing to add
	case "admin":
		return app.Admin(ctx, cfg, fs.Args(), os.Stdout)
	}
	return fmt.Errorf("unknown command %q: %s", args[0], usage)
}
