package rtc

import "github.com/pion/webrtc/v3"

// stateOf derives a connection's state from its two sources. The library computes its own in two goroutines, and the
// older of two results may be stored last: "connecting" for ever, although ICE and DTLS are both connected.
func stateOf(pc *webrtc.PeerConnection) webrtc.PeerConnectionState {
	st := pc.ConnectionState()
	if st == webrtc.PeerConnectionStateClosed || st == webrtc.PeerConnectionStateFailed {
		return st
	}
	switch pc.ICEConnectionState() {
	case webrtc.ICEConnectionStateConnected, webrtc.ICEConnectionStateCompleted:
		if pc.SCTP().Transport().State() == webrtc.DTLSTransportStateConnected {
			return webrtc.PeerConnectionStateConnected
		}
	case webrtc.ICEConnectionStateDisconnected:
		return webrtc.PeerConnectionStateDisconnected
	default:
	}
	return st
}
