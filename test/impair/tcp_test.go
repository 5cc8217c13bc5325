package impair

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// echo answers every line with itself and hands out its ends of the connections.
func echo(t *testing.T) (addr string, conns chan net.Conn) {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	ok(t, err)
	conns = make(chan net.Conn, 8)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			conns <- c
			wg.Go(func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		for len(conns) > 0 {
			_ = (<-conns).Close()
		}
		wg.Wait()
	})
	return ln.Addr().String(), conns
}

type line struct {
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, p *TCP) line {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", p.Addr())
	ok(t, err)
	t.Cleanup(func() { _ = c.Close() })
	ok(t, c.SetDeadline(time.Now().Add(patience)))
	return line{c, bufio.NewReader(c)}
}

func (l line) says(t *testing.T, text string) {
	t.Helper()
	_, err := l.Write([]byte(text + "\n"))
	ok(t, err)
}

func (l line) hears(t *testing.T, text string) {
	t.Helper()
	got, err := l.r.ReadString('\n')
	if err != nil || got != text+"\n" {
		t.Fatalf("heard %q, %v; want %q", got, err, text)
	}
}

func (l line) silent(t *testing.T) {
	t.Helper()
	ok(t, l.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
	if b, err := l.r.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("heard %q, %v on a line that is cut", b, err)
	}
	ok(t, l.SetDeadline(time.Now().Add(patience)))
}

func open(t *testing.T) (*TCP, chan net.Conn) {
	t.Helper()
	addr, conns := echo(t)
	p, err := ListenTCP(t.Context(), addr)
	ok(t, err)
	t.Cleanup(p.Close)
	return p, conns
}

func TestAStallLosesNothing(t *testing.T) {
	t.Parallel()
	p, _ := open(t)
	a := dial(t, p)
	a.says(t, "one")
	a.hears(t, "one")
	p.Set(Line{Stall: true})
	a.says(t, "two")
	b := dial(t, p)
	b.says(t, "new")
	a.silent(t)
	b.silent(t)
	p.Set(Line{})
	a.hears(t, "two")
	b.hears(t, "new")
	p.Set(Line{Delay: 30 * time.Millisecond})
	start := time.Now()
	a.says(t, "late")
	a.hears(t, "late")
	if took := time.Since(start); took < 60*time.Millisecond {
		t.Errorf("there and back took %v, want 60 ms at least", took)
	}
}

func TestHalfOpenTellsNobody(t *testing.T) {
	t.Parallel()
	p, conns := open(t)
	a, b := dial(t, p), dial(t, p)
	a.says(t, "one")
	a.hears(t, "one")
	b.says(t, "one")
	b.hears(t, "one")
	first := <-conns
	if n := p.HalfOpen(a.LocalAddr().String()); n != 1 {
		t.Fatalf("%d connections", n)
	}
	a.says(t, "into the void")
	a.silent(t)
	ok(t, first.Close()) // the lost FIN
	ok(t, (<-conns).Close())
	a.silent(t)
	if list := p.Open(); len(list) > 1 {
		t.Errorf("open: %v", list)
	}
}

func TestResetAndRefuse(t *testing.T) {
	t.Parallel()
	p, _ := open(t)
	a, b := dial(t, p), dial(t, p)
	for _, l := range []line{a, b} {
		l.says(t, "one")
		l.hears(t, "one")
	}
	if n := p.Reset(a.LocalAddr().String(), "127.0.0.1:1"); n != 1 {
		t.Fatalf("%d connections", n)
	}
	if _, err := a.r.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("err = %v, want a reset", err)
	}
	p.Set(Line{Refuse: true})
	b.says(t, "two")
	b.hears(t, "two")
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", p.Addr())
	if err == nil {
		ok(t, c.SetDeadline(time.Now().Add(patience)))
		_, err = c.Read(make([]byte, 1))
		_ = c.Close()
	}
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("err = %v, want a refusal", err)
	}
}

func TestAnEndIsToldOn(t *testing.T) {
	t.Parallel()
	p, _ := open(t)
	a := dial(t, p)
	a.says(t, "last words")
	ok(t, a.Conn.(*net.TCPConn).CloseWrite())
	if all, err := io.ReadAll(a.r); err != nil || string(all) != "last words\n" {
		t.Errorf("%q, %v", all, err)
	}
}
