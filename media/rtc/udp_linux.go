//go:build linux && (amd64 || arm64 || loong64 || riscv64)

package rtc

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"unsafe"
)

// On Linux datagrams are moved by raw system calls. The socket never blocks, so the scheduler need not be told that a
// call may take long; telling it costs a fifth of a forwarded packet here (its monitor thread takes the processor away
// from a thread that is 20 us inside sendto and gives it to another: docs/performance.md).

const (
	readBatch  = 16   // datagrams of one recvmmsg
	readBuffer = 2048 // bytes; a longer datagram is no packet of ours
)

// rawName has room for the address of either family.
type rawName = syscall.RawSockaddrInet6

// writer sends datagrams without ever waiting for buffer space. Requests are pooled, so that a packet allocates
// nothing: the closure that the runtime wants lives in the request.
type writer struct {
	raw  syscall.RawConn
	pool sync.Pool
}

type sendRequest struct {
	buf  []byte
	name rawName
	size uintptr // bytes of name
	err  syscall.Errno
	do   func(fd uintptr) bool
}

func (w *writer) init(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("rtc: raw socket: %w", err)
	}
	w.raw = raw
	w.pool.New = func() any {
		r := &sendRequest{}
		r.do = r.send
		return r
	}
	return nil
}

func (r *sendRequest) send(fd uintptr) bool {
	for {
		_, _, r.err = syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(r.buf))), uintptr(len(r.buf)), //nolint:gosec // as package syscall does
			syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, uintptr(unsafe.Pointer(&r.name)), r.size) //nolint:gosec // as package syscall does
		if r.err != syscall.EINTR {
			return true // never ask the runtime to wait
		}
	}
}

// to sends one datagram; sent is false when the socket's buffer was full.
func (w *writer) to(b []byte, addr *net.UDPAddr) (sent bool, err error) {
	r, _ := w.pool.Get().(*sendRequest)
	defer w.pool.Put(r)
	r.name = rawName{Family: syscall.AF_INET6, Port: swapped(uint16(addr.Port))}
	r.size = syscall.SizeofSockaddrInet6
	if ip := addr.IP.To4(); ip != nil {
		four := (*syscall.RawSockaddrInet4)(unsafe.Pointer(&r.name)) //nolint:gosec // the kernel's own overlay
		four.Family, four.Addr = syscall.AF_INET, [4]byte(ip)
		r.size = syscall.SizeofSockaddrInet4
	} else {
		copy(r.name.Addr[:], addr.IP)
	}
	r.buf, r.err = b, 0
	err = w.raw.Write(r.do)
	r.buf = nil
	if err != nil {
		return false, err
	}
	switch r.err {
	case 0, syscall.ECONNREFUSED: // an earlier datagram met a closed port; ICE notices the silence
		return true, nil
	case syscall.EAGAIN, syscall.ENOBUFS:
		return false, nil
	default:
		return false, r.err
	}
}

// swapped turns a port into the order of bytes on the wire, and back.
func swapped(port uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], port)
	return binary.BigEndian.Uint16(b[:])
}

// message is struct mmsghdr.
type message struct {
	head syscall.Msghdr
	size uint32
	_    uint32
}

// reader takes datagrams in batches. It belongs to one goroutine.
type reader struct {
	raw   syscall.RawConn
	msgs  [readBatch]message
	iovs  [readBatch]syscall.Iovec
	names [readBatch]rawName
	bufs  [readBatch][readBuffer]byte
	next  int // message to hand out
	have  int
	err   syscall.Errno
	do    func(fd uintptr) bool
}

func (r *reader) init(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("rtc: raw socket: %w", err)
	}
	r.raw, r.do = raw, r.receive
	for i := range r.msgs {
		r.iovs[i].Base = &r.bufs[i][0]
		r.iovs[i].SetLen(readBuffer)
		r.msgs[i].head.Iov, r.msgs[i].head.Iovlen = &r.iovs[i], 1
		r.msgs[i].head.Name = (*byte)(unsafe.Pointer(&r.names[i])) //nolint:gosec // as package syscall does
	}
	return nil
}

func (r *reader) receive(fd uintptr) bool {
	for i := range r.msgs {
		r.msgs[i].head.Namelen = uint32(unsafe.Sizeof(r.names[i]))
	}
	for {
		var n uintptr
		n, _, r.err = syscall.RawSyscall6(syscall.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&r.msgs[0])), readBatch, syscall.MSG_DONTWAIT, 0, 0) //nolint:gosec // as package syscall does
		switch r.err {
		case 0:
			r.next, r.have = 0, int(n)
			return true
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false // the runtime waits for the next datagram
		default:
			return true
		}
	}
}

// from returns the next datagram.
func (r *reader) from(b []byte) (int, netip.AddrPort, error) {
	for {
		if r.next == r.have {
			r.err = 0
			if err := r.raw.Read(r.do); err != nil {
				return 0, netip.AddrPort{}, err
			}
			if r.err != 0 && r.err != syscall.ECONNREFUSED { // the answer to a datagram of ours that met a closed port
				return 0, netip.AddrPort{}, r.err
			}
			continue
		}
		i := r.next
		r.next++
		if r.msgs[i].head.Flags&syscall.MSG_TRUNC != 0 {
			continue
		}
		return copy(b, r.bufs[i][:r.msgs[i].size]), sender(&r.names[i]), nil
	}
}

func sender(name *rawName) netip.AddrPort {
	port := swapped(name.Port)
	if name.Family == syscall.AF_INET {
		four := (*syscall.RawSockaddrInet4)(unsafe.Pointer(name)) //nolint:gosec // the kernel's own overlay
		return netip.AddrPortFrom(netip.AddrFrom4(four.Addr), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(name.Addr).Unmap(), port)
}
