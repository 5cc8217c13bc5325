package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"github.com/pion/webrtc/v3"

	"heyi/cmd/fleetsim/sim"
	"heyi/internal/ident"
	"heyi/media"
)

// benchRoom is one room of three in the engine process.
type benchRoom struct {
	spec  media.RoomSpec
	peers []*sim.Peer
}

// Windows of the media bench: Heyi and the yardstick take turns, so that both see the same machine.
const (
	mediaWindows = 5
	mediaWindow  = 4 * time.Second
	mediaSettle  = time.Second // after a turn: its first packets and keyframes are not measured

	manyRooms = 3 // times as many rooms the second time: 10 and 30
)

// benchMedia measures the engine in a process of its own: rooms of three, everybody sends 1.44 Mbit/s VP8 and Opus
// and sees both others; a bare forwarder does the same in turns. Figures of the second size carry its number.
func benchMedia(ctx context.Context, c benchConfig, f *figures, logger *slog.Logger) error {
	if err := benchRooms(ctx, c.Rooms, "media_", f, logger); err != nil {
		return err
	}
	return benchRooms(ctx, manyRooms*c.Rooms, fmt.Sprintf("media_%d_", manyRooms*c.Rooms), f, logger)
}

func benchRooms(ctx context.Context, rooms int, prefix string, f *figures, logger *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := f.load(prefix + "load_1m"); err != nil {
		return err
	}
	benches := []*mediaBench{{command: sfuCommand, prefix: prefix}, {command: bareSFUCommand, prefix: prefix + "bare_"}}
	for _, b := range benches {
		end, err := b.start(ctx, rooms)
		if err != nil {
			return fmt.Errorf("%s: %w", b.command, err)
		}
		defer end()
	}
	logger.InfoContext(ctx, "rooms are up", slog.Int("rooms", rooms))
	for range mediaWindows {
		for _, b := range benches {
			if err := b.window(ctx); err != nil {
				return fmt.Errorf("%s: %w", b.command, err)
			}
		}
	}
	f.put(prefix+"rooms", float64(rooms), "rooms")
	for _, b := range benches {
		if err := b.put(f); err != nil {
			return err
		}
	}
	f.put(prefix+"cpu_ratio_to_bare", f.value[prefix+"cpu_per_forwarded_packet"]/f.value[prefix+"bare_cpu_per_forwarded_packet"], "x")
	for _, b := range benches {
		if err := b.lateJoiner(ctx, f); err != nil {
			return fmt.Errorf("%s: %w", b.command, err)
		}
	}
	cancel()
	return nil
}

// mediaBench is the load of one engine process.
type mediaBench struct {
	command string
	prefix  string // of the names of the figures

	base   string
	pid    int
	before float64 // resident bytes before the first room
	rooms  []*benchRoom
	late   []*sim.Peer // templates that hold an API
	wg     sync.WaitGroup
	talk   atomic.Bool // publishers send
	count  atomic.Bool // delays are kept

	mu        sync.Mutex
	delay     []float64 // ms
	per, rate []float64 // us a packet, packets a second, by window
	rooms1    []float64 // rooms that one processor could serve, by window
}

// start starts the engine process and fills its rooms; end stops both.
func (b *mediaBench) start(ctx context.Context, rooms int) (end func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd, base, err := startChild(ctx, b.command)
	if err != nil {
		cancel()
		return nil, err
	}
	end = func() {
		cancel()
		b.wg.Wait()
		stopChild(cmd)
	}
	b.base, b.pid = base, cmd.Process.Pid
	if b.late, err = newPeerAPIs(2); err == nil {
		b.before, err = rss(b.pid)
	}
	for range rooms {
		if err == nil {
			err = b.addRoom(ctx)
		}
	}
	if err == nil && !sim.Pause(ctx, 3*time.Second) {
		err = ctx.Err()
	}
	if err != nil {
		end()
		return nil, err
	}
	return end, nil
}

func newPeerAPIs(n int) ([]*sim.Peer, error) {
	var list []*sim.Peer
	for range n {
		api, err := sim.NewPeerAPI()
		if err != nil {
			return nil, err
		}
		list = append(list, &sim.Peer{API: api})
	}
	return list, nil
}

