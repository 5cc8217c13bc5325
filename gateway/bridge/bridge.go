// Package bridge makes a Fiber app an http.Handler.
//
// The stock adaptor of Fiber loses repeated headers, ignores BodyLimit, buffers streams, never cancels and hides TLS;
// the contract test of this package holds each of these points. One handler serves one app; it is safe for
// concurrent use.
package bridge

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"heyi/gateway/auth"
)

// Config is what the bridge needs to know.
type Config struct {
	// Limit says how many bytes a request's body may have; a longer one is answered by TooLarge, unread.
	Limit func(method, path string) int64
	// TooLarge writes the answer to a body beyond Limit; nil answers 413 without a body.
	TooLarge http.Handler
	// Trusted are the proxies whose forwarding headers count. Those of anybody else are dropped.
	Trusted []netip.Prefix
}

// chunk is the size of the copy buffers in bytes.
const chunk = 16 << 10

type bridge struct {
	serve fasthttp.RequestHandler
	cfg   Config
	ctxs  sync.Pool // *fasthttp.RequestCtx
	bufs  sync.Pool // *[]byte
}

// New returns app as an http.Handler.
//
// The app sees the client's address as its remote address, c.Secure() tells whether the client spoke TLS, and the
// request's context, which ends when the client goes away and carries auth.Peer, is the user value auth.BridgeKey.
func New(app *fiber.App, cfg Config) http.Handler {
	return &bridge{
		serve: app.Handler(), cfg: cfg,
		ctxs: sync.Pool{New: func() any { return new(fasthttp.RequestCtx) }},
		bufs: sync.Pool{New: func() any { b := make([]byte, chunk); return &b }},
	}
}

// ServeHTTP implements http.Handler.
func (b *bridge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fc, _ := b.ctxs.Get().(*fasthttp.RequestCtx)
	defer func() {
		fc.Request.Reset()
		fc.Response.Reset()
		fc.ResetUserValues()
		b.ctxs.Put(fc)
	}()
	peer := auth.ResolvePeer(r, b.cfg.Trusted)
	fc.Init(&fasthttp.Request{}, &net.TCPAddr{IP: peer.Addr.AsSlice()}, nil)
	b.head(&fc.Request, r, peer)
	if err := b.body(&fc.Request, r); err != nil {
		var tooLarge *http.MaxBytesError
		switch {
		case !errors.As(err, &tooLarge):
			return // the client went away in the middle of its body
		case b.cfg.TooLarge != nil:
			b.cfg.TooLarge.ServeHTTP(w, r)
		default:
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		}
		return
	}
	fc.SetUserValue(auth.BridgeKey, auth.WithPeer(r.Context(), peer))
	b.serve(fc)
	b.answer(w, r, &fc.Response)
}

// head copies method, address and headers. The forwarding headers that reach the app are ours alone.
func (b *bridge) head(q *fasthttp.Request, r *http.Request, peer auth.Peer) {
	q.Header.SetMethod(r.Method)
	q.SetRequestURI(r.RequestURI)
	for name, values := range r.Header {
		if auth.IsForwardHeader(name) {
			continue
		}
		for _, v := range values {
			q.Header.Add(name, v)
		}
	}
	q.Header.SetHost(r.Host)
	if peer.Secure {
		q.Header.Set(fiber.HeaderXForwardedProto, "https") // where c.Secure() looks
	}
}

func (b *bridge) body(q *fasthttp.Request, r *http.Request) error {
	if r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	limit := b.cfg.Limit(r.Method, r.URL.Path)
	if r.ContentLength > limit {
		return &http.MaxBytesError{Limit: limit}
	}
	buf, _ := b.bufs.Get().(*[]byte)
	defer b.bufs.Put(buf)
	// a nil ResponseWriter: the answer to a long body is ours
	n, err := io.CopyBuffer(struct{ io.Writer }{q.BodyWriter()}, struct{ io.Reader }{http.MaxBytesReader(nil, r.Body, limit)}, *buf)
	if err != nil {
		return err
	}
	q.Header.SetContentLength(int(n))
	return nil
}

func (b *bridge) answer(w http.ResponseWriter, r *http.Request, res *fasthttp.Response) {
	h := w.Header()
	for name, value := range res.Header.All() {
		if bytes.EqualFold(name, []byte(fiber.HeaderConnection)) || bytes.EqualFold(name, []byte(fiber.HeaderTransferEncoding)) {
			continue // net/http's own affair
		}
		h.Add(string(name), string(value))
	}
	if !res.IsBodyStream() {
		w.WriteHeader(res.StatusCode())
		if r.Method != http.MethodHead {
			_, _ = w.Write(res.Body()) // a client that is gone needs no answer
		}
		return
	}
	defer func() { _ = res.CloseBodyStream() }()
	h.Del(fiber.HeaderContentLength)
	w.WriteHeader(res.StatusCode())
	buf, _ := b.bufs.Get().(*[]byte)
	defer b.bufs.Put(buf)
	flush := http.NewResponseController(w)
	for {
		n, err := res.BodyStream().Read(*buf)
		if n > 0 {
			if _, werr := w.Write((*buf)[:n]); werr != nil {
				return
			}
			_ = flush.Flush() // a writer that cannot flush sends when it is full
		}
		if err != nil {
			return
		}
	}
}
