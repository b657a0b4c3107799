package invariants

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sharearefund/scim-bridge/cache/cachetest/redistest"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/store/sqlstore"
	"github.com/sharearefund/scim-bridge/store/storetest/pgtest"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// setup says what to start. The zero value is two processes on one SQLite
// file, over a sandbox with immediate invites, without Redis, with the tenant
// acme.
type setup struct {
	Invites  sandbox.InviteMode
	Postgres bool
	Redis    bool
	// Tenants are acme when nil; globex is known too.
	Tenants []string
	// Tenant lines go into every tenant's document. Its guards are off unless
	// a line says otherwise.
	Tenant []string
	// Client is the kind of the tokens. "": auto.
	Client string
	// Interval is the directory's; "": so long that there is one scan.
	Interval string
	// Users of the sandbox's seed.
	Users int
	// Chief lets the tenants' upstream credential grant every role.
	Chief bool
	// DefaultRole is every tenant's; "": Viewer.
	DefaultRole string
}

func (s setup) String() string {
	db := "sqlite"
	if s.Postgres {
		db = "postgres"
	}
	mode := s.Invites
	if mode == "" {
		mode = sandbox.Immediate
	}
	return fmt.Sprintf("%s,%s", mode, db)
}

// rig is everything that is running for a test.
type rig struct {
	t       testing.TB
	setup   setup
	dir     string
	sandbox *sandbox.Sandbox
	// upstream leads to the sandbox, database to PostgreSQL (nil for SQLite).
	upstream, database *wire
	redis              *redistest.Server
	// store looks into the database past the bridge, and past the wire; direct
	// is its address.
	store  store.Store
	direct string
	tokens map[string]string
	// a and b are the two processes.
	a, b      *process
	processes []*process

	mu sync.Mutex
	// acknowledged are the request ids of changes that were answered 2xx.
	acknowledged []string
}

// secretOf is the upstream secret of a tenant.
func secretOf(tenant string) string { return tenant + "-secret" }

// start starts a rig that ends with the test. When it ends, what must hold in
// every test is checked.
func start(t testing.TB, s setup) *rig {
	t.Helper()
	if s.Tenants == nil {
		s.Tenants = []string{"acme"}
	}
	r := &rig{t: t, setup: s, dir: t.TempDir(), tokens: map[string]string{}}
	var err error
	r.sandbox, err = sandbox.New(sandbox.Options{Invites: s.Invites, Control: true, Users: s.Users, Clients: chiefs})
	check(t, err)
	up := httptest.NewServer(r.sandbox.Handler())
	t.Cleanup(up.Close)
	r.upstream = newWire(t, "tcp", "127.0.0.1:0", strings.TrimPrefix(up.URL, "http://"))
	address := r.openDatabase()
	r.writeSettings(address)
	for _, tenant := range s.Tenants {
		r.apply(tenant, s.Tenant...)
		args := []string{"token", "create", "--tenant", tenant}
		if s.Client != "" {
			args = append(args, "--client", s.Client)
		}
		r.tokens[tenant] = strings.TrimSpace(r.command("", args...))
	}
	t.Cleanup(r.end)
	r.a, r.b = r.serve("a"), r.serve("b")
	return r
}

// chiefs are credentials of which each has the secret of the tenant whose name
// its own ends in.
var chiefs = []sandbox.Client{{ID: "chief-acme", Secret: secretOf("acme"), Organizations: []int64{113, 114}, Weight: 100}}

// apply gives a tenant the document with the given lines.
func (r *rig) apply(tenant string, lines ...string) {
	r.t.Helper()
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "guards:") }) {
		lines = append(slices.Clone(lines), "guards: {deactivations: off, role_losses: off, invites: off, addresses: off}")
	}
	doc := bridgetest.Tenant(tenant, "http://"+r.upstream.listen, lines...)
	if r.setup.Chief {
		doc = strings.Replace(doc, "client_id: ", "client_id: chief-", 1)
	}
	if r.setup.DefaultRole != "" {
		doc = strings.Replace(doc, "default_role: Viewer", "default_role: "+r.setup.DefaultRole, 1)
	}
	check(r.t, os.WriteFile(filepath.Join(r.dir, tenant+".yaml"), []byte(doc), 0o600))
	r.command("SECRET="+secretOf(tenant), "tenant", "apply", "-f", tenant+".yaml")
}

