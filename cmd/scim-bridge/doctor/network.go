package doctor

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// Network is the way to other machines.
type Network struct {
	// Resolve finds the addresses of a name. nil: the system's resolver.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Dial opens a connection. nil: directly, whatever proxy the environment
	// names.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Roots are the authorities that certificates must lead to. nil: the
	// system's.
	Roots *x509.CertPool
	// Now is the clock. nil: time.Now.
	Now func() time.Time
}

func (n Network) withDefaults() Network {
	if n.Resolve == nil {
		n.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if n.Dial == nil {
		n.Dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	if n.Now == nil {
		n.Now = time.Now
	}
	return n
}

const (
	dialTimeout = 5 * time.Second
	// soon and nearing are how long before its end a certificate is a Warning
	// and a Notice.
	soon    = 14 * 24 * time.Hour
	nearing = 30 * 24 * time.Hour
	// largestAnswer bounds what is read of an answer.
	largestAnswer = 64 << 10
)

// portOf is the URL's port, or its scheme's.
func portOf(u *url.URL) string {
	if u.Scheme == "http" {
		return cmp.Or(u.Port(), "80")
	}
	return cmp.Or(u.Port(), "443")
}

// addresses resolves the URL's host, which may be an address.
func (n Network) addresses(ctx context.Context, u *url.URL) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	all, err := n.Resolve(ctx, u.Hostname())
	for i, a := range all {
		all[i] = a.Unmap() // resolvers may write IPv4 as ::ffff:127.0.0.1
	}
	if err == nil && len(all) == 0 {
		err = &net.DNSError{Err: "no address", Name: u.Hostname(), IsNotFound: true}
	}
	return all, err
}

// connect is a connection to the URL's host, over TLS where it says https. The
// certificate is not verified.
func (n Network) connect(ctx context.Context, u *url.URL, least uint16) (net.Conn, *tls.ConnectionState, error) {
	conn, err := n.Dial(ctx, "tcp", net.JoinHostPort(u.Hostname(), portOf(u)))
	if err != nil || u.Scheme == "http" {
		return conn, nil, err
	}
	t := tls.Client(conn, &tls.Config{ServerName: u.Hostname(), InsecureSkipVerify: true, MinVersion: least, NextProtos: []string{"h2", "http/1.1"}})
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	state := t.ConnectionState()
	return t, &state, nil
}

// reach checks that the URL's host is reached, speaks TLS 1.2 and has a good
// certificate, and reports whether it is of use to go on. unreached is the
// level when it cannot be reached at all, elsewhere the remedy then.
func (f *findings) reach(ctx context.Context, n Network, u *url.URL, where string, unreached Level, elsewhere string) bool {
	conn, state, err := n.connect(ctx, u, tls.VersionTLS12)
	if err != nil {
		if old, _, again := n.connect(ctx, u, tls.VersionTLS10); again == nil {
			f.add(Error, where, "allow TLS 1.2 and 1.3 where TLS ends", "speaks no TLS newer than 1.1, which identity providers refuse")
			_ = old.Close() // nothing was sent
			return false
		}
		switch {
		case errors.Is(err, syscall.ECONNREFUSED):
			f.add(unreached, where, elsewhere, "nobody listens on port %s", portOf(u))
		case isHandshake(err):
			f.add(Error, where, elsewhere, "no TLS is spoken on port %s: %s", portOf(u), reason(err))
		default:
			f.add(unreached, where, elsewhere, "cannot be reached from this host: %s", reason(err))
		}
		return false
	}
	_ = conn.Close() // nothing was sent
	return state == nil || f.certificate(state.PeerCertificates, n, u.Hostname(), where)
}

// isHandshake says that a connection came about, and TLS did not.
func isHandshake(err error) bool {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	_, ok := errors.AsType[tls.AlertError](err)
	return ok || errors.Is(err, io.EOF)
}

// certificate judges what a server sent, as strict clients do, and reports
// whether they accept it.
func (f *findings) certificate(sent []*x509.Certificate, n Network, host, where string) bool {
	const renew = "have it renewed, and the renewal repeated by itself"
	now, good := n.Now(), true
	bad := func(remedy, detail string, args ...any) {
		f.add(Error, where, remedy, detail, args...)
		good = false
	}
	leaf := sent[0]
	within := now // when what was sent is valid, to judge the chain apart
	for i, c := range sent {
		whose := "the certificate"
		if i > 0 {
			whose = "the intermediate certificate of " + c.Subject.CommonName
		}
		left := c.NotAfter.Sub(now)
		switch {
		case left <= 0:
			bad(renew, "%s expired %s ago, on %s", whose, span(-left), c.NotAfter.UTC().Format(time.DateOnly))
			within = c.NotAfter.Add(-time.Second)
		case now.Before(c.NotBefore):
			bad("check the clock of this host; else wait", "%s is not valid before %s", whose, c.NotBefore.UTC().Format(time.RFC3339))
			within = c.NotBefore.Add(time.Second)
		case left < soon:
			f.add(Warning, where, renew, "%s expires in %s, on %s", whose, span(left), c.NotAfter.UTC().Format(time.DateOnly))
		case left < nearing:
			f.add(Notice, where, renew, "%s expires in %s, on %s", whose, span(left), c.NotAfter.UTC().Format(time.DateOnly))
		}
	}
	if err := leaf.VerifyHostname(host); err != nil {
		bad("have one made for that name", "the certificate is not for %s, but for %s", host, clip(strings.Join(leaf.DNSNames, ", ")))
	}
	between := x509.NewCertPool()
	for _, c := range sent[1:] {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: n.Roots, Intermediates: between, CurrentTime: within})
	if wrong, ok := errors.AsType[x509.CertificateInvalidError](err); ok && wrong.Reason == x509.Expired && !good {
		err = nil // that was said, and of which one
	}
	if err != nil {
		switch {
		case bytes.Equal(leaf.RawIssuer, leaf.RawSubject):
			bad("use one of a public authority", "the certificate is signed by itself: identity providers refuse it")
		case len(sent) == 1:
			bad("put the intermediate certificates behind the server's own in its file (tls.cert_file holds the whole chain)",
				"the chain is incomplete: the certificate of %s is missing, or is not trusted", clip(cmp.Or(leaf.Issuer.CommonName, leaf.Issuer.String())))
		default:
			bad("use one of a public authority", "the certificate does not lead to an authority that this host trusts: %s", reason(err))
		}
	}
	if good {
		f.ok(where, "TLS works; the certificate is valid until %s", leaf.NotAfter.UTC().Format(time.DateOnly))
	}
	return good
}

