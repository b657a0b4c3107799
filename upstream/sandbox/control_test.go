package sandbox

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
)

// side makes a call at the side door.
func (w *world) side(method, path, body string) reply {
	w.t.Helper()
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, httptest.NewRequest(method, path, strings.NewReader(body)))
	return reply{w.t, method + " " + path, rec.Code, rec.Header(), rec.Body.String()}
}

func TestSideDoor(t *testing.T) {
	w := newWorld(t, Options{Control: true})
	r := w.invite(acme, "jamie@example.com", 113)
	var state State
	w.side("GET", "/_sandbox/state", "").is(200, "").into(&state)
	equal(t, "state", state, w.State())
	var ledger struct{ Entries []Entry }
	w.side("GET", "/_sandbox/ledger", "").is(200, "").into(&ledger)
	equal(t, "ledger", ledger.Entries, w.Ledger())
	w.side("GET", "/_sandbox/ledger?after=1", "").is(200, "").into(&ledger)
	equal(t, "later entries", len(ledger.Entries), 0)
	var stats Stats
	w.side("GET", "/_sandbox/stats", "").is(200, "").into(&stats)
	equal(t, "stats", stats, Stats{Calls: map[string]int64{"invite_users": 1}, PeopleInvited: 1})
	var outbox struct{ Mails []Mail }
	w.side("GET", "/_sandbox/outbox", "").is(200, "").into(&outbox)
	equal(t, "outbox", outbox.Mails, []Mail{{epoch, "invite", "jamie@example.com", []int64{113}}})

	got := w.side("POST", "/_sandbox/accept", `{"email":"JAMIE@example.com"}`).is(200, "").account()
	equal(t, "accepted", []any{got.ID, got.AccountState}, []any{r.UserID, "active"})
	w.side("POST", "/_sandbox/accept", `{"email":"jamie@example.com"}`).is(409, "state_conflict")

	w.side("PUT", "/_sandbox/faults", `{"rules":[{"operation":"list_roles","status":503,"retry_after":"2","gate":"g","when":"after"}]}`).is(200, "")
	var faults struct{ Rules []RuleStatus }
	w.side("GET", "/_sandbox/faults", "").is(200, "").into(&faults)
	equal(t, "rules", faults.Rules, []RuleStatus{{Rule: Rule{Operation: "list_roles", Status: 503, RetryAfter: "2", Gate: "g", When: "after"}}})
	w.side("PUT", "/_sandbox/faults", `{"rules":[{"operation":"list_roles","state":503}]}`).is(400, "invalid_request")
	w.side("PUT", "/_sandbox/faults", `{"rules":[{"operation":"nothing"}]}`).is(400, "invalid_request")
	w.side("GET", "/_sandbox/gates", "").is(200, "")
	w.side("POST", "/_sandbox/gates", `{"name":"g"}`).is(200, "")
	w.side("POST", "/_sandbox/gates", `{"name":"h"}`).is(404, "not_found")
	w.side("GET", "/_sandbox/nothing", "").is(404, "not_found")
	w.side("POST", "/_sandbox/state", "").is(404, "not_found")

	var id struct {
		Token string `json:"id_token"`
	}
	w.side("POST", "/_sandbox/id_token", `{"identity_provider_id":1,"subject":"s","email":"jamie@example.com"}`).is(200, "").into(&id)
	w.exchange(id.Token).is(200, "")
	w.side("POST", "/_sandbox/id_token", `{"identity_provider_id":9,"subject":"s"}`).is(422, "invalid_field")
	token := w.token("acme")
	w.side("POST", "/_sandbox/revoke_tokens", "").is(200, "")
	w.do(token, "GET", "/platform/organizations", "").is(401, "")

	w.side("POST", "/_sandbox/reset", "").is(200, "")
	equal(t, "ledger", w.Ledger(), []Entry{})
	equal(t, "mails", len(w.Outbox()), 0)
	equal(t, "stats", w.Stats(), Stats{Calls: map[string]int64{}})
	equal(t, "rules", w.Faults(), []RuleStatus{})
	equal(t, "accounts", len(w.State().Accounts), 3)
}

func TestSideDoorIsClosedByDefault(t *testing.T) {
	w := newWorld(t, Options{})
	w.side("POST", "/_sandbox/reset", "").is(404, "not_found")
}

