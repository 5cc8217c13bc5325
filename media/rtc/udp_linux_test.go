//go:build linux && (amd64 || arm64 || loong64 || riscv64)

package rtc

import (
	"runtime"
	"syscall"
	"testing"
	"unsafe"
)

// The kernel walks an array of struct mmsghdr: 56 bytes of msghdr, 4 of length, 4 of padding, on every 64-bit processor.
// These do not compile where that is not so; make test-cross looks at the processors that no test runs on.
const (
	_ = uint(unsafe.Sizeof(message{}) - 64)
	_ = uint(64 - unsafe.Sizeof(message{}))
	_ = uint(unsafe.Offsetof(message{}.size) - 56)
	_ = uint(56 - unsafe.Offsetof(message{}.size))
)

// The numbers of the kernel's own tables (asm-generic/unistd.h for all but amd64).
func TestSystemCallNumbers(t *testing.T) {
	t.Parallel()
	sendto, recvmmsg := 206, 243
	if runtime.GOARCH == "amd64" {
		sendto, recvmmsg = 44, 299
	}
	if syscall.SYS_SENDTO != sendto || syscall.SYS_RECVMMSG != recvmmsg {
		t.Errorf("sendto %d, recvmmsg %d; want %d, %d", syscall.SYS_SENDTO, syscall.SYS_RECVMMSG, sendto, recvmmsg)
	}
}
