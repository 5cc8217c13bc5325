package wire

import (
	"crypto/sha256"
	"encoding/binary"
)

// ConnectProof returns the bytes that a device signs in connect: "heyi.v1 connect" 0x00, then each with a 16-bit
// big-endian length: server name dialled, nonce, cnonce, device id, SHA-256 of the credential text, TLS exporter
// (empty in this build).
func ConnectProof(server string, nonce, cnonce []byte, deviceID, cred string, exporter []byte) []byte {
	sum := sha256.Sum256([]byte(cred))
	b := append(make([]byte, 0, 256), "heyi.v1 connect\x00"...)
	for _, part := range [][]byte{[]byte(server), nonce, cnonce, []byte(deviceID), sum[:], exporter} {
		b = lengthPrefixed(b, part)
	}
	return b
}

// ClaimProof returns the bytes that a new device key signs in POST /claims: "heyi.v1 claim" 0x00, then with 16-bit
// big-endian lengths: public key bytes, serial.
func ClaimProof(pub []byte, serial string) []byte {
	b := append(make([]byte, 0, 128), "heyi.v1 claim\x00"...)
	return lengthPrefixed(lengthPrefixed(b, pub), []byte(serial))
}

// lengthPrefixed appends part behind its length; a part beyond 65,535 bytes is cut, which no valid input reaches
// (frames before auth hold 4 KiB).
func lengthPrefixed(b, part []byte) []byte {
	part = part[:min(len(part), 1<<16-1)]
	return append(binary.BigEndian.AppendUint16(b, uint16(len(part))), part...)
}
