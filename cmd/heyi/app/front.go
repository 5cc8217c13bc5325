package app

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"heyi/configs"
	"heyi/gateway/auth"
	"heyi/gateway/link"
	"heyi/gateway/rest"
	"heyi/gateway/wire"
	"heyi/internal/fault"
	"heyi/internal/ident"
	"heyi/mediation/flow"
	"heyi/mediation/session"
)

// addresses returns where the pages are on this machine and the address that stands in links and QR codes.
func addresses(c configs.HTTP) (local, public string, err error) {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return "", "", fmt.Errorf("http.listen: %w", err)
	}
	ip := net.ParseIP(host)
	local = "http://" + net.JoinHostPort("127.0.0.1", port)
	if ip != nil && !ip.IsUnspecified() {
		local = "http://" + net.JoinHostPort(host, port)
		if c.TLS && !ip.IsLoopback() {
			local = "https://" + net.JoinHostPort(host, port)
		}
	}
	public = strings.TrimSuffix(c.PublicURL, "/")
	switch {
	case public != "":
		if u, err := url.Parse(public); err != nil || u.Host == "" {
			return "", "", fmt.Errorf("http.public_url %q: want https://host[:port]", c.PublicURL)
		}
	case !c.TLS:
		public = local
	default:
		lan := host
		if ip == nil || ip.IsUnspecified() {
			lan = lanAddress()
		}
		public = "https://" + net.JoinHostPort(lan, port)
	}
	return local, public, nil
}

// lanAddress returns the first IPv4 address of this machine that others can reach, a private one before any other;
// 127.0.0.1 when it has none.
func lanAddress() string {
	found := "127.0.0.1"
	for _, ip := range localIPs() {
		switch {
		case !ip.Is4() || ip.IsLoopback():
		case ip.IsPrivate():
			return ip.String()
		case found == "127.0.0.1":
			found = ip.String()
		}
	}
	return found
}

// localIPs lists this machine's unicast addresses, loopback first.
func localIPs() []netip.Addr {
	list := []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return list
	}
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && !p.Addr().IsLoopback() && !p.Addr().IsLinkLocalUnicast() {
			list = append(list, p.Addr())
		}
	}
	return list
}

// mediaAddresses returns where the engine listens. The default is loopback; when the pages are offered to the LAN, the
// same port of every IPv4 address of this machine is used.
func (n *node) mediaAddresses() []string {
	list := n.cfg.Media.ListenUDP
	host, _, err := net.SplitHostPort(n.cfg.HTTP.Listen)
	ip := net.ParseIP(host)
	if err != nil || (ip != nil && !ip.IsUnspecified()) || len(list) != 1 || !strings.HasPrefix(list[0], "127.0.0.1:") {
		return list
	}
	_, port, err := net.SplitHostPort(list[0])
	if err != nil {
		return list
	}
	var all []string
	for _, ip := range localIPs() {
		if ip.Is4() {
			all = append(all, net.JoinHostPort(ip.String(), port))
		}
	}
	return all
}

// hosts are the names under which clients dial this node, the public one first.
func (n *node) hosts() []string {
	var list []string
	if u, err := url.Parse(n.public); err == nil {
		list = append(list, u.Hostname())
	}
	list = append(list, "localhost")
	for _, ip := range localIPs() {
		list = append(list, ip.String())
	}
	return list
}

func (n *node) linkConfig() link.Config {
	c := n.cfg.Link
	return link.Config{
		Node: n.cfg.Node.Name, Hosts: n.hosts(), Origins: n.cfg.HTTP.Origins, Trusted: n.trusted(), TZ: serviceTZ, DesiredVer: Version,
		AuthTimeout: c.AuthTimeout, MaxFrame: c.Frame, PerS: c.Rate, Burst: c.Burst, SendBuffer: c.SendBuffer, WriteTimeout: c.WriteTimeout,
		ReadTimeout: c.DeadAfter, PingEvery: c.Ping, PendingMax: c.PendingMax, NodePerS: c.ConnectRate, AddrPerS: c.AddressRate, AddrBurst: c.AddressBurst,
		BatchWait: c.EpochInterval, BatchMax: c.EpochBatch, WantWithin: c.WantWithin,
		AuthFails: c.AuthFails, AuthBlock: c.AuthBlock, Sweep: n.cfg.Coord.Sweep, AckTimeout: c.AckTimeout, DownSweep: c.DownSweep,
	}
}

