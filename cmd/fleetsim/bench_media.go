package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gorilla/websocket"

	"heyi/internal/ident"
	"heyi/media"
)

// benchRoom is one room of three in the engine process.
type benchRoom struct {
	spec  media.RoomSpec
	peers []*peer
}

// benchMedia measures the engine in a process of its own: rooms of three, everybody sends 1.44 Mbit/s VP8 and Opus
// and sees both others.
func benchMedia(ctx context.Context, c benchConfig, f *figures, logger *slog.Logger) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sfu, base, err := startSFU(ctx)
	if err != nil {
		return err
	}
	defer func() {
		_ = sfu.Process.Signal(syscall.SIGTERM)
		_ = sfu.Wait()
	}()
	pid := sfu.Process.Pid
	before, err := rss(pid)
	if err != nil {
		return err
	}
	b := &mediaBench{base: base}
	if b.late, err = newPeerAPIs(2); err != nil {
		return err
	}
	defer b.wg.Wait()
	defer cancel()
	for range c.Rooms {
		if err := b.addRoom(ctx); err != nil {
			return err
		}
	}
	logger.InfoContext(ctx, "rooms are up", slog.Int("rooms", len(b.rooms)))
	if !pause(ctx, 3*time.Second) {
		return ctx.Err()
	}
	if err := b.forwarding(ctx, pid, f); err != nil {
		return err
	}
	now, err := rss(pid)
	if err != nil {
		return err
	}
	f.put("media_rooms", float64(c.Rooms), "rooms")
	f.put("media_memory_per_room", (now-before)/float64(c.Rooms)/1e6, "MB")
	return b.lateJoiner(ctx, f)
}

// startSFU starts this program again as the engine process.
func startSFU(ctx context.Context) (*exec.Cmd, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", fmt.Errorf("own path: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, sfuCommand) //nolint:gosec // our own program
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=400")
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", fmt.Errorf("engine process: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, "", fmt.Errorf("engine process: %w", err)
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = cmd.Process.Kill()
		return nil, "", fmt.Errorf("engine process did not start: %w", err)
	}
	return cmd, strings.TrimSpace(addr), nil
}

type mediaBench struct {
	base  string
	rooms []*benchRoom
	late  []*peer // templates that hold an API
	wg    sync.WaitGroup
	mu    sync.Mutex
	delay []float64 // ms
	count bool
}

func newPeerAPIs(n int) ([]*peer, error) {
	var list []*peer
	for range n {
		api, err := newPeerAPI()
		if err != nil {
			return nil, err
		}
		list = append(list, &peer{api: api})
	}
	return list, nil
}

// note keeps one forwarding delay while counting is on.
func (b *mediaBench) note(d time.Duration) {
	b.mu.Lock()
	if b.count {
		b.delay = append(b.delay, float64(d.Microseconds())/1000)
	}
	b.mu.Unlock()
}

func (b *mediaBench) addRoom(ctx context.Context) error {
	r := &benchRoom{spec: media.RoomSpec{Room: ident.New[ident.RoomID](), Session: ident.New[ident.SessionID](), Fence: 1, Epoch: 1, Phase: "joint"}}
	for i := range 3 {
		role := media.RoleParty
		if i == 0 {
			role = media.RoleMediator
		}
		r.spec.Members = append(r.spec.Members, media.Member{
			ID: ident.New[ident.ParticipantID](), Name: fmt.Sprintf("m%d", i), Role: role, Zone: media.ZoneJoint, Allow: media.Mic | media.Cam,
			Attach: []media.Attachment{{ID: ident.New[ident.AttachmentID](), Kind: media.AttachFull, Sound: true, JoinGen: 1}},
		})
	}
	if err := b.apply(ctx, r.spec); err != nil {
		return err
	}
	for i := range r.spec.Members {
		p, err := b.join(ctx, r, i, synthetic)
		if err != nil {
			return err
		}
		r.peers = append(r.peers, p)
	}
	b.rooms = append(b.rooms, r)
	return nil
}

