//go:build unix && !(linux && (amd64 || arm64 || loong64 || riscv64))

package rtc

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
)

// writer sends datagrams without ever waiting for buffer space. Requests are pooled, so that a packet allocates
// nothing: the closure that the runtime wants lives in the request.
type writer struct {
	raw  syscall.RawConn
	pool sync.Pool
}

type sendRequest struct {
	buf []byte
	to4 syscall.SockaddrInet4
	to6 syscall.SockaddrInet6
	to  syscall.Sockaddr
	err error
	do  func(fd uintptr) bool
}

func (w *writer) init(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("rtc: raw socket: %w", err)
	}
	w.raw = raw
	w.pool.New = func() any {
		r := &sendRequest{}
		r.do = func(fd uintptr) bool {
			for {
				r.err = syscall.Sendto(int(fd), r.buf, 0, r.to) // the socket is non-blocking
				if !errors.Is(r.err, syscall.EINTR) {
					return true // never ask the runtime to wait
				}
			}
		}
		return r
	}
	return nil
}

// to sends one datagram; sent is false when the socket's buffer was full.
func (w *writer) to(b []byte, addr *net.UDPAddr) (sent bool, err error) {
	r, _ := w.pool.Get().(*sendRequest)
	defer w.pool.Put(r)
	if ip := addr.IP.To4(); ip != nil {
		r.to4.Port, r.to4.Addr = addr.Port, [4]byte(ip)
		r.to = &r.to4
	} else {
		r.to6.Port, r.to6.Addr = addr.Port, [16]byte(addr.IP.To16())
		r.to = &r.to6
	}
	r.buf = b
	err = w.raw.Write(r.do)
	r.buf = nil
	if err == nil {
		err = r.err
	}
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.ENOBUFS):
		return false, nil
	case errors.Is(err, syscall.ECONNREFUSED):
		return true, nil // an earlier datagram met a closed port; ICE notices the silence
	}
	return err == nil, err
}
