//go:build !unix

package rtc

import "net"

// writer sends datagrams; on this system it may wait for buffer space.
type writer struct{ conn *net.UDPConn }

func (w *writer) init(conn *net.UDPConn) error {
	w.conn = conn
	return nil
}

func (w *writer) to(b []byte, addr *net.UDPAddr) (sent bool, err error) {
	_, err = w.conn.WriteToUDP(b, addr)
	return err == nil, err
}
