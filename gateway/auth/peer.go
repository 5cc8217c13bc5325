package auth

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Peer is the other end of a request as far as it may be believed.
type Peer struct {
	Addr   netip.Addr // the client's address; behind a trusted proxy the one it names
	Host   string     // the host the client dialled, without port
	Secure bool       // TLS reached us, or a trusted proxy says that it reached the proxy
	Direct bool       // the TCP peer is the client: no trusted proxy, and no forwarding header of anybody
}

// Loopback reports whether the client sits on this machine and speaks to us without anything in between.
func (p Peer) Loopback() bool { return p.Direct && p.Addr.IsLoopback() }

// IsForwardHeader reports whether a header name (in canonical form) claims something about the client's address.
func IsForwardHeader(name string) bool {
	return name == "Forwarded" || name == "X-Real-Ip" || name == "Via" || name == "X-Client-Ip" || name == "True-Client-Ip" ||
		strings.HasPrefix(name, "X-Forwarded")
}

// ResolvePeer tells who speaks. Forwarding headers (X-Forwarded-For, -Proto and -Host) count only when the TCP peer
// is one of the trusted proxies; the client's address is then the last one in the list that is no trusted proxy.
func ResolvePeer(r *http.Request, trusted []netip.Prefix) Peer {
	p := Peer{Addr: addrOf(r.RemoteAddr), Host: hostOf(r.Host), Secure: r.TLS != nil}
	forwarded := false
	for name := range r.Header {
		if IsForwardHeader(name) {
			forwarded = true
			break
		}
	}
	if !isTrusted(p.Addr, trusted) {
		p.Direct = !forwarded
		return p
	}
	if !forwarded {
		// the proxy itself asks, e.g. its health check
		p.Direct = true
		return p
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		a := addrOf(strings.TrimSpace(hop))
		if !a.IsValid() {
			break
		}
		p.Addr = a
		if !isTrusted(a, trusted) {
			break
		}
	}
	if v := r.Header.Get("X-Forwarded-Proto"); v != "" {
		p.Secure = v == "https"
	}
	if v := r.Header.Get("X-Forwarded-Host"); v != "" {
		p.Host = hostOf(v)
	}
	return p
}

// BridgeKey is the user value under which gateway/bridge hands a request's context to gateway/rest.
const BridgeKey = "heyi.context"

type peerKey struct{}

// WithPeer returns a context that carries the peer of a request.
func WithPeer(ctx context.Context, p Peer) context.Context {
	return context.WithValue(ctx, peerKey{}, p)
}

// PeerOf returns the peer of a request; the zero Peer, which nothing trusts, when there is none.
func PeerOf(ctx context.Context) Peer {
	p, _ := ctx.Value(peerKey{}).(Peer)
	return p
}

func isTrusted(a netip.Addr, trusted []netip.Prefix) bool {
	return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(a) })
}

// addrOf reads "ip" or "ip:port"; the zero Addr when it is neither.
func addrOf(s string) netip.Addr {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

func hostOf(s string) string {
	if h, _, err := net.SplitHostPort(s); err == nil {
		return strings.ToLower(h)
	}
	return strings.ToLower(strings.Trim(s, "[]"))
}
