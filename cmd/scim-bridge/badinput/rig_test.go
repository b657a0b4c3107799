package badinput

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/provision/credentials"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

const (
	mediaType   = "application/scim+json"
	errorSchema = "urn:ietf:params:scim:api:messages:2.0:Error"
)

// canary is the password in every body that has one: no answer and no log line
// may show it, or its end.
const canary = "c0rrect-h0rse"

// attempt is one bad input, or one that only looks bad. In path, body and
// header values, {id}, {name} and {ext} stand for the person that it is aimed
// at (id, userName, externalId), {new} for a user name that nobody has,
// {token} for the token, {trap} for an address that nobody may call; {group}
// and {title} for the group that it is aimed at (id, displayName), {in} and
// {too} for its members and {out} for a user who is none.
type attempt struct {
	row string // number and words, as in the catalogue

	as     string   // the credential's client kind; "": rfc
	method string   // "": POST
	path   string   // below the base URL; "": /Users
	body   string   // "": none
	header []string // pairs; "-Name" deletes, "+Name" adds
	raw    string   // the bytes to send instead; {host} is the address
	fresh  bool     // aim at a person made for this attempt alone
	gather bool     // aim at a group made for this attempt alone

	status   int
	scimType string
	detail   []string // parts of detail: attribute or position, value, remedy
	hold     string   // who holds the group's role afterwards, such as "in too"; "": whoever held it
	effects  int      // entries that the ledger gets
	calls    bool     // upstream may be asked although the request is refused
	wire     bool     // refused by net/http itself: no SCIM body, no log line
	closes   bool     // the connection is closed
	chained  bool     // a row before or after builds on it: never left out
	check    func(t *testing.T, r *rig, res bridgetest.Response, now []sandbox.Entry)
}

// person is somebody whom attempts are aimed at.
type person struct{ id, name, ext string }

// rig is a stack, and what is needed to judge every answer of it.
type rig struct {
	*bridgetest.Stack
	log     *journal
	tokens  map[string]string // by client kind
	client  *http.Client
	host    string
	trap    string       // an address that nobody may call
	caught  atomic.Int64 // calls there
	bound   *person      // the person that attempts are aimed at
	aim     *person      // the one that the last attempt was aimed at
	before  string       // what the bridge shows of it
	gathers bool         // attempts are aimed at a group as well
	crowd   *crowd       // that group, or nil
	met     *crowd       // the one that the last attempt was aimed at
	pool    []*person    // active persons whom no group has
	more    []string     // further words and what they stand for
	count   float64      // how many persons the bridge shows
	made    int
	tried   int             // bad inputs
	answers map[string]bool // ids of all requests that reached the bridge
	secret  []string
	logged  bool // the log of requests is kept
	accepts bool // whoever is provisioned accepts the invite
	// expired and revoked are tokens that were good once.
	expired, revoked string
}

// unguarded is a tenant whose guards hold nothing.
const unguarded = "guards: {deactivations: off, role_losses: off, invites: off, addresses: off}"

func newRig(t *testing.T, change func(*bridge.Options)) *rig {
	t.Helper()
	return startRig(t, bridgetest.Config{Tenant: []string{unguarded}, Change: change})
}

func startRig(t *testing.T, cfg bridgetest.Config) *rig {
	t.Helper()
	r := &rig{log: newJournal(), tokens: map[string]string{}, answers: map[string]bool{}}
	cfg.Client, cfg.Logger = "rfc", r.log.logger()
	r.Stack = bridgetest.Start(t, cfg)
	r.client = &http.Client{
		Transport:     &http.Transport{DisableCompression: true, ExpectContinueTimeout: 5 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       30 * time.Second,
	}
	t.Cleanup(r.client.CloseIdleConnections)
	u, err := url.Parse(r.Base)
	if err != nil {
		t.Fatal(err)
	}
	r.host = u.Host
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { r.caught.Add(1) }))
	t.Cleanup(trap.Close)
	r.trap = trap.URL
	r.tokens["rfc"], r.tokens[""] = r.Token, r.Token
	for _, kind := range []string{"entra", "okta", "onelogin", "auto"} {
		r.tokens[kind] = r.NewToken("acme", kind)
	}
	r.secret = append(r.secret, canary, "h0rse")
	for _, token := range r.tokens {
		r.secret = append(r.secret, token)
	}
	return r
}