func TestEdit(t *testing.T) {
	w := newWorld(t, Options{Control: true})
	w.join(acme, "jamie@example.com", 113)
	w.invite(acme, "new@example.com", 113)
	for _, tc := range []struct {
		name, body string
		status     int
		want       func(State) any
		is         any
	}{
		{"a name", `{"email":"jamie@example.com","first_name":"Jim","other_id":"x"}`, 200,
			func(s State) any {
				a := s.Account("jamie@example.com")
				return []string{a.FirstName, a.OtherID}
			}, []string{"Jim", "x"}},
		{"the address", `{"email":"jamie@example.com","new_email":"jim@example.com"}`, 200,
			func(s State) any { return s.Account("jim@example.com") != nil }, true},
		{"not to a taken one", `{"email":"jim@example.com","new_email":"new@example.com"}`, 409,
			func(s State) any { return s.Account("jim@example.com") != nil }, true},
		{"a role above the credential's", `{"email":"jim@example.com","role":{"organization_id":113,"role_id":1}}`, 200,
			func(s State) any { return s.Account("jim@example.com").Role.Name }, "Owner"},
		{"a membership elsewhere", `{"email":"jim@example.com","membership":{"organization_id":200,"state":"active"}}`, 200,
			func(s State) any { return memberships(*s.Account("jim@example.com")) }, "113:active 200:active"},
		{"a membership's end", `{"email":"jim@example.com","membership":{"organization_id":200,"state":""}}`, 200,
			func(s State) any { return memberships(*s.Account("jim@example.com")) }, "113:active"},
		{"a lock", `{"email":"jim@example.com","account_state":"locked"}`, 200,
			func(s State) any { return s.Account("jim@example.com").AccountState }, "locked"},
		{"the last owner", `{"email":"owner200@sharearefund.example","membership":{"organization_id":200,"state":"suspended"}}`, 200,
			func(s State) any { return s.Account("owner200@sharearefund.example").Accessible }, false},
		{"the end of an invite", `{"email":"new@example.com","invite_state":"expired"}`, 200,
			func(s State) any { return s.InvitesOf("new@example.com")[0].State }, "expired"},
		{"the end", `{"user_id":1004,"delete":true}`, 200,
			func(s State) any { return s.Account("jim@example.com") == nil }, true},
		{"nobody", `{"email":"nobody@example.com","first_name":"X"}`, 404, func(State) any { return nil }, nil},
		{"an unknown state", `{"email":"new@example.com","account_state":"asleep"}`, 422, func(State) any { return nil }, nil},
		{"an unknown organization", `{"email":"new@example.com","membership":{"organization_id":1,"state":"active"}}`, 422, func(State) any { return nil }, nil},
		{"an unknown role", `{"email":"new@example.com","role":{"organization_id":113,"role_id":9}}`, 422, func(State) any { return nil }, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w.t = t
			entries := len(w.Ledger())
			w.side("POST", "/_sandbox/edit", tc.body).is(tc.status, "")
			equal(t, "effect", tc.want(w.State()), tc.is)
			added := operationsOf(w.Ledger()[entries:])
			if tc.status == 200 {
				equal(t, "ledger", added, []string{"edit"})
			} else {
				equal(t, "ledger", added, []string{})
			}
		})
	}
}

func TestEditOfAPersonWithoutAnAccount(t *testing.T) {
	w := newWorld(t, Options{Control: true, Invites: Deferred})
	w.invite(acme, "new@example.com", 113)
	w.side("POST", "/_sandbox/edit", `{"email":"new@example.com","first_name":"X"}`).is(409, "state_conflict")
	w.side("POST", "/_sandbox/edit", `{"email":"new@example.com","invite_state":"revoked"}`).is(200, "")
	equal(t, "invite", w.State().InvitesOf("new@example.com")[0].State, "revoked")
	last := w.Ledger()[1]
	equal(t, "entry", []any{last.Operation, last.Credential, last.Email, last.UserID == nil}, []any{"edit", "", "new@example.com", true})
}

