//go:build !(linux && (amd64 || arm64 || loong64 || riscv64))

package rtc

import (
	"net"
	"net/netip"
)

// reader takes one datagram at a time. It belongs to one goroutine.
type reader struct{ conn *net.UDPConn }

func (r *reader) init(conn *net.UDPConn) error {
	r.conn = conn
	return nil
}

// from returns the next datagram.
func (r *reader) from(b []byte) (int, netip.AddrPort, error) {
	n, from, err := r.conn.ReadFromUDPAddrPort(b)
	return n, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), err
}