// deadTokens makes an expired and a revoked token.
func (r *rig) deadTokens(t *testing.T) (expired, revoked string) {
	t.Helper()
	dead := func(change func(*store.Credential)) string {
		secret, c, err := r.Bridge.Credentials.Create(t.Context(), credentials.Request{Tenant: "acme", Client: "rfc", Actor: "test"})
		if err != nil {
			t.Fatal(err)
		}
		r.secret = append(r.secret, string(secret))
		change(c)
		if err := r.Store.Update(t.Context(), func(tx store.Tx) error { return tx.PutCredential(c) }); err != nil {
			t.Fatal(err)
		}
		return string(secret)
	}
	expired = dead(func(c *store.Credential) { c.ExpiresAt = time.Now().Add(-time.Second) })
	revoked = dead(func(c *store.Credential) { c.RevokedAt = time.Now().Add(-time.Second) })
	return expired, revoked
}

func (r *rig) newName() string {
	r.made++
	return fmt.Sprintf("new%05d@example.com", r.made)
}

// provision makes an active person.
func (r *rig) provision(t *testing.T) *person {
	t.Helper()
	p := &person{name: r.newName()}
	p.ext = "ext-" + p.name[:8]
	res := r.quietly(t, "POST", "/Users", userOf(p.name, fmt.Sprintf(`"externalId":%q`, p.ext)))
	if p.id = res.ID(); res.Status != 201 || p.id == "" {
		t.Fatalf("creating %s: status %d\n%s", p.name, res.Status, res.Body)
	}
	if r.accepts {
		if err := r.Sandbox.Accept(p.name); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// quietly sends a good request of ours, which is not counted as an attempt.
func (r *rig) quietly(t *testing.T, method, path, body string, header ...string) bridgetest.Response {
	t.Helper()
	res := r.Do(method, path, body, header...)
	r.answers[res.Header.Get("X-Request-Id")] = true
	return res
}

// bind aims the attempts that follow at a new person and notes how it looks.
func (r *rig) bind(t *testing.T) {
	t.Helper()
	r.bound = r.provision(t)
	if r.gathers {
		r.crowd = r.gather(t)
	}
	r.before, r.count = r.look(t, r.bound), r.persons(t)
}

// look is what the bridge shows of a person.
func (r *rig) look(t *testing.T, p *person) string {
	t.Helper()
	res := r.quietly(t, "GET", "/Users/"+p.id, "")
	if res.Status != 200 {
		t.Fatalf("reading %s: status %d\n%s", p.name, res.Status, res.Body)
	}
	return string(res.Body)
}

func (r *rig) persons(t *testing.T) float64 {
	t.Helper()
	res := r.quietly(t, "GET", "/Users?count=0", "")
	n, ok := res.JSON("totalResults").(float64)
	if !ok {
		t.Fatalf("counting: status %d\n%s", res.Status, res.Body)
	}
	return n
}

// callsSince lists the upstream calls since before was read of the sandbox.
func (r *rig) callsSince(before map[string]int64) []string {
	var all []string
	for operation, n := range r.Sandbox.Stats().Calls {
		for range n - before[operation] {
			all = append(all, operation)
		}
	}
	return all
}

// try makes an attempt and judges the answer by the ledger.
func (r *rig) try(t *testing.T, a attempt) {
	t.Helper()
	aim := r.bound
	if a.fresh {
		aim = r.provision(t)
	}
	r.aim = aim
	c := r.crowd
	if a.gather {
		c = r.gather(t)
	}
	r.met = c
	name := ""
	if strings.Contains(a.path+a.body+a.raw, "{new}") {
		name = r.newName()
	}
	fill := strings.NewReplacer(append(append(c.words(), r.more...), "{id}", aim.id, "{name}", aim.name, "{ext}", aim.ext, "{new}", name,
		"{token}", r.tokens[a.as], "{host}", r.host, "{trap}", r.trap, "{expired}", r.expired, "{revoked}", r.revoked)...)
	ledger, calls := len(r.Sandbox.Ledger()), r.Sandbox.Stats().Calls
	r.tried++
	var res bridgetest.Response
	if a.raw != "" {
		res = r.exchange(t, []byte(fill.Replace(a.raw)), a.closes)
	} else {
		res = r.send(t, a, fill)
	}
	r.answers[res.Header.Get("X-Request-Id")] = true
	if want := answers(a.status, a.as, a.method, a.path); res.Status != want {
		t.Fatalf("status %d, want %d\n%s", res.Status, want, excerpt(res.Body))
	}
	r.judge(t, a, res)
	entries := r.Sandbox.Ledger()[ledger:]
	if c != nil {
		a.effects += r.holds(t, c, a)
	}
	if len(entries) != a.effects {
		t.Errorf("%d effects upstream, want %d: %s", len(entries), a.effects, describe(entries))
	}
	if refused := a.status >= 400; refused {
		if made := r.callsSince(calls); len(made) > 0 && !a.calls && !a.fresh && !a.gather {
			t.Errorf("upstream calls for a request that is refused: %v", made)
		}
		if now := r.look(t, r.bound); now != r.before {
			t.Errorf("a refused request changed a person\nbefore %s\nafter  %s", r.before, now)
		}
		if n := r.persons(t); !a.fresh && !a.gather && n != r.count {
			t.Errorf("a refused request left %v persons, want %v", n, r.count)
		}
		if c != nil {
			r.sameGroups(t, c)
		}
	}
	if a.check != nil {
		a.check(t, r, res, entries)
	}
	if a.status < 400 || a.fresh || a.gather {
		if r.crowd != nil {
			r.crowd.groups = r.groups(t)
		}
		r.before, r.count = r.look(t, r.bound), r.persons(t)
	}
}

// send makes the request of an attempt.
func (r *rig) send(t *testing.T, a attempt, fill *strings.Replacer) bridgetest.Response {
	t.Helper()
	path := a.path
	if path == "" {
		path = "/Users"
	}
	target := r.Base + fill.Replace(path)
	if outside, ok := strings.CutPrefix(path, "^"); ok {
		target = "http://" + r.host + fill.Replace(outside)
	}
	method := a.method
	if method == "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(fill.Replace(a.body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.tokens[a.as])
	if a.body != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	for i := 0; i+1 < len(a.header); i += 2 {
		value := fill.Replace(a.header[i+1])
		switch key := a.header[i]; key[0] {
		case '-':
			req.Header.Del(key[1:])
		case '+':
			req.Header.Add(key[1:], value)
		default:
			req.Header.Set(key, value)
		}
	}
	res, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return bridgetest.Response{Status: res.StatusCode, Header: res.Header, Body: body}
}

// judge checks what every answer must be, whatever was asked.
func (r *rig) judge(t *testing.T, a attempt, res bridgetest.Response) {
	t.Helper()
	if a.wire {
		return
	}
	if id := res.Header.Get("X-Request-Id"); id == "" {
		t.Error("no X-Request-Id")
	} else {
		r.clean(t, "the log line", r.log.line(t, id))
	}
	r.clean(t, "the body", string(res.Body))
	if res.Status == http.StatusNoContent || res.Status == http.StatusNotModified {
		if len(res.Body) > 0 {
			t.Errorf("a %d with a body: %s", res.Status, res.Body)
		}
		return
	}
	if got := res.Header.Get("Content-Type"); got != mediaType {
		t.Errorf("Content-Type %q, want %q", got, mediaType)
	}
	if after, ok := res.Header["Retry-After"]; ok {
		if len(after) != 1 || strings.Trim(after[0], "0123456789") != "" || strings.TrimLeft(after[0], "0") == "" {
			t.Errorf("Retry-After %q is not a whole number of seconds", after)
		}
	} else if res.Status == 429 || res.Status == 503 {
		t.Errorf("%d without Retry-After", res.Status)
	}
	if res.Status == 401 && res.Header.Get("WWW-Authenticate") == "" {
		t.Error("401 without WWW-Authenticate")
	}
	if res.Status == 405 && res.Header.Get("Allow") == "" {
		t.Error("405 without Allow")
	}
	if res.Status >= 400 && a.method != http.MethodHead {
		judgeError(t, a, res)
	}
}

// judgeError checks the body of RFC 7644 §3.12.
func judgeError(t *testing.T, a attempt, res bridgetest.Response) {
	t.Helper()
	var body struct {
		Schemas  []string `json:"schemas"`
		Status   any      `json:"status"`
		ScimType string   `json:"scimType"`
		Detail   string   `json:"detail"`
	}
	d := json.NewDecoder(bytes.NewReader(res.Body))
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil {
		t.Fatalf("the body is no SCIM error: %v\n%s", err, excerpt(res.Body))
	}
	if len(body.Schemas) != 1 || body.Schemas[0] != errorSchema {
		t.Errorf("schemas %q, want %q", body.Schemas, errorSchema)
	}
	if body.Status != fmt.Sprint(res.Status) {
		t.Errorf("status in the body is %#v, want the string %q", body.Status, fmt.Sprint(res.Status))
	}
	if body.ScimType != a.scimType {
		t.Errorf("scimType %q, want %q (%s)", body.ScimType, a.scimType, body.Detail)
	}
	if body.Detail == "" {
		t.Error("no detail")
	}
	if len(body.Detail) > 2000 {
		t.Errorf("a detail of %d bytes", len(body.Detail))
	}
	for _, part := range a.detail {
		if !strings.Contains(body.Detail, part) {
			t.Errorf("detail %q does not say %q", body.Detail, part)
		}
	}
}

// clean checks that a text shows no secret, no stack and nothing of the inside.
func (r *rig) clean(t *testing.T, what, text string) {
	t.Helper()
	up := strings.TrimPrefix(r.UpstreamURL, "http://")
	for _, bad := range append([]string{"goroutine ", ".go:", "runtime.", up, "sqlite", "SQLITE", "sak_", "-secret"}, r.secret...) {
		if strings.Contains(text, bad) {
			t.Errorf("%s shows %q: %s", what, bad, excerpt([]byte(text)))
		}
	}
	if what == "the log line" && (strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "\n") || strings.Contains(text, "@example.com")) {
		t.Errorf("%s is more than one line or names a person: %q", what, text)
	}
}

// exchange sends bytes on a connection of their own and reads the answer.
func (r *rig) exchange(t *testing.T, request []byte, closes bool) bridgetest.Response {
	t.Helper()
	conn, err := net.Dial("tcp", r.host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		// The server may close before it has everything.
		_, _ = conn.Write(request)
	}()
	in := newAnswerReader(conn)
	res := in.next(t, request)
	if closes {
		in.atEnd(t)
	}
	_ = conn.Close()
	<-sent
	return res
}

func excerpt(b []byte) string {
	const most = 1000
	if len(b) > most {
		return fmt.Sprintf("%s… (%d bytes)", b[:most], len(b))
	}
	return string(b)
}

func describe(entries []sandbox.Entry) string {
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "[%s %s]", e.Operation, e.Email)
	}
	return b.String()
}
