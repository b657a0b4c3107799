package badinput

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// situation is a row that needs a bridge of its own or more than one request.
type situation struct {
	row string
	run func(*testing.T) int // returns how many bad inputs it tried
}

// situations are those rows, but for groups, roles and guards.
var situations = []situation{
	{"J16 a chunked body without an end", endlessBody},
	{"J28 a body that does not arrive", slowBody},
	{"J29 pipelined requests", pipelined},
	{"J29 half-closed connections", halfClosed},
	{"I110 ids of another tenant", otherTenant},
	{"I117 the store is down while a token is looked up", storeDown},
	{"I118 guessing tokens", guessing},
	{"M159 a panic", panicking},
	{"M160 Retry-After while upstream is down", upstreamDown},
}

// endlessBody: refused once it is too large, and the connection ends.
func endlessBody(t *testing.T) int {
	r := newRig(t, nil)
	for _, target := range []struct {
		method, path string
		most         int
	}{
		{"POST", "/scim/v2/Users", maxBody}, {"PUT", "/scim/v2/Users/x", maxBody}, {"PATCH", "/scim/v2/Users/x", maxBody},
		{"POST", "/scim/v2/Groups", maxGroupBody}, {"PUT", "/scim/v2/Groups/x", maxGroupBody}, {"PATCH", "/scim/v2/Groups/x", maxGroupBody},
	} {
		conn := r.dial(t)
		sent := make(chan int64, 1)
		head := strings.NewReplacer("{host}", r.host, "{token}", r.Token).Replace(request(target.method, target.path, "", "Transfer-Encoding: chunked", "Content-Type: application/json"))
		go func() {
			n, chunk := int64(0), fmt.Sprintf("%x\r\n%s\r\n", 64<<10, strings.Repeat(" ", 64<<10))
			_, err := io.WriteString(conn, head)
			for err == nil && n < 1<<30 {
				var k int
				k, err = io.WriteString(conn, chunk)
				n += int64(k)
			}
			sent <- n
		}()
		in := newAnswerReader(conn)
		res := in.next(t, []byte(target.method+" "))
		if res.Status != 413 || !strings.Contains(string(res.Body), fmt.Sprint(target.most)) {
			t.Errorf("%s: status %d %s", target.method, res.Status, excerpt(res.Body))
		}
		r.judge(t, attempt{method: target.method}, res)
		in.atEnd(t)
		_ = conn.Close()
		if n := <-sent; n > 64<<20 {
			t.Errorf("%s: %d bytes were taken of a body that is refused", target.method, n)
		}
	}
	return 6
}

// slowBody: 408 after half of the time that a request may take.
func slowBody(t *testing.T) int {
	r := newRig(t, func(o *bridge.Options) { o.RequestTimeout = time.Second })
	r.bind(t)
	r.try(t, attempt{row: "a body that does not arrive", status: 408, detail: []string{"500ms", "send the request again"}, closes: true,
		raw: request("POST", "/scim/v2/Users", `{"userName":`, "Content-Length: 100", "Content-Type: application/json")})
	r.try(t, attempt{row: "a chunk that does not arrive", status: 408, closes: true,
		raw: request("PATCH", "/scim/v2/Users/{id}", "ff\r\n{", "Transfer-Encoding: chunked", "Content-Type: application/json")})
	r.reckon(t)
	return r.tried
}

