package settings

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"strings"
)

// check looks at what several keys say together.
func (l *load) check(s *Settings) {
	l.checkListeners(s)
	l.checkCertificate(s)
	l.checkRedis(s)
	if !l.failed["limits.drain_timeout"] && !l.failed["limits.request_timeout"] && s.Limits.DrainTimeout < s.Limits.RequestTimeout {
		l.complainAbout("limits.drain_timeout", &complaint{
			fmt.Sprintf("is shorter than limits.request_timeout (%s), so that a shutdown would cut requests off", s.Limits.RequestTimeout),
			fmt.Sprintf("choose %s or more", s.Limits.RequestTimeout),
		})
	}
	if strings.HasPrefix(s.Store.URL, "sqlite:") {
		for _, path := range []string{"store.password_env", "store.password_file"} {
			if l.text(path) != "" {
				l.complainAbout(path, &complaint{"has no effect: store.url names a SQLite file", "remove it or set store.url to a PostgreSQL database"})
			}
		}
	}
}

func (l *load) checkListeners(s *Settings) {
	tlsSet := l.text("tls.cert_file") != "" || l.text("tls.key_file") != ""
	proxies := len(l.values["trusted_proxies"].list) > 0
	switch {
	case tlsSet && proxies:
		v := l.values["trusted_proxies"]
		l.complain("trusted_proxies", v.from, strings.Join(v.list, ", "), &complaint{
			"is set beside tls: either the bridge ends TLS or a proxy before it does",
			"remove trusted_proxies or tls",
		})
	case !tlsSet && !proxies && !l.failed["listen"] && !l.failed["tls"] && !l.failed["trusted_proxies"] && !listensOnLoopback(s.Listen):
		l.complainAbout("listen", &complaint{
			"would take credentials in the clear from other machines",
			"set tls.cert_file and tls.key_file, or trusted_proxies when a proxy ends TLS, or listen on 127.0.0.1",
		})
	}
	if s.MetricsListen != "" && s.MetricsListen == s.Listen && !strings.HasSuffix(s.Listen, ":0") {
		l.complainAbout("metrics_listen", &complaint{"is the same as listen", "choose another port, or remove it to serve metrics on listen"})
	}
}

func listensOnLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && isLoopback(host)
}

func (l *load) checkCertificate(s *Settings) {
	cert, key := s.TLS.CertFile, s.TLS.KeyFile
	switch {
	case cert == "" && key == "":
		return
	case cert == "":
		l.complain("tls.cert_file", "", "", &complaint{"is missing beside tls.key_file", "name the certificate, the whole chain in one PEM file"})
		return
	case key == "":
		l.complain("tls.key_file", "", "", &complaint{"is missing beside tls.cert_file", "name the certificate's private key, a PEM file"})
		return
	}
	certPEM, errCert := os.ReadFile(cert)
	if errCert != nil {
		l.complainAbout("tls.cert_file", &complaint{"cannot be read: " + reason(errCert), "name a file that the bridge may read"})
	}
	keyPEM, c := readSecretFile(key)
	l.complainAbout("tls.key_file", c)
	if errCert != nil || c != nil {
		return
	}
	if _, err := tls.X509KeyPair(certPEM, []byte(keyPEM)); err != nil {
		l.complainAbout("tls.cert_file", &complaint{
			"does not go with tls.key_file: " + strings.TrimPrefix(err.Error(), "tls: "),
			"name a PEM certificate and the key that it was made for",
		})
	}
}

// checkRedis refuses keys that mean nothing without a server: they show that
// its URL was forgotten or misspelt.
func (l *load) checkRedis(s *Settings) {
	if s.Redis.URL != "" || l.failed["redis.url"] {
		return
	}
	for _, e := range s.effective {
		if e.said && strings.HasPrefix(e.field.path, "redis.") {
			l.complain(e.field.path, e.value.from, e.field.visible(e.value.text), &complaint{"has no effect without redis.url", "set redis.url or remove it"})
		}
	}
}
