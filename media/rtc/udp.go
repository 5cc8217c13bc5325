package rtc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
)

const (
	socketBuffer = 8 << 20 // bytes; the kernel may grant less
	maxPeers     = 4096    // remembered addresses, beyond that the memory starts anew
)

// udpConn is the one socket of a listen address. Reading allocates nothing for a known peer. Writing drops when the
// socket's buffer is full: a blocked write would stop every session of the node, consent checks too (ice#971).
type udpConn struct {
	*net.UDPConn
	peers   map[netip.AddrPort]*net.UDPAddr // of the mux's single reading goroutine
	read    reader                          // of the same goroutine
	write   writer
	dropped *atomic.Uint64
}

func listenUDP(addr string, dropped *atomic.Uint64) (*udpConn, error) {
	var lc net.ListenConfig
	pc, err := lc.ListenPacket(context.Background(), "udp", addr)
	if err != nil {
		return nil, fmt.Errorf("rtc: listen: %w", err)
	}
	conn, ok := pc.(*net.UDPConn)
	if !ok {
		_ = pc.Close()
		return nil, fmt.Errorf("rtc: listen %s: no UDP socket", addr)
	}
	if local, ok := conn.LocalAddr().(*net.UDPAddr); !ok || local.IP.IsUnspecified() {
		_ = conn.Close()
		return nil, fmt.Errorf("rtc: listen %s: name an explicit address", addr)
	}
	_ = conn.SetReadBuffer(socketBuffer)  // best effort: the kernel's limit wins
	_ = conn.SetWriteBuffer(socketBuffer) // as above
	u := &udpConn{UDPConn: conn, peers: map[netip.AddrPort]*net.UDPAddr{}, dropped: dropped}
	if err := errors.Join(u.read.init(conn), u.write.init(conn)); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return u, nil
}

// ReadFrom implements net.PacketConn.
func (u *udpConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := u.read.from(b)
	if err != nil {
		return n, nil, err
	}
	peer, ok := u.peers[from]
	if !ok {
		if len(u.peers) >= maxPeers {
			clear(u.peers)
		}
		peer = net.UDPAddrFromAddrPort(from)
		u.peers[from] = peer
	}
	return n, peer, nil
}

// WriteTo implements net.PacketConn.
func (u *udpConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	to, ok := addr.(*net.UDPAddr)
	if !ok {
		return u.UDPConn.WriteTo(b, addr)
	}
	sent, err := u.write.to(b, to)
	if err != nil {
		return 0, err
	}
	if !sent {
		u.dropped.Add(1)
	}
	return len(b), nil
}