// pipelined: every request has its own answer, in order.
func pipelined(t *testing.T) int {
	r := newRig(t, nil)
	r.bind(t)
	conn := r.dial(t)
	defer conn.Close()
	fill := strings.NewReplacer("{host}", r.host, "{token}", r.Token, "{id}", r.bound.id)
	all := fill.Replace(request("GET", "/scim/v2/Users/{id}", "") +
		request("POST", "/scim/v2/Users", "{}", "Content-Length: 2", "Content-Type: application/json") +
		request("GET", "/scim/v2/Users/nobody", "") +
		request("GET", "/scim/v2/Users/{id}", "", "Connection: close"))
	if _, err := io.WriteString(conn, all); err != nil {
		t.Fatal(err)
	}
	in := newAnswerReader(conn)
	for i, c := range []struct {
		method, scimType string
		status           int
	}{{"GET", "", 200}, {"POST", value, 400}, {"GET", "", 404}, {"GET", "", 200}} {
		res := in.next(t, []byte(c.method+" "))
		if res.Status != c.status {
			t.Errorf("answer %d: status %d, want %d %s", i, res.Status, c.status, excerpt(res.Body))
		}
		r.judge(t, attempt{method: c.method, scimType: c.scimType}, res)
	}
	in.atEnd(t)
	return 4
}

