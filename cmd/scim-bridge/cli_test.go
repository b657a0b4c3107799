package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/sharearefund/scim-bridge/provision/tenantconfig"
)

// Every command teaches: what it is for, in full, and how it is called.
func TestHelpIsComplete(t *testing.T) {
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		if cmd.Short == "" || cmd.Long == "" || cmd.HasParent() && !strings.Contains(cmd.Example, cmd.CommandPath()) {
			t.Errorf("%s: Short %q, Long of %d bytes, Example %q", cmd.CommandPath(), cmd.Short, len(cmd.Long), cmd.Example)
		}
		for line := range strings.Lines(cmd.Long + "\n" + cmd.Example) {
			if len([]rune(line)) > 92 {
				t.Errorf("%s: a line of %d columns: %s", cmd.CommandPath(), len([]rune(line)), line)
			}
		}
	}
	walk(new(cli).root())
}

// The example of a tenant's file is one, with every key.
func TestTenantExample(t *testing.T) {
	c, err := tenantconfig.Parse([]byte(tenantExample), func(string) (string, bool) { return "secret", true }, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Upstream.Endpoints["deactivate_user"]; got != "PUT /v2/members/{id}/disable" {
		t.Errorf("upstream.endpoints: %q", got)
	}
	doc, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, found := strings.Cut(string(doc), "         endpoints:\n")
	if !found {
		t.Fatal("docs/operating.md has no example of upstream.endpoints")
	}
	example, _, _ = strings.Cut(example, "\n\n")
	whole := strings.Replace(tenantExample, "      deactivate_user: PUT /v2/members/{id}/disable", strings.ReplaceAll(example, "           ", "      "), 1)
	if c, err = tenantconfig.Parse([]byte(whole), func(string) (string, bool) { return "secret", true }, nil); err != nil || len(c.Upstream.Endpoints) != 2 {
		t.Errorf("the example of docs/operating.md: %v", err)
	}
}

// The README's tenant, with its rules and guards, is one.
func TestReadmeExample(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var whole strings.Builder
	for _, part := range strings.Split(string(readme), "```yaml\n")[1:] {
		block, _, _ := strings.Cut(part, "```")
		whole.WriteString(block)
	}
	c, err := tenantconfig.Parse([]byte(whole.String()), func(string) (string, bool) { return "secret", true }, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Rules) != 5 || len(c.Guards.Protected.Emails) != 1 {
		t.Errorf("%d rules, protected: %v", len(c.Rules), c.Guards.Protected)
	}
}

func TestParseExpiry(t *testing.T) {
	now := time.Date(2026, 2, 28, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		in, want string // want: RFC 3339, "" for never, or the beginning of an error after "!"
	}{
		{"never", ""}, {"", ""},
		{"1d", "2026-03-01T12:00:00Z"}, {"365d", "2027-02-28T12:00:00Z"},
		{"90m", "2026-02-28T13:30:00Z"},
		{"2026-03-01", "2026-03-01T00:00:00Z"},
		{"2026-03-01T10:00:00+02:00", "2026-03-01T08:00:00Z"},
		{"2026-02-28", `!--expires "2026-02-28": that is in the past`},
		{"0d", `!--expires "0d": want`}, {"-1d", `!--expires "-1d": want`}, {"-5h", `!--expires "-5h": want`},
		{"99999999d", `!--expires "99999999d": want`}, {"tomorrow", `!--expires "tomorrow": want`},
	} {
		got, err := parseExpiry(tt.in, now)
		if wrong, ok := strings.CutPrefix(tt.want, "!"); ok {
			if err == nil || !strings.HasPrefix(err.Error(), wrong) {
				t.Errorf("%q: got %v, %v, want the error %q", tt.in, got, err, wrong)
			}
			continue
		}
		shown := ""
		if !got.IsZero() {
			shown = got.UTC().Format(time.RFC3339)
		}
		if err != nil || shown != tt.want {
			t.Errorf("%q: got %q, %v, want %q", tt.in, shown, err, tt.want)
		}
	}
}

// What came from outside cannot write to the terminal.
func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"Ada Okafor-Lind, Élodie": "Ada Okafor-Lind, Élodie",
		"a\x1b[31mb":              `a\u001b[31mb`,
		"a\nlevel=admin":          `a\u000alevel=admin`,
		"a\tb":                    `a\u0009b`,
		"\u202eevil\u2028":        `\u202eevil\u2028`,
	} {
		if got := plain(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestIsLoopback(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1:80": true, "127.9.9.9:80": true, "[::1]:80": true, "localhost:80": true,
		":80": false, "0.0.0.0:80": false, "[::]:80": false, "10.0.0.1:80": false, "example.com:80": false, "127.0.0.1": false,
	} {
		if got := isLoopback(addr); got != want {
			t.Errorf("%q: %v", addr, got)
		}
	}
}

// A renewed certificate is served without a restart, and a half-written one
// does not take the old one away.
func TestCertificate(t *testing.T) {
	dir := t.TempDir()
	c := &certificate{certFile: filepath.Join(dir, "tls.crt"), keyFile: filepath.Join(dir, "tls.key")}
	if _, err := c.get(nil); err == nil {
		t.Fatal("a certificate out of nothing")
	}
	write := func(serial int64, modified time.Time) {
		certPEM, keyPEM := newCertificate(t, serial)
		for file, text := range map[string][]byte{c.certFile: certPEM, c.keyFile: keyPEM} {
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chtimes(c.certFile, modified, modified); err != nil {
			t.Fatal(err)
		}
	}
	serial := func() int64 {
		got, err := c.get(&tls.ClientHelloInfo{})
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(got.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.SerialNumber.Int64()
	}
	start := time.Now()
	write(1, start)
	if n := serial(); n != 1 {
		t.Errorf("serial %d", n)
	}
	write(2, start.Add(time.Hour))
	if n := serial(); n != 1 {
		t.Errorf("serial %d: it looks at every handshake", n)
	}
	c.looked = c.looked.Add(-certificateEvery)
	if n := serial(); n != 2 {
		t.Errorf("serial %d: the renewed one is not served", n)
	}
	if err := os.WriteFile(c.certFile, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.looked = c.looked.Add(-certificateEvery)
	if n := serial(); n != 2 {
		t.Errorf("serial %d", n)
	}
}

func newCertificate(t *testing.T, serial int64) (certPEM, keyPEM []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

// Progress moves on a terminal, and is a line now and then elsewhere.
func TestProgress(t *testing.T) {
	for _, tt := range []struct {
		name  string
		moves bool
		steps [][2]int
		want  string
	}{
		{
			name: "a bar", moves: true, steps: [][2]int{{0, 0}, {0, 10}, {5, 10}, {5, 10}, {10, 10}},
			want: "\r\x1b[Kx: 0\r\x1b[Kx  [------------------------------]   0 %  0 of 10\r\x1b[Kx  [###############---------------]  50 %  5 of 10" +
				"\r\x1b[Kx  [##############################] 100 %  10 of 10\r\x1b[K",
		},
		{name: "lines for every tenth", steps: [][2]int{{1, 1000}, {2, 1000}, {99, 1000}, {100, 1000}, {500, 1000}}, want: "x: 1 of 1000\nx: 100 of 1000\nx: 500 of 1000\n"},
		{name: "lines for every thousand", steps: [][2]int{{200, 0}, {400, 0}, {1000, 0}, {1200, 0}, {2500, 0}}, want: "x: 200\nx: 1000\nx: 2500\n"},
		{name: "more than was expected", moves: true, steps: [][2]int{{12, 10}}, want: "\r\x1b[Kx  [##############################] 100 %  12 of 10\r\x1b[K"},
		{name: "nothing", moves: true, want: ""},
	} {
		var b strings.Builder
		p := (&cli{stderr: &b}).progress("x")
		p.moves = tt.moves
		for _, s := range tt.steps {
			p.show(s[0], s[1])
		}
		p.end()
		if b.String() != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, b.String(), tt.want)
		}
	}
}