// servers has a place for every rig that may use PostgreSQL at a time: each of
// its processes keeps up to 16 connections.
var servers = make(chan struct{}, 6)

func (r *rig) openDatabase() (address string) {
	r.t.Helper()
	address = "sqlite:" + filepath.Join(r.dir, "bridge.db")
	r.direct = address
	if r.setup.Postgres {
		servers <- struct{}{}
		r.t.Cleanup(func() { <-servers })
		r.direct = pgtest.Database(r.t)
		address = r.throughWire(r.direct)
	}
	var err error
	r.store, err = sqlstore.Open(r.t.Context(), sqlstore.Options{URL: r.direct})
	check(r.t, err)
	r.t.Cleanup(func() { _ = r.store.Close() })
	return address
}

// throughWire puts a wire before a PostgreSQL that listens on a Unix socket.
func (r *rig) throughWire(direct string) string {
	u, err := url.Parse(direct)
	check(r.t, err)
	q := u.Query()
	const socket = ".s.PGSQL.5432"
	near, err := os.MkdirTemp("", "pg") // a socket's path must be short
	check(r.t, err)
	r.t.Cleanup(func() { _ = os.RemoveAll(near) })
	r.database = newWire(r.t, "unix", filepath.Join(near, socket), filepath.Join(q.Get("host"), socket))
	q.Set("host", near)
	u.RawQuery = q.Encode()
	return u.String()
}

func (r *rig) writeSettings(address string) {
	r.t.Helper()
	key := make([]byte, 32)
	_, err := rand.Read(key)
	check(r.t, err)
	check(r.t, os.WriteFile(filepath.Join(r.dir, "bridge.key"), []byte(base64.StdEncoding.EncodeToString(key)), 0o600))
	interval := r.setup.Interval
	if interval == "" {
		interval = "24h"
	}
	doc := fmt.Sprintf(`listen: 127.0.0.1:0
public_url: http://127.0.0.1:8080
store: {url: %q}
secrets: {key_file: bridge.key}
log: {level: debug}
directory: {interval: %s}
`, address, interval)
	if r.setup.Redis {
		r.redis = redistest.Start(r.t, redistest.Options{})
		doc += fmt.Sprintf("redis: {url: %q}\n", r.redis.URL())
	}
	check(r.t, os.WriteFile(filepath.Join(r.dir, "server.yaml"), []byte(doc), 0o600))
}

// command runs the command line and returns what it printed to its output.
func (r *rig) command(env string, args ...string) string {
	r.t.Helper()
	cmd := exec.Command(binary, append(args, "--config", "server.yaml")...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), env)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		r.t.Fatalf("scim-bridge %s: %v\n%s", strings.Join(args, " "), err, &problems)
	}
	return out.String()
}

// faults replaces the sandbox's rules.
func (r *rig) faults(rules ...sandbox.Rule) {
	r.t.Helper()
	check(r.t, r.sandbox.SetFaults(rules))
}

// accept is the person who follows the link in the mail.
func (r *rig) accept(email string) {
	r.t.Helper()
	check(r.t, r.sandbox.Accept(email))
}

// end ends the processes and checks what must hold in every test.
func (r *rig) end() {
	_ = r.sandbox.SetFaults(nil)
	for _, p := range r.processes {
		if p.hasExited() && !p.mayDie {
			r.t.Errorf("%s ended by itself (I15):\n%s", p.name, tail(p.log.String(), 40))
		}
	}
	r.verify()
	for _, p := range r.processes {
		p.kill()
	}
	if r.t.Failed() {
		for _, p := range r.processes {
			r.t.Logf("the end of %s's log:\n%s", p.name, tail(p.allLogs(), 25))
		}
	}
	_ = r.sandbox.Close()
}

func tail(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// both runs f with immediate and with deferred invites.
func both(t *testing.T, s setup, f func(t *testing.T, r *rig)) {
	t.Helper()
	for _, mode := range []sandbox.InviteMode{sandbox.Immediate, sandbox.Deferred} {
		s := s // the subtests run when the loop has ended
		s.Invites = mode
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			f(t, start(t, s))
		})
	}
}