// halfClosed: a client that says no more is served, or told to come again; its
// mutation is carried out, and once.
func halfClosed(t *testing.T) int {
	r := newRig(t, nil)
	r.bind(t)
	fill := strings.NewReplacer("{host}", r.host, "{token}", r.Token, "{id}", r.bound.id)
	body := bridgetest.PatchOp(off)
	for _, c := range []struct {
		method, request string
		allowed         []int
		effects         int
	}{
		{"GET", request("GET", "/scim/v2/Users/{id}", ""), []int{200, 503}, 0},
		{"PATCH", request("PATCH", "/scim/v2/Users/{id}", body, fmt.Sprintf("Content-Length: %d", len(body)), "Content-Type: application/json"), []int{200}, 1},
		{"POST", request("POST", "/scim/v2/Users", "{", "Content-Length: 100", "Content-Type: application/json"), []int{400}, 0},
	} {
		ledger := len(r.Sandbox.Ledger())
		conn := r.dial(t)
		if _, err := io.WriteString(conn, fill.Replace(c.request)); err != nil {
			t.Fatal(err)
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		in := newAnswerReader(conn)
		res := in.next(t, []byte(c.method+" "))
		if !slices.Contains(c.allowed, res.Status) {
			t.Errorf("%s: status %d, want one of %v %s", c.method, res.Status, c.allowed, excerpt(res.Body))
		}
		a := attempt{method: c.method}
		if res.Status == 400 {
			a.scimType = syntax
		}
		r.judge(t, a, res)
		in.atEnd(t)
		_ = conn.Close()
		if n := len(r.Sandbox.Ledger()) - ledger; n != c.effects {
			t.Errorf("%s: %d effects upstream, want %d", c.method, n, c.effects)
		}
	}
	return 3
}

// otherTenant: what belongs to another tenant is not there, to the byte (I5).
func otherTenant(t *testing.T) int {
	r := newRig(t, nil)
	r.Apply(bridgetest.Tenant("globex", r.UpstreamURL))
	globex := r.NewToken("globex", "rfc")
	r.secret = append(r.secret, globex)
	theirs := r.Do("POST", "/Users", userOf("them@example.com", `"externalId":"theirs"`), "Authorization", "Bearer "+globex)
	if theirs.Status != http.StatusCreated {
		t.Fatalf("status %d %s", theirs.Status, theirs.Body)
	}
	r.bind(t)
	const nobody = "3f0c9a3e-0000-4000-8000-000000000000"
	tried, ledger := 0, len(r.Sandbox.Ledger())
	for method, body := range map[string]string{
		"GET": "", "HEAD": "", "DELETE": "", "PATCH": bridgetest.PatchOp(off), "PUT": userOf("them@example.com"),
	} {
		got, want := r.Do(method, "/Users/"+theirs.ID(), body), r.Do(method, "/Users/"+nobody, body)
		tried += 2
		if got.Status != 404 || strings.ReplaceAll(string(got.Body), theirs.ID(), nobody) != string(want.Body) {
			t.Errorf("%s: %d %s, of nobody %d %s", method, got.Status, got.Body, want.Status, want.Body)
		}
		for _, res := range []bridgetest.Response{got, want} {
			res.Header.Del("X-Request-Id")
			res.Header.Del("Date")
		}
		if fmt.Sprint(got.Header) != fmt.Sprint(want.Header) {
			t.Errorf("%s: headers %v, of nobody %v", method, got.Header, want.Header)
		}
	}
	for _, filter := range []string{`id+eq+%22` + theirs.ID() + `%22`, `externalId+eq+%22theirs%22`, `id+eq+%22` + nobody + `%22`} {
		tried++
		if got := r.Do("GET", "/Users?filter="+filter, ""); got.Status != 200 || got.JSON("totalResults") != 0.0 {
			t.Errorf("filter %s: %d %s", filter, got.Status, got.Body)
		}
	}
	if n := len(r.Sandbox.Ledger()) - ledger; n != 0 {
		t.Errorf("%d effects upstream", n)
	}
	if got := r.Do("GET", "/Users/"+theirs.ID(), "", "Authorization", "Bearer "+globex); got.Status != 200 || got.JSON("active") != true {
		t.Errorf("their user afterwards: %d %s", got.Status, got.Body)
	}
	return tried
}

// faultyStore fails, or panics, when it is told to.
type faultyStore struct {
	store.Store
	down, panics atomic.Bool
}

var errDown = errors.New("dial 10.1.2.3: connection refused")

func (s *faultyStore) CredentialByHash(ctx context.Context, hash []byte) (*store.Credential, error) {
	if s.down.Load() {
		return nil, errDown
	}
	return s.Store.CredentialByHash(ctx, hash)
}

func (s *faultyStore) Person(ctx context.Context, tenant, id string) (*store.Person, error) {
	if s.panics.Load() {
		panic("a value that nobody should read: sarb_secret")
	}
	return s.Store.Person(ctx, tenant, id)
}

func faultyRig(t *testing.T) (*rig, *faultyStore) {
	t.Helper()
	f := &faultyStore{}
	r := newRig(t, func(o *bridge.Options) { f.Store, o.Store = o.Store, f })
	return r, f
}

// storeDown: 503 and never 401, which would make Entra stop (I8).
func storeDown(t *testing.T) int {
	r, f := faultyRig(t)
	f.down.Store(true)
	defer f.down.Store(false)
	tried := 0
	for _, c := range []struct{ method, path string }{{"GET", "/Users"}, {"POST", "/Users"}, {"DELETE", "/Users"}, {"GET", "/Groups"}, {"PATCH", "/Groups/x"}, {"DELETE", "/Groups/x"}, {"GET", "/Roles"}} {
		method := c.method
		res := r.Do(method, c.path, "")
		tried++
		if res.Status != 503 || res.JSON("detail") == nil || strings.Contains(string(res.Body), "10.1.2.3") {
			t.Errorf("%s: status %d %s", method, res.Status, res.Body)
		}
		r.judge(t, attempt{method: method}, res)
	}
	f.down.Store(false)
	if res := r.Do("GET", "/Users", ""); res.Status != 200 {
		t.Errorf("afterwards: status %d %s", res.Status, res.Body)
	}
	return tried
}

// guessing: 429 above the limit, and good tokens go on.
func guessing(t *testing.T) int {
	const limit = 20
	r := newRig(t, func(o *bridge.Options) { o.FailedAuthPerMinute = limit })
	counts := map[int]int{}
	for i := range 2 * limit {
		res := r.Do("GET", "/Users", "", "Authorization", fmt.Sprintf("Bearer sarb_guess%038d", i))
		counts[res.Status]++
		r.judge(t, attempt{method: "GET"}, res)
	}
	// Some may have been given back while the test ran.
	if counts[401] < limit || counts[429] < limit/2 || counts[401]+counts[429] != 2*limit {
		t.Errorf("answers by status: %v", counts)
	}
	if res := r.Do("GET", "/Users", ""); res.Status != 200 {
		t.Errorf("a good token from the same address: status %d %s", res.Status, res.Body)
	}
	return 2 * limit
}

// panicking: 500 in the words of SCIM, the operator has the stack, the client
// nothing of it, and the process goes on (I15).
func panicking(t *testing.T) int {
	r, f := faultyRig(t)
	p := r.provision(t)
	ledger := len(r.Sandbox.Ledger())
	f.panics.Store(true)
	defer f.panics.Store(false)
	tried := 0
	for method, body := range map[string]string{"GET": "", "PUT": userOf(p.name), "PATCH": bridgetest.PatchOp(off), "DELETE": ""} {
		res := r.Do(method, "/Users/"+p.id, body)
		tried++
		if id := res.Header.Get("X-Request-Id"); res.Status != 500 || !strings.Contains(string(res.Body), id) {
			t.Errorf("%s: status %d %s", method, res.Status, res.Body)
		}
		judgeError(t, attempt{}, res)
		r.clean(t, "the body", string(res.Body))
		line := r.log.line(t, res.Header.Get("X-Request-Id"))
		if !strings.Contains(line, "panic") || !strings.Contains(line, "situations_test.go") || strings.Contains(line, "sarb_secret") {
			t.Errorf("%s: the log line does not show where, or shows the value: %s", method, line)
		}
	}
	f.panics.Store(false)
	if n := len(r.Sandbox.Ledger()) - ledger; n != 0 {
		t.Errorf("%d effects upstream", n)
	}
	if res := r.Do("GET", "/Users/"+p.id, ""); res.Status != 200 || res.JSON("active") != true {
		t.Errorf("afterwards: status %d %s", res.Status, res.Body)
	}
	return tried
}

// upstreamDown: whatever upstream says or does not say, what needs it is 503 or
// 429 with whole seconds; bad requests are refused all the same (I8).
func upstreamDown(t *testing.T) int {
	r := newRig(t, nil)
	p := r.provision(t)
	ledger, tried := len(r.Sandbox.Ledger()), 0
	for _, rule := range []sandbox.Rule{
		{Status: 503}, {Status: 503, RetryAfter: "0"}, {Status: 503, RetryAfter: "-1"}, {Status: 503, RetryAfter: "1.5"}, {Status: 503, RetryAfter: "soon"},
		{Status: 503, RetryAfter: "99999999999999999999"}, {Status: 429, RetryAfter: "Fri, 31 Dec 1999 23:59:59 GMT"}, {Status: 429, RetryAfter: "7"}, {Status: 429},
		{Status: 500}, {Status: 502}, {Status: 401}, {Status: 403}, {Status: 302}, {Cut: "before"}, {Body: "html"}, {Body: "garbage"},
	} {
		rule.Operation = "*"
		if err := r.Sandbox.SetFaults([]sandbox.Rule{rule}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct{ method, path, body string }{
			{"GET", "/Users/" + p.id, ""}, {"GET", "/Users?filter=userName+eq+%22" + p.name + "%22", ""},
		} {
			res := r.Do(c.method, c.path, c.body)
			tried++
			if res.Status != 503 && res.Status != 429 {
				t.Errorf("upstream %+v: %s %s: status %d %s", rule, c.method, c.path, res.Status, res.Body)
			}
			r.judge(t, attempt{method: c.method}, res)
		}
		for _, c := range []struct {
			method, path, body string
			status             int
			scimType           string
		}{
			{"POST", "/Users", "{}", 400, value}, {"PATCH", "/Users/" + p.id, "{", 400, syntax}, {"GET", "/Users?filter=x", "", 400, "invalidFilter"}, {"GET", "/Users/a%2fb", "", 404, ""},
		} {
			res := r.Do(c.method, c.path, c.body)
			tried++
			if res.Status != c.status {
				t.Errorf("upstream %+v: %s %s: status %d %s", rule, c.method, c.path, res.Status, res.Body)
			}
			r.judge(t, attempt{method: c.method, scimType: c.scimType}, res)
		}
	}
	if n := len(r.Sandbox.Ledger()) - ledger; n != 0 {
		t.Errorf("%d effects upstream", n)
	}
	return tried
}

func (r *rig) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", r.host)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}
