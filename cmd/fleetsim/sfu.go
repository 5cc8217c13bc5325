package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"heyi/gateway/wire"
	"heyi/media"
	"heyi/media/rtc"
)

// sfuCommand starts a process that holds nothing but the media engine, for the bench to measure: specs come by
// POST /spec, media lines by /rtc without tickets. It listens on loopback only and ends with its parent (stdin).
const sfuCommand = "sfu-for-bench"

// runSFU prints its address on stdout and serves until ctx ends.
func runSFU(ctx context.Context, logger *slog.Logger) error {
	udp, err := freePort(ctx)
	if err != nil {
		return err
	}
	engine, err := rtc.New(rtc.Config{ //nolint:contextcheck // binding a socket waits for nothing
		ListenUDP: []string{fmt.Sprintf("127.0.0.1:%d", udp)}, MaxRooms: 1000, Logger: logger})
	if err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /spec", func(w http.ResponseWriter, r *http.Request) {
		var spec media.RoomSpec
		if err := json.NewDecoder(r.Body).Decode(&spec); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if _, err := engine.Apply(r.Context(), spec); err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
		}
	})
	mux.HandleFunc("GET /rtc", func(w http.ResponseWriter, r *http.Request) { serveLine(ctx, engine, w, r) })
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	var wg sync.WaitGroup
	ectx, stop := context.WithCancel(ctx)
	wg.Go(func() { _ = engine.Run(ectx) })
	wg.Go(func() {
		<-ctx.Done()
		_ = srv.Close()
	})
	_, _ = fmt.Fprintln(os.Stdout, ln.Addr())
	err = srv.Serve(ln)
	stop()
	wg.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve: %w", err)
}

// line carries the engine's frames to one client; Send must not block, so a full queue ends the line.
type line struct {
	out  chan media.Out
	once sync.Once
	done chan struct{}
}

func (l *line) Send(o media.Out) {
	select {
	case l.out <- o:
	default:
		l.Closed("lost")
	}
}

func (l *line) Closed(media.Reason) { l.once.Do(func() { close(l.done) }) }

func serveLine(ctx context.Context, engine media.Engine, w http.ResponseWriter, r *http.Request) {
	var t media.Ticket
	if err := json.Unmarshal([]byte(r.URL.Query().Get("ticket")), &t); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	up := websocket.Upgrader{}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = ws.Close() }()
	l := &line{out: make(chan media.Out, 64), done: make(chan struct{})}
	s, err := engine.Open(ctx, t, l)
	if err != nil {
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-l.done:
				_ = ws.Close()
				return
			case o := <-l.out:
				raw, err := json.Marshal(o.B)
				if err != nil {
					continue
				}
				out, err := wire.Append(nil, &wire.Frame{T: o.T, B: raw})
				if err != nil || ws.WriteMessage(websocket.TextMessage, out) != nil {
					_ = ws.Close()
					return
				}
			}
		}
	})
	for {
		_, raw, err := ws.ReadMessage()
		if err != nil {
			break
		}
		var f wire.Frame
		if wire.Decode(raw, &f) != nil || s.Handle(ctx, f.T, f.B) != nil {
			break
		}
	}
	_ = s.Close("removed")
	l.Closed("removed")
	wg.Wait()
}