// note keeps one forwarding delay while counting is on.
func (b *mediaBench) note(d time.Duration) {
	if b.count.Load() {
		b.mu.Lock()
		b.delay = append(b.delay, float64(d.Microseconds())/1000)
		b.mu.Unlock()
	}
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
		p, err := b.join(ctx, r, i, b.source)
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
func (b *mediaBench) join(ctx context.Context, r *benchRoom, i int, src sim.Source) (*sim.Peer, error) {
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
	p := &sim.Peer{WS: ws, API: b.late[i%len(b.late)].API, Src: src, Delay: b.note}
	if err := p.Start(ctx, "full"); err != nil {
		return nil, err
	}
	b.wg.Go(func() {
		stop := context.AfterFunc(ctx, func() { _ = ws.Close() })
		defer stop()
		_ = p.Run()
	})
	return p, nil
}

// source sends while it is this bench's turn.
func (b *mediaBench) source(ctx context.Context, mic, cam *webrtc.TrackLocalStaticRTP, wantKey *atomic.Bool) {
	sim.Synthetic(ctx, mic, cam, wantKey, &b.talk)
}

func (b *mediaBench) received() (n int64) {
	for _, r := range b.rooms {
		for _, p := range r.peers {
			n += p.Packets.Load()
		}
	}
	return n
}

// window lets the publishers send and measures CPU per forwarded packet.
func (b *mediaBench) window(ctx context.Context) error {
	b.talk.Store(true)
	defer b.talk.Store(false)
	if !sim.Pause(ctx, mediaSettle) {
		return ctx.Err()
	}
	b.count.Store(true)
	defer b.count.Store(false)
	c0, err := cpu(b.pid)
	if err != nil {
		return err
	}
	n0, start := b.received(), time.Now()
	if !sim.Pause(ctx, mediaWindow) {
		return ctx.Err()
	}
	c1, err := cpu(b.pid)
	if err != nil {
		return err
	}
	n := float64(b.received() - n0)
	if n == 0 {
		return errors.New("no packet was forwarded")
	}
	b.per = append(b.per, float64((c1-c0).Nanoseconds())/1000/n)
	took := time.Since(start).Seconds()
	b.rate = append(b.rate, n/took)
	b.rooms1 = append(b.rooms1, float64(len(b.rooms))*took/(c1-c0).Seconds())
	return nil
}

func (b *mediaBench) put(f *figures) error {
	now, err := rss(b.pid)
	if err != nil {
		return err
	}
	b.mu.Lock()
	delay := b.delay
	b.mu.Unlock()
	f.put(b.prefix+"cpu_per_forwarded_packet", quantile(b.per, .5), "us")
	f.put(b.prefix+"forwarded_packets_per_second", quantile(b.rate, .5), "1/s")
	f.put(b.prefix+"rooms_per_core", quantile(b.rooms1, .5), "rooms")
	f.put(b.prefix+"delay_p50", quantile(delay, .5), "ms")
	f.put(b.prefix+"delay_p99", quantile(delay, .99), "ms")
	f.put(b.prefix+"memory_per_room", (now-b.before)/float64(len(b.rooms))/1e6, "MB")
	return nil
}

// lateJoiner lets one member of each room leave and come again, twice, and measures from the dial of the media line
// to the first video packet.
func (b *mediaBench) lateJoiner(ctx context.Context, f *figures) error {
	b.talk.Store(true)
	defer b.talk.Store(false)
	if !sim.Pause(ctx, mediaSettle) {
		return ctx.Err()
	}
	var took []float64
	for range 2 {
		for _, r := range b.rooms {
			_ = r.peers[2].WS.Close()
			r.spec.Epoch++
			r.spec.Members[2].Attach[0].JoinGen++
			if err := b.apply(ctx, r.spec); err != nil {
				return err
			}
			if !sim.Pause(ctx, 300*time.Millisecond) {
				return ctx.Err()
			}
			start := time.Now()
			p, err := b.join(ctx, r, 2, b.source)
			if err != nil {
				return err
			}
			select {
			case <-p.FirstVideo:
				took = append(took, float64(time.Since(start).Microseconds())/1000)
			case <-time.After(10 * time.Second):
				return errors.New("a late joiner saw no video within 10 s")
			case <-ctx.Done():
				return ctx.Err()
			}
			r.peers[2] = p
		}
	}
	f.put(b.prefix+"late_joiner_first_video_p50", quantile(took, .5), "ms")
	f.put(b.prefix+"late_joiner_first_video_p90", quantile(took, .9), "ms")
	return nil
}
