package rtc

import (
	"bytes"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// Datagrams of both families arrive whole, in order and with their sender's address, also more of them than fit one
// batch; one that is no packet of ours is passed over; closing ends a waiting reader.
func TestSocket(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(addr, func(t *testing.T) {
			t.Parallel()
			var dropped atomic.Uint64
			a, b := socket(t, addr, &dropped), socket(t, addr, &dropped)
			const many, long = 40, 7
			for i := range many {
				size := 100 + i
				if i == long {
					size = 3000
				}
				if n, err := b.WriteTo(bytes.Repeat([]byte{byte(i)}, size), a.LocalAddr()); err != nil || n != size {
					t.Fatalf("datagram %d: %d bytes, %v", i, n, err)
				}
			}
			if err := a.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 8192)
			for i := byte(0); i < many; i++ {
				n, from, err := a.ReadFrom(buf)
				if err != nil {
					t.Fatal(err)
				}
				if i == long && n != 3000 {
					i++ // passed over, as where batches are read
				}
				if i != long && (n != 100+int(i) || !bytes.Equal(buf[:n], bytes.Repeat([]byte{i}, n))) {
					t.Fatalf("datagram %d: %d bytes of %d", i, n, buf[0])
				}
				if from.String() != b.LocalAddr().String() {
					t.Fatalf("sender %s, want %s", from, b.LocalAddr())
				}
			}
			if err := a.SetReadDeadline(time.Time{}); err != nil {
				t.Fatal(err)
			}
			over := make(chan error, 1)
			go func() {
				_, _, err := a.ReadFrom(buf)
				over <- err
			}()
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			if err := <-over; !errors.Is(err, net.ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		})
	}
}

func socket(t *testing.T, addr string, dropped *atomic.Uint64) *udpConn {
	t.Helper()
	c, err := listenUDP(addr, dropped)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
