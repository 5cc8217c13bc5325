package gateway

import (
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// sniffer is a listener whose connections speak TLS or plain HTTP, told apart by their first byte: a TLS record starts
// with 22 (handshake, RFC 8446 §5.1), which no HTTP method does.
type sniffer struct {
	net.Listener
	cfg   *tls.Config
	ready chan net.Conn
	over  chan struct{}
	close func() error
	wg    sync.WaitGroup

	mu      sync.Mutex
	waiting map[net.Conn]struct{} // nothing has come from them yet
	closed  bool
}

// A socket that says nothing is cut after sniffTime; at most sniffMax wait at a time.
const (
	sniffTime = 10 * time.Second
	sniffMax  = 4096
	tlsRecord = 22
)

func newSniffer(l net.Listener, cfg *tls.Config) *sniffer {
	s := &sniffer{Listener: l, cfg: cfg, ready: make(chan net.Conn), over: make(chan struct{}), waiting: map[net.Conn]struct{}{}}
	s.close = sync.OnceValue(func() error {
		err := l.Close()
		close(s.over)
		s.mu.Lock()
		s.closed = true
		for c := range s.waiting {
			_ = c.Close()
		}
		s.mu.Unlock()
		s.wg.Wait()
		return err
	})
	s.wg.Go(s.run)
	return s
}

// Accept implements net.Listener.
func (s *sniffer) Accept() (net.Conn, error) {
	select {
	case c := <-s.ready:
		return c, nil
	case <-s.over:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener; it waits for what the listener started.
func (s *sniffer) Close() error { return s.close() }

func (s *sniffer) run() {
	places := make(chan struct{}, sniffMax)
	for {
		places <- struct{}{} // given back after at most sniffTime
		c, err := s.Listener.Accept()
		if err != nil {
			<-places
			if s.pause() {
				continue
			}
			return
		}
		s.mu.Lock()
		s.waiting[c] = struct{}{}
		if s.closed {
			_ = c.Close()
		}
		s.mu.Unlock()
		s.wg.Go(func() {
			defer func() { <-places }()
			s.sniff(c)
		})
	}
}

// pause waits a moment after an error of Accept, which may pass (out of descriptors); false when the listener is
// closed.
func (s *sniffer) pause() bool {
	pause := time.NewTimer(50 * time.Millisecond)
	defer pause.Stop()
	select {
	case <-s.over:
		return false
	case <-pause.C:
		return true
	}
}

// sniff reads the first byte and hands the connection on.
func (s *sniffer) sniff(c net.Conn) {
	var first [1]byte
	_ = c.SetReadDeadline(time.Now().Add(sniffTime))
	n, err := c.Read(first[:])
	s.mu.Lock()
	delete(s.waiting, c)
	s.mu.Unlock()
	if n == 0 || err != nil {
		_ = c.Close()
		return
	}
	_ = c.SetReadDeadline(time.Time{})
	var out net.Conn = &peeked{Conn: c, first: first[0], has: true}
	if first[0] == tlsRecord {
		out = tls.Server(out, s.cfg)
	}
	select {
	case s.ready <- out:
	case <-s.over:
		_ = c.Close()
	}
}

// peeked is a connection whose first byte was read already.
type peeked struct {
	net.Conn
	first byte
	has   bool
}

// Read implements net.Conn.
func (p *peeked) Read(b []byte) (int, error) {
	if p.has && len(b) > 0 {
		b[0], p.has = p.first, false
		return 1, nil
	}
	return p.Conn.Read(b)
}