// trusted reads the configured proxies; entries that are no address were refused by Validate.
func (n *node) trusted() []netip.Prefix {
	var list []netip.Prefix
	for _, s := range n.cfg.HTTP.TrustedProxies {
		if p, err := netip.ParsePrefix(s); err == nil {
			list = append(list, p)
		} else if a, err := netip.ParseAddr(s); err == nil {
			list = append(list, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return list
}

func (n *node) info(context.Context) (rest.Info, error) {
	return rest.Info{Version: Version, Node: n.cfg.Node.Name, Demo: n.cfg.Demo, TZ: serviceTZ, Open: true}, nil
}

func (n *node) rtt(id ident.DeviceID) (int, bool) {
	d, ok := n.hub.RTT(id)
	return int(d.Milliseconds()), ok
}

func (n *node) deviceArea() rest.Devices {
	return rest.Devices{Registry: n.registry, Streams: n.streams, History: n.history, Tree: n.tree, RTT: n.rtt, Now: n.now}
}

// requests are what people ask for, the same through REST and the link.
func (n *node) requests() *flow.Requests {
	return &flow.Requests{Desk: n.desk, Flow: n.flow, Dockets: n.dockets, Views: n.views, Visits: n.registry, Now: n.now}
}

func (n *node) staffArea() rest.Staff {
	return rest.Staff{People: n.people, Tokens: n.tokens, CSRF: n.auth.CSRF, Registry: n.registry, Tree: n.tree, Nudges: n.coord, Demo: n.cfg.Demo, Now: n.now}
}

func (n *node) consoleArea(figures func(context.Context, ident.UnitID) (rest.Figures, error)) rest.Console {
	return rest.Console{
		Registry: n.registry, History: n.history, Figures: figures, Nodes: n.coord, Now: n.now,
		Packages: func(ctx context.Context, unit ident.UnitID) (p rest.Packages, err error) {
			p.Queued, p.Dead, err = n.store.OpenHandoffs(ctx, unit)
			return p, err //nolint:wrapcheck // a fault keeps its code
		},
	}
}

// areas are the routes of the API.
func (n *node) areas() []rest.Area {
	now := n.now
	return append(slices.Concat(n.partyAreas(), n.caseAreas()), []rest.Area{
		n.staffArea(),
		rest.Claims{Registry: n.registry, Tree: n.tree, PublicURL: n.public, Now: now},
		n.deviceArea(),
		rest.Commands{Commands: n.commands},
		n.consoleArea(n.figures),
		rest.ConsoleQueue{Views: n.views},
		rest.Situation{Views: n.views},
		rest.Visits{Requests: n.requests()},
		rest.Tickets{Requests: n.requests()},
		rest.Captures{Captures: n.captures, Tokens: n.tokens, CSRF: n.auth.CSRF, PublicURL: n.public, Now: now},
		rest.Desk{Requests: n.requests()},
		rest.Sessions{
			Requests: n.requests(), Rooms: n.rooms, Records: &session.Records{Store: n.store, Nudges: n.coord, Now: now}, Tokens: n.tokens, RTCPath: "/ws/rtc", Now: now,
		},
	}...)
}

func (n *node) figures(ctx context.Context, unit ident.UnitID) (rest.Figures, error) {
	o, err := n.views.Overview(ctx, unit)
	if err != nil {
		return rest.Figures{}, err //nolint:wrapcheck // a fault keeps its code
	}
	return rest.Figures{
		Waiting: o.Tickets.Waiting, Ringing: o.Tickets.Ringing, Serving: o.Tickets.Serving,
		Ready: o.Seats.Ready, Busy: o.Seats.Busy, Away: o.Seats.Away, Live: o.Sessions.Live, Rated: o.Rated.Count, RatedAvg: o.Rated.Avg,
		Met: o.Today.Met, Missed: o.Today.Missed, WaitP50: o.Today.WaitMS.P50, WaitP95: o.Today.WaitMS.P95,
	}, nil
}

// sync lists what is open for a caller.
func (n *node) sync(ctx context.Context, c auth.Caller) ([]wire.SyncItem, error) {
	var open []flow.OpenItem
	switch c.Kind {
	case auth.Device, auth.Capture:
		list, err := n.store.OpenAt(ctx, c.DeviceID)
		if err != nil {
			return nil, err //nolint:wrapcheck // a fault keeps its code
		}
		open = list
	case auth.Staff:
		if !c.Has(auth.RolesOf(auth.TakeTickets)...) {
			return nil, nil
		}
		d, err := n.views.Desk(ctx, c.StaffID)
		if err != nil {
			return nil, err //nolint:wrapcheck // a fault keeps its code
		}
		open = d.OpenAt(c.StaffID)
	case auth.Party:
		d, err := n.dockets.Mine(ctx, flow.By{Actor: c.Actor(), Link: c.Link})
		if fault.KindOf(err) == fault.NotFound {
			return nil, nil
		}
		if err != nil {
			return nil, err //nolint:wrapcheck // a fault keeps its code
		}
		open = []flow.OpenItem{{Type: "dispute", ID: string(d.ID), Ver: d.Ver}}
	}
	items := make([]wire.SyncItem, len(open))
	for i, o := range open {
		items[i] = wire.SyncItem{T: o.Type, ID: o.ID, Ver: o.Ver}
	}
	return items, nil
}

// liveView answers the console's live lists.
func (n *node) liveView(ctx context.Context, c auth.Caller, open wire.ViewOpenBody) (link.ViewRows, error) {
	rows, total, err := rest.DeviceView(ctx, n.deviceArea(), c, open)
	if err != nil {
		return link.ViewRows{}, err //nolint:wrapcheck // a fault keeps its code
	}
	out := link.ViewRows{Total: total, Rows: make([]link.ViewRow, len(rows))}
	for i, r := range rows {
		out.Rows[i] = link.ViewRow(r)
	}
	return out, nil
}

// seatWatch tells the line whether a mediator's desk has a link.
func (n *node) seatWatch(ctx context.Context, addr string, c auth.Caller, live bool) {
	if c.Kind != auth.Staff || !c.Has(auth.RolesOf(auth.TakeTickets)...) || !strings.HasPrefix(addr, "staff/") {
		return
	}
	if err := n.desk.SeatLink(ctx, c.StaffID, live); err != nil && ctx.Err() == nil {
		n.logger.WarnContext(ctx, "a seat's link was not noted", slog.Any("error", err), slog.Bool("live", live))
	}
}

// cloned quarantines a device whose identity lives in two places.
func (n *node) cloned(ctx context.Context, dev ident.DeviceID, unit ident.UnitID) {
	n.logger.WarnContext(ctx, "one identity in two places", slog.String("device", string(dev)))
	if err := n.registry.Quarantine(ctx, dev, unit); err != nil && ctx.Err() == nil {
		n.logger.ErrorContext(ctx, "a cloned device stays in service", slog.String("device", string(dev)), slog.Any("error", err))
	}
}

// pad makes a 12-digit division code.
func pad(code string) string {
	if len(code) < 12 {
		return code + strings.Repeat("0", 12-len(code))
	}
	return code
}
