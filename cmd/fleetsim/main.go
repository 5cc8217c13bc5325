// Command fleetsim simulates what stands in the villages: boxes, kiosks and tablets that enrol by import and hold a
// signed link, and pion clients that join calls with prepared media. It drives the demo, tests and benches; beside
// media/rtc it is the only importer of pion/webrtc.
//
//	fleetsim run   -demo data/demo.json -size 24     a living fleet beside `make run`
//	fleetsim bench -heyi build/heyi -json out.json   the figures of docs/performance.md
//	fleetsim call  -demo data/demo.json              a mediator that takes one consult with prepared media
//	fleetsim seed  -data data -size 100000           made-up devices in the database of a stopped node
//	fleetsim churn -data data -rate 1000             links of made-up devices that go and come back
//	go test ./store -bench Write | fleetsim store-figures -json out.json   durable rows a second
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "fleetsim:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("say what to do: run, bench, call, seed, churn")
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))
	fs := flag.NewFlagSet("fleetsim "+args[0], flag.ContinueOnError)
	switch args[0] {
	case "run":
		var c fleetConfig
		fs.StringVar(&c.DemoFile, "demo", "data/demo.json", "file with the demo's address and operator sign-in")
		fs.IntVar(&c.Size, "size", 24, "number of simulated devices")
		fs.Int64Var(&c.Seed, "seed", 1, "seed of kinds, places and behaviour")
		if err := fs.Parse(args[1:]); err != nil {
			return fmt.Errorf("flags: %w", err)
		}
		return runFleet(ctx, c, logger)
	case "bench":
		var c benchConfig
		fs.StringVar(&c.Heyi, "heyi", "build/heyi", "the program to measure")
		fs.StringVar(&c.Config, "config", "configs/bench.yaml", "its configuration")
		fs.StringVar(&c.JSON, "json", "build/bench.json", "where the figures go as one flat JSON object")
		fs.StringVar(&c.Only, "only", "", "links or media; empty = both")
		fs.IntVar(&c.Links, "links", 0, "links; 0 = as many as the descriptor limit allows")
		fs.IntVar(&c.Rooms, "rooms", 10, "rooms of three")
		if err := fs.Parse(args[1:]); err != nil {
			return fmt.Errorf("flags: %w", err)
		}
		return runBench(ctx, c, logger)
	case "seed", "churn":
		var c seedConfig
		fs.StringVar(&c.Data, "data", "data", "data folder of a node; seed wants it stopped")
		fs.StringVar(&c.Driver, "driver", "sqlite", "sqlite or postgres")
		fs.StringVar(&c.DSN, "dsn", "", "database; empty = heyi.db in the data folder")
		fs.IntVar(&c.Size, "size", 100_000, "seed: number of made-up devices")
		fs.Uint64Var(&c.Seed, "seed", 1, "seed: the same fleet again")
		rate := fs.Int("rate", 1000, "churn: changes a second")
		span := fs.Duration("for", 10*time.Second, "churn: for how long")
		if err := fs.Parse(args[1:]); err != nil {
			return fmt.Errorf("flags: %w", err)
		}
		if args[0] == "churn" {
			return runChurn(ctx, c, *rate, *span, logger)
		}
		return runSeed(ctx, c, logger)
	case "store-figures":
		path := fs.String("json", "build/bench.json", "figures to which those of the store's benchmark are added")
		if err := fs.Parse(args[1:]); err != nil {
			return fmt.Errorf("flags: %w", err)
		}
		return runStoreFigures(os.Stdin, *path)
	case "console-figures":
		path := fs.String("json", "build/bench.json", "figures to which those of the fleet's benchmark are added")
		if err := fs.Parse(args[1:]); err != nil {
			return fmt.Errorf("flags: %w", err)
		}
		return runConsoleFigures(os.Stdin, *path)
	case "call":
		var c callConfig
		fs.StringVar(&c.DemoFile, "demo", "data/demo.json", "file with the demo's address and staff sign-ins")
		fs.StringVar(&c.Login, "login", "lvshi", "staff member who takes the consult")
		if err := fs.Parse(args[1:]); err != nil {
			return fmt.Errorf("flags: %w", err)
		}
		return runCall(ctx, c, logger)
	case sfuCommand:
		return runSFU(ctx, logger)
	case bareSFUCommand:
		return runBareSFU(ctx)
	case bareEchoCommand:
		return runBareEcho(ctx)
	}
	return fmt.Errorf("unknown command %q: run, bench, call, seed, churn", args[0])
}