func TestAddAccount(t *testing.T) {
	w := newWorld(t, Options{Control: true})
	got := w.side("POST", "/_sandbox/account", `{"email":"old@example.com","first_name":"Old","memberships":[
		{"organization_id":113,"role_id":1,"state":"active"},{"organization_id":200,"role_id":5,"state":"suspended"}]}`).is(201, "").account()
	equal(t, "account", []any{memberships(got), got.AccountState, got.Accessible, got.Role.Name}, []any{"113:active 200:suspended", "active", true, "Owner"})
	w.do(globex, "GET", userPath(got), "").is(200, "")
	equal(t, "ledger", operationsOf(w.Ledger()), []string{"edit"})
	for body, status := range map[string]int{
		`{"email":"OLD@example.com"}`: 409,
		`{"email":"x"}`:               422,
		`{"email":"a@example.com","memberships":[{"organization_id":1,"role_id":1,"state":"active"}]}`:                                                           422,
		`{"email":"a@example.com","memberships":[{"organization_id":113,"role_id":1,"state":""}]}`:                                                               422,
		`{"email":"a@example.com","account_state":"x"}`:                                                                                                          422,
		`{"email":"a@example.com","memberships":[{"organization_id":113,"role_id":1,"state":"active"},{"organization_id":113,"role_id":1,"state":"suspended"}]}`: 422,
	} {
		w.side("POST", "/_sandbox/account", body).is(status, "")
	}
}

func TestLedgerEntrySurvivesJSON(t *testing.T) {
	for _, mode := range []InviteMode{Immediate, Deferred} {
		w := newWorld(t, Options{Invites: mode})
		w.join(acme, "jamie@example.com", 113)
		w.do(acme, "POST", "/users/1004/deactivate", `{"organization_ids":[113]}`).is(200, "")
		w.do(acme, "DELETE", "/users/1004?organization_id=113", "").is(204, "")
		for _, want := range w.Ledger() {
			b, err := json.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			var got Entry
			if err := json.Unmarshal(b, &got); err != nil {
				t.Fatal(err)
			}
			equal(t, "entry", got, want)
		}
	}
}

func TestServe(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, Options{Control: true}, l) }()
	base := "http://" + l.Addr().String()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	put := request(t, t.Context(), "PUT", base+"/_sandbox/faults", `{"rules":[{"operation":"list_roles","hang":true,"gate":"g"}]}`)
	if status, _, body, err := fetch(t, client, put); err != nil || status != 200 {
		t.Fatal(status, body, err)
	}
	held := make(chan error, 1)
	go func() {
		_, _, _, err := fetch(t, client, request(t, t.Context(), "GET", base+"/platform/roles", ""))
		held <- err
	}()
	for waiting := false; !waiting; {
		_, _, body, err := fetch(t, client, request(t, t.Context(), "GET", base+"/_sandbox/gates", ""))
		if err != nil {
			t.Fatal(err)
		}
		waiting = strings.Contains(body, `"waiting":1`)
	}
	cancel()
	if err := <-held; err == nil {
		t.Error("the held call was answered")
	}
	if err := <-done; err != nil {
		t.Errorf("serve: %v", err)
	}
	if _, err := l.Accept(); err == nil {
		t.Error("the listener is still open")
	}
}

// pipes is a listener without a network, for a test's own clock.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// Whatever a client left half done, stopping is no error.
func TestServeStopsWhateverIsOpen(t *testing.T) {
	for _, tt := range []struct {
		name, sent string
		longest    time.Duration
	}{
		{"nothing asked yet", "", 8 * time.Second},
		{"half a header", "GET /platform/roles HTTP/1.1\r\nHo", 8 * time.Second},
		{"half a body", "POST /users HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{", serveGrace},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- Serve(ctx, Options{}, l) }()
				ours, theirs := net.Pipe()
				defer ours.Close()
				l.conns <- theirs
				if _, err := ours.Write([]byte(tt.sent)); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				start := time.Now()
				cancel()
				if err := <-done; err != nil {
					t.Errorf("serve: %v", err)
				}
				if took := time.Since(start); took > tt.longest {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, tc := range map[string]struct {
		options Options
		wantErr string
	}{
		"mode":         {Options{Invites: "later"}, `unknown invite mode "later"`},
		"rate":         {Options{Rate: -1}, "negative"},
		"a client":     {Options{Clients: []Client{{ID: "acme", Secret: "x"}}}, `client "acme" exists already`},
		"a secret":     {Options{Clients: []Client{{ID: "x"}}}, "needs an id and a secret"},
		"organization": {Options{Clients: []Client{{ID: "x", Secret: "x", Organizations: []int64{1}}}}, "unknown organization 1"},
		"a key":        {Options{Clients: []Client{{ID: "x", Secret: "x", APIKey: "sak_acme"}}}, "API key belongs to another client"},
		"a directory":  {Options{DataFile: t.TempDir()}, "data file"},
	} {
		if _, err := New(tc.options); err == nil || !strings.Contains(err.Error(), tc.wantErr) {
			t.Errorf("%s: got %v, want %q", name, err, tc.wantErr)
		}
	}
}