// reply is an answer whose body was read, up to largestAnswer.
type reply struct {
	status int
	header http.Header
	body   []byte
	// midpoint is when the answer was made, by our clock; took is how long it
	// was on its way.
	midpoint time.Time
	took     time.Duration
}

// request is one that carries nothing secret.
type request struct {
	method, url string
	header      map[string]string
	body        io.Reader
}

// do sends a request over a connection of its own. It follows no redirect.
func (n Network) do(ctx context.Context, q request) (*reply, error) {
	t := &http.Transport{
		DialContext: n.Dial, TLSClientConfig: &tls.Config{RootCAs: n.Roots, Time: n.Now, MinVersion: tls.VersionTLS12},
		DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10, ResponseHeaderTimeout: 10 * time.Second,
	}
	defer t.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, q.method, q.url, q.body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", "scim-bridge doctor")
	for name, value := range q.header {
		r.Header.Set(name, value)
	}
	start := n.Now()
	resp, err := t.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	took := n.Now().Sub(start)
	body, err := io.ReadAll(io.LimitReader(resp.Body, largestAnswer))
	if err != nil && len(body) == 0 {
		return nil, err
	}
	return &reply{status: resp.StatusCode, header: resp.Header, body: body, midpoint: start.Add(took / 2), took: took}, nil
}
