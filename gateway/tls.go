package gateway

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// TLS says how the application port speaks TLS. With CertFile the operator's own certificate is used; else with Dir a
// self-signed one is made there and kept; else the port is plain (loopback only, or behind a proxy that ends TLS).
type TLS struct {
	CertFile, KeyFile string
	Dir               string   // data directory for the self-signed certificate
	Names             []string // names of this host beside those that can be found out
}

// Times of the self-signed certificate. Browsers refuse leaf certificates of more than 398 days.
const (
	certLife  = 397 * 24 * time.Hour
	certRenew = 30 * 24 * time.Hour // made anew when less is left at a start
)

// config returns the TLS configuration, nil when the port is plain.
func (t TLS) config(ctx context.Context, logger *slog.Logger, now time.Time) (*tls.Config, error) {
	var cert tls.Certificate
	var err error
	switch {
	case t.CertFile != "":
		cert, err = tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	case t.Dir != "":
		cert, err = t.selfSigned(now)
	default:
		return nil, nil //nolint:nilnil // nil is "plain", as documented
	}
	if err != nil {
		return nil, fmt.Errorf("gateway: certificate: %w", err)
	}
	logger.InfoContext(ctx, "certificate", slog.String("sha256", fingerprint(cert)), slog.Bool("self_signed", t.CertFile == ""))
	return &tls.Config{
		Certificates: []tls.Certificate{cert},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2", "http/1.1"},
	}, nil
}

func fingerprint(c tls.Certificate) string {
	sum := sha256.Sum256(c.Certificate[0])
	return hex.EncodeToString(sum[:])
}

// selfSigned loads the certificate kept in Dir, or makes one: when there is none, when it ends soon, or when this host
// has an address or name that it does not cover.
func (t TLS) selfSigned(now time.Time) (tls.Certificate, error) {
	file := filepath.Join(t.Dir, "tls.pem")
	names, addrs, err := t.subjects()
	if err != nil {
		return tls.Certificate{}, err
	}
	switch src, err := os.ReadFile(file); { //nolint:gosec // our own file under the data directory
	case err == nil:
		cert, err := tls.X509KeyPair(src, src)
		if err == nil && covers(cert.Leaf, names, addrs, now) {
			return cert, nil
		}
	case !errors.Is(err, fs.ErrNotExist):
		return tls.Certificate{}, err
	}
	src, err := makeCertificate(names, addrs, now)
	if err != nil {
		return tls.Certificate{}, err
	}
	// written whole or not at all
	tmp := file + ".new"
	if err := os.WriteFile(tmp, src, 0o600); err != nil {
		return tls.Certificate{}, err
	}
	if err := os.Rename(tmp, file); err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(src, src)
}

// subjects are the names and addresses under which this host may be dialled.
func (t TLS) subjects() (names []string, addrs []net.IP, err error) {
	names = []string{"localhost"}
	if h, err := os.Hostname(); err == nil && !slices.Contains(names, h) {
		names = append(names, h)
	}
	for _, n := range t.Names {
		if a, err := netip.ParseAddr(n); err == nil {
			addrs = append(addrs, a.AsSlice())
		} else if !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	found, err := LocalAddrs()
	if err != nil {
		return nil, nil, err
	}
	for _, a := range found {
		addrs = append(addrs, a.AsSlice())
	}
	return names, addrs, nil
}

// LocalAddrs are the addresses of this host, loopback included, link-local ones left out.
func LocalAddrs() ([]netip.Addr, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil && !p.Addr().IsLinkLocalUnicast() {
			out = append(out, p.Addr().Unmap())
		}
	}
	return out, nil
}

// covers reports whether a certificate still serves for all names and addresses.
func covers(c *x509.Certificate, names []string, addrs []net.IP, now time.Time) bool {
	if c == nil || now.Before(c.NotBefore) || now.Add(certRenew).After(c.NotAfter) {
		return false
	}
	for _, n := range names {
		if !slices.Contains(c.DNSNames, n) {
			return false
		}
	}
	return !slices.ContainsFunc(addrs, func(a net.IP) bool { return !slices.ContainsFunc(c.IPAddresses, a.Equal) })
}

// makeCertificate returns certificate and key in PEM.
func makeCertificate(names []string, addrs []net.IP, now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: names[len(names)-1], Organization: []string{"Heyi"}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, DNSNames: names, IPAddresses: addrs,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
		return nil, err
	}
	if err := pem.Encode(&out, &pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
