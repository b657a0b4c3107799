package doctor_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/cache"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/doctor"
	"github.com/sharearefund/scim-bridge/store/storetest/pgtest"
)

func TestMain(m *testing.M) {
	cache.RouteClientLog(slog.New(slog.DiscardHandler))
	os.Exit(pgtest.Run(m))
}

// now is the clock of every test that has one.
var now = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

func clock() time.Time { return now }

// look makes one check.
func look(t *testing.T, c doctor.Check) []doctor.Finding {
	t.Helper()
	return doctor.Run(t.Context(), []doctor.Check{c}, doctor.RunOptions{})
}

// lines are findings as "level subject: detail → remedy".
func lines(found []doctor.Finding) string {
	var b strings.Builder
	for _, f := range found {
		fmt.Fprintf(&b, "%s %s: %s → %s\n", f.Level, f.Subject, f.Detail, f.Remedy)
	}
	return b.String()
}

// expect checks that each of want, "level words", is among the findings, that
// what is a Warning or worse is wanted, and has a remedy.
func expect(t *testing.T, found []doctor.Finding, want ...string) {
	t.Helper()
	met := make([]bool, len(found))
	for _, w := range want {
		level, words, _ := strings.Cut(w, " ")
		hit := false
		for i, f := range found {
			if string(f.Level) == level && strings.Contains(f.Subject+": "+f.Detail, words) {
				hit, met[i] = true, true
			}
		}
		if !hit {
			t.Errorf("no finding %q among\n%s", w, lines(found))
		}
	}
	for i, f := range found {
		bad := f.Level == doctor.Warning || f.Level == doctor.Error
		if bad && !met[i] {
			t.Errorf("unexpected: %s", lines(found[i:i+1]))
		}
		if bad && f.Remedy == "" {
			t.Errorf("no remedy: %s", lines(found[i:i+1]))
		}
	}
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes a certificate; by nil signs itself.
func issue(t *testing.T, by *authority, c x509.Certificate) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	if c.NotBefore.IsZero() {
		c.NotBefore = now.Add(-time.Hour)
	}
	if c.NotAfter.IsZero() {
		c.NotAfter = now.Add(90 * 24 * time.Hour)
	}
	c.BasicConstraintsValid = true
	parent, signer := &c, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, &c, parent, key.Public(), signer)
	check(t, err)
	made, err := x509.ParseCertificate(der)
	check(t, err)
	return &authority{made, key}
}

func ca(name string) x509.Certificate {
	return x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, KeyUsage: x509.KeyUsageCertSign}
}

func server(host string) x509.Certificate {
	return x509.Certificate{Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}}
}

// pki is a root, an intermediate below it, and the pool with the root.
func pki(t *testing.T) (root, between *authority, roots *x509.CertPool) {
	t.Helper()
	root = issue(t, nil, ca("Root"))
	between = issue(t, root, ca("Between"))
	roots = x509.NewCertPool()
	roots.AddCert(root.cert)
	return root, between, roots
}

// chain is what a server sends: the leaf and those behind it.
func chain(leaf *authority, behind ...*authority) *tls.Certificate {
	c := &tls.Certificate{PrivateKey: leaf.key, Certificate: [][]byte{leaf.cert.Raw}}
	for _, a := range behind {
		c.Certificate = append(c.Certificate, a.cert.Raw)
	}
	return c
}

const host = "scim.example.com"

// elsewhere is a network in which every name leads to addr, in the DNS as the
// address that it is said to have.
func elsewhere(addr string, known string, roots *x509.CertPool) doctor.Network {
	return doctor.Network{
		Resolve: func(_ context.Context, name string) ([]netip.Addr, error) {
			if known == "" {
				return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
			}
			return []netip.Addr{netip.MustParseAddr(known)}, nil
		},
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
		Roots: roots, Now: clock,
	}
}

// public is an address of the Internet.
const public = "93.184.216.34"

// serveTLS serves until the test ends.
func serveTLS(t *testing.T, c *tls.Certificate, h http.Handler, change func(*tls.Config)) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{*c}, MinVersion: tls.VersionTLS12}
	if change != nil {
		change(srv.TLS)
	}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	check(t, l.Close())
	return l.Addr().String()
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var errBroken = errors.New("disk I/O error")