func (b *mediaBench) apply(ctx context.Context, spec media.RoomSpec) error {
	raw, err := json.Marshal(spec)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+b.base+"/spec", bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("spec: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("spec: %w", err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("spec: %s", res.Status)
	}
	return nil
}

// join opens the media line of member i and runs it in its own goroutine.
func (b *mediaBench) join(ctx context.Context, r *benchRoom, i int, src source) (*peer, error) {
	m := r.spec.Members[i]
	t := media.Ticket{Room: r.spec.Room, Participant: m.ID, Attachment: m.Attach[0].ID, Kind: media.AttachFull, JoinGen: m.Attach[0].JoinGen, Fence: r.spec.Fence}
	raw, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	ws, res, err := websocket.DefaultDialer.DialContext(ctx, "ws://"+b.base+"/rtc?ticket="+url.QueryEscape(string(raw)), nil)
	if err != nil {
		return nil, fmt.Errorf("media line: %w", err)
	}
	_ = res.Body.Close()
	p := &peer{ws: ws, api: b.late[i%len(b.late)].api, src: src, delay: b.note}
	if err := p.start(ctx, "full"); err != nil {
		return nil, err
	}
	b.wg.Go(func() {
		stop := context.AfterFunc(ctx, func() { _ = ws.Close() })
		defer stop()
		_ = p.run()
	})
	return p, nil
}

func (b *mediaBench) received() (n int64) {
	for _, r := range b.rooms {
		for _, p := range r.peers {
			n += p.packets.Load()
		}
	}
	return n
}

// forwarding measures CPU per forwarded packet over three windows of 5 s and takes the median.
func (b *mediaBench) forwarding(ctx context.Context, pid int, f *figures) error {
	b.mu.Lock()
	b.count = true
	b.mu.Unlock()
	var per, rate []float64
	for range 3 {
		c0, err := cpu(pid)
		if err != nil {
			return err
		}
		n0, start := b.received(), time.Now()
		if !pause(ctx, 5*time.Second) {
			return ctx.Err()
		}
		c1, err := cpu(pid)
		if err != nil {
			return err
		}
		n := float64(b.received() - n0)
		if n == 0 {
			return errors.New("no packet was forwarded")
		}
		per = append(per, float64((c1-c0).Microseconds())/n)
		rate = append(rate, n/time.Since(start).Seconds())
	}
	b.mu.Lock()
	b.count = false
	delay := b.delay
	b.mu.Unlock()
	f.put("media_cpu_per_forwarded_packet", quantile(per, .5), "us")
	f.put("media_forwarded_packets_per_second", quantile(rate, .5), "1/s")
	f.put("media_delay_p50", quantile(delay, .5), "ms")
	f.put("media_delay_p99", quantile(delay, .99), "ms")
	return nil
}

// lateJoiner lets one member of each room leave and come again, twice, and measures from the dial of the media line
// to the first video packet.
func (b *mediaBench) lateJoiner(ctx context.Context, f *figures) error {
	var took []float64
	for range 2 {
		for _, r := range b.rooms {
			_ = r.peers[2].ws.Close()
			r.spec.Epoch++
			r.spec.Members[2].Attach[0].JoinGen++
			if err := b.apply(ctx, r.spec); err != nil {
				return err
			}
			if !pause(ctx, 300*time.Millisecond) {
				return ctx.Err()
			}
			start := time.Now()
			p, err := b.join(ctx, r, 2, synthetic)
			if err != nil {
				return err
			}
			select {
			case <-p.firstVideo:
				took = append(took, float64(time.Since(start).Microseconds())/1000)
			case <-time.After(10 * time.Second):
				return errors.New("a late joiner saw no video within 10 s")
			case <-ctx.Done():
				return ctx.Err()
			}
			r.peers[2] = p
		}
	}
	f.put("media_late_joiner_first_video_p50", quantile(took, .5), "ms")
	f.put("media_late_joiner_first_video_p90", quantile(took, .9), "ms")
	return nil
}
