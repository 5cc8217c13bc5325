package rtc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"io"
	"time"

	"github.com/pion/dtls/v2"
	"github.com/pion/ice/v2"
	"github.com/pion/interceptor"
	"github.com/pion/logging"
	"github.com/pion/sdp/v3"
	"github.com/pion/transport/v2/packetio"
	"github.com/pion/webrtc/v3"
)

// replayWindow is the SRTP replay window: late retransmissions must not fall out of it (media.md §6.2).
const replayWindow = 512

// bufferFactory makes the place where pion puts decrypted packets of one SSRC. Ours forward at once, on pion's
// decrypting goroutine: no queue, no goroutine per track.
type bufferFactory func(kind packetio.BufferPacketType, ssrc uint32) io.ReadWriteCloser

// apis makes peer connections of the two kinds.
type apis struct {
	setting   webrtc.SettingEngine
	cert      webrtc.Certificate
	handshake time.Duration
}

func newAPIs(cfg Config, mux ice.UDPMux) (*apis, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("rtc: certificate key: %w", err)
	}
	cert, err := webrtc.GenerateCertificate(key)
	if err != nil {
		return nil, fmt.Errorf("rtc: certificate: %w", err)
	}
	var s webrtc.SettingEngine
	s.SetLite(true)
	s.SetICEUDPMux(mux)
	s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6})
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	s.SetIncludeLoopbackCandidate(true)
	if len(cfg.PublicIPs) > 0 {
		s.SetNAT1To1IPs(cfg.PublicIPs, webrtc.ICECandidateTypeHost)
	}
	s.SetICETimeouts(cfg.SilentAfter, 25*time.Second, 2*time.Second)
	s.SetSRTPReplayProtectionWindow(replayWindow)
	s.DisableActiveTCP(true)
	s.LoggerFactory = silence{}
	return &apis{setting: s, cert: *cert, handshake: cfg.Handshake}, nil
}

// pub makes a connection that receives a publisher's media. GCM is safe here: this side sends no RTP (media.md §7.3).
func (a *apis) pub(buffers bufferFactory) (*webrtc.PeerConnection, error) {
	s := a.setting
	s.SetSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80)
	m := &webrtc.MediaEngine{}
	feedback := []webrtc.RTCPFeedback{{Type: "transport-cc"}, {Type: "nack"}}
	if err := codecs(m, feedback, append(feedback, webrtc.RTCPFeedback{Type: "nack", Parameter: "pli"})); err != nil {
		return nil, err
	}
	for uri, kinds := range map[string][]webrtc.RTPCodecType{
		sdp.TransportCCURI: {webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo},
		sdp.AudioLevelURI:  {webrtc.RTPCodecTypeAudio},
	} {
		for _, kind := range kinds {
			if err := m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: uri}, kind); err != nil {
				return nil, fmt.Errorf("rtc: header extension: %w", err)
			}
		}
	}
	return a.connect(s, m, buffers)
}

// sub makes a connection that sends. AES-CM only: a retransmission on the media SSRC under GCM would repeat a nonce
// (media.md §7.3).
func (a *apis) sub(buffers bufferFactory) (*webrtc.PeerConnection, error) {
	s := a.setting
	s.SetSRTPProtectionProfiles(dtls.SRTP_AES128_CM_HMAC_SHA1_80)
	m := &webrtc.MediaEngine{}
	nack := []webrtc.RTCPFeedback{{Type: "nack"}}
	if err := codecs(m, nack, append(nack, webrtc.RTCPFeedback{Type: "nack", Parameter: "pli"})); err != nil {
		return nil, err
	}
	return a.connect(s, m, buffers)
}

func (a *apis) connect(s webrtc.SettingEngine, m *webrtc.MediaEngine, buffers bufferFactory) (*webrtc.PeerConnection, error) {
	s.BufferFactory = buffers
	// no interceptors: their NACK buffers are per subscriber, ours per published track (performance.md)
	api := webrtc.NewAPI(webrtc.WithSettingEngine(s), webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(&interceptor.Registry{}))
	pc, err := api.NewPeerConnection(webrtc.Configuration{
		BundlePolicy:  webrtc.BundlePolicyMaxBundle,
		RTCPMuxPolicy: webrtc.RTCPMuxPolicyRequire,
		Certificates:  []webrtc.Certificate{a.cert},
	})
	if err != nil {
		return nil, fmt.Errorf("rtc: peer connection: %w", err)
	}
	return pc, nil
}

// codecs registers those of media.md §9: VP8 first, H.264 constrained baseline for devices that have nothing else.
func codecs(m *webrtc.MediaEngine, audio, video []webrtc.RTCPFeedback) error {
	for _, c := range []struct {
		p    webrtc.RTPCodecParameters
		kind webrtc.RTPCodecType
	}{
		{webrtc.RTPCodecParameters{PayloadType: 111, RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2,
			SDPFmtpLine: "minptime=10;useinbandfec=1", RTCPFeedback: audio,
		}}, webrtc.RTPCodecTypeAudio},
		{webrtc.RTPCodecParameters{PayloadType: 96, RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeVP8, ClockRate: 90000, RTCPFeedback: video,
		}}, webrtc.RTPCodecTypeVideo},
		{webrtc.RTPCodecParameters{PayloadType: 102, RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeH264, ClockRate: 90000,
			SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f", RTCPFeedback: video,
		}}, webrtc.RTPCodecTypeVideo},
	} {
		if err := m.RegisterCodec(c.p, c.kind); err != nil {
			return fmt.Errorf("rtc: codec: %w", err)
		}
	}
	return nil
}

// silence drops pion's own log lines: they hold addresses and SDP, and what matters comes as a state or an error.
type silence struct{}

func (silence) NewLogger(string) logging.LeveledLogger { return silence{} }

func (silence) Trace(string)          {}
func (silence) Tracef(string, ...any) {}
func (silence) Debug(string)          {}
func (silence) Debugf(string, ...any) {}
func (silence) Info(string)           {}
func (silence) Infof(string, ...any)  {}
func (silence) Warn(string)           {}
func (silence) Warnf(string, ...any)  {}
func (silence) Error(string)          {}
func (silence) Errorf(string, ...any) {}
