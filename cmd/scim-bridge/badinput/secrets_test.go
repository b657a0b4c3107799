package badinput

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/provision/requestlog"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// cookie is in cookies and other headers that are none of the bridge's.
const cookie = "c00kie-canary"

// echo is an upstream that quotes in some refusals what it was sent, with the
// secrets of the bridge's own calls.
type echo struct{ http.RoundTripper }

func (e echo) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		return e.RoundTripper.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	status := http.StatusUnprocessableEntity
	switch {
	case bytes.Contains(body, []byte("echo-forbid")):
		status = http.StatusForbidden
	case bytes.Contains(body, []byte("echo-break")):
		status = http.StatusInternalServerError
	case !bytes.Contains(body, []byte("echo-refuse")):
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
		return e.RoundTripper.RoundTrip(r)
	}
	said := fmt.Sprintf(`{"error":{"code":"invalid_field","field":"email","message":"%s is not welcome"}}`, strings.ReplaceAll(r.Header.Get("Authorization"), `"`, ""))
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(said)), Request: r}, nil
}

// secretsRig is a rig that logs requests, and whose upstream quotes.
func secretsRig(t *testing.T) *rig {
	t.Helper()
	names, err := requestlog.NewPseudonyms(bytes.Repeat([]byte{4, 2}, 16))
	if err != nil {
		t.Fatal(err)
	}
	r := startRig(t, bridgetest.Config{Tenant: []string{unguarded, "reset_password: true"}, Idle: true, Change: func(o *bridge.Options) {
		o.RequestLog = &bridge.RequestLogOptions{Pseudonyms: names, MaxRows: 10_000}
		o.Transport = echo{http.DefaultTransport}
	}})
	r.logged, r.accepts = true, true // passwords are those of who accepted
	// The other secrets are looked for in every rig; "sat_" begins upstream's tokens.
	r.secret = append(r.secret, cookie, "sat_")
	return r
}

// secretRows is row 142: canaries in requests of every kind.
func secretRows() []attempt {
	var all []attempt
	add := func(a attempt) {
		a.row = "L142 " + a.row
		all = append(all, a.chain().then(noSecretInHeaders)) // the records are looked at as a whole
	}
	password := `"password":"` + canary + `"`
	around := []string{
		"Cookie", "session=" + cookie + "; token={token}", "Proxy-Authorization", "Bearer {token}", "X-Authorization", "Bearer {token}", "X-Api-Key", cookie,
		"X-Forwarded-For", cookie, "Referer", "http://example.com/?access_token={token}", "User-Agent", cookie + " {token}", "X-Request-Id", cookie,
	}
	put := userOf("{name}", password)
	for _, c := range []struct {
		name, method, path, body string
		status, effects          int
		scimType                 string
		fresh                    bool
	}{
		{"a read", "GET", "/Users/{id}", "", 200, 0, "", false},
		{"a list", "GET", "/Users?count=1", "", 200, 0, "", false},
		{"a HEAD", "HEAD", "/Users/{id}", "", 200, 0, "", false},
		{"a create", "POST", "/Users", user(password), 201, 1, "", false},
		{"a PUT that changes nothing else", "PUT", "/Users/{id}", put, 200, 1, "", true},
		{"a PATCH of the password", "PATCH", "/Users/{id}", bridgetest.PatchOp(`{"op":"replace","path":"password","value":"` + canary + `"}`), 200, 1, "", true},
		{"a PATCH without a path", "PATCH", "/Users/{id}", bridgetest.PatchOp(`{"op":"replace","value":{` + password + `}}`), 200, 1, "", true},
		{"a DELETE", "DELETE", "/Users/{id}", "", 204, 3, "", true},
		{"a group", "POST", "/Groups", `{"schemas":["` + groupSchema + `"],"displayName":"{new}",` + password + `}`, 201, 0, "", false},
		{"a search", "POST", "/Users/.search", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"count":1,` + password + `}`, 200, 0, "", false},
		{"a create that is refused", "POST", "/Users", strings.Replace(user(password), `"userName":"{new}"`, `"userName":7`, 1), 400, 0, value, false},
		{"a body that is cut off", "POST", "/Users", `{"userName":"x",` + strings.TrimSuffix(password, `"`), 400, 0, syntax, false},
		{"a password twice", "POST", "/Users", user(password, password), 400, 0, syntax, false},
		{"a password that is an object", "POST", "/Users", user(`"password":{"value":"` + canary + `"}`), 400, 0, value, false},
		{"a password that is an array", "PATCH", "/Users/{id}", bridgetest.PatchOp(`{"op":"replace","path":"password","value":["` + canary + `"]}`), 400, 0, value, false},
		{"a filter by password", "GET", "/Users?filter=password+eq+%22" + canary + "%22", "", 400, 0, "invalidFilter", false},
		{"a PATCH by password", "PATCH", "/Users/{id}", bridgetest.PatchOp(`{"op":"replace","path":"emails[password eq \"` + canary + `\"].value","value":"x@example.com"}`), 400, 0, "invalidPath", false},
		{"the password asked for", "GET", "/Users/{id}?attributes=password", "", 200, 0, "", false},
		{"a path that is none", "GET", "^/scim/v2/nothing", "", 404, 0, "", false},
		{"a method that is none", "BREW", "/Users/{id}", "", 405, 0, "", false},
	} {
		a := attempt{row: c.name, method: c.method, path: c.path, body: c.body, status: c.status, effects: c.effects, scimType: c.scimType, fresh: c.fresh}
		add(a)
		a.row += " with secrets in other headers"
		a.header = around
		add(a)
	}
	for _, c := range []struct {
		name   string
		header []string
	}{
		{"no Authorization", append([]string{"-Authorization", ""}, around...)}, {"Basic", []string{"Authorization", "Basic {token}"}}, {"no scheme", []string{"Authorization", "{token}"}}, {"a comma behind it", []string{"Authorization", "Bearer {token},"}},
		{"two headers", []string{"+Authorization", "Bearer {token}"}}, {"an end too many", []string{"Authorization", "Bearer {token}x"}}, {"cut off", []string{"Authorization", "Bearer sarb_" + cookie}},
		{"expired", []string{"Authorization", "Bearer {expired}"}}, {"revoked", []string{"Authorization", "Bearer {revoked}"}}, {"upstream's key", []string{"Authorization", "Bearer acme-secret"}},
	} {
		add(attempt{row: "a token that is refused: " + c.name, method: "PATCH", path: "/Users/{id}", body: bridgetest.PatchOp(off), header: c.header, status: 401})
	}
	for _, where := range []string{"access_token={token}", "ACCESS_TOKEN={token}", "access_token=" + cookie} {
		add(attempt{row: "a token in the query: " + where, method: "GET", path: "/Users?" + where, status: 401})
	}
	add(attempt{row: "a token in the query by another name", method: "GET", path: "/Users/{id}?token={token}&key=" + cookie + "&password=" + canary, status: 200})
	for word, status := range map[string]int{"refuse": 400, "forbid": 403, "break": 503} {
		body := strings.ReplaceAll(user(password), `"Given"`, `"echo-`+word+`"`)
		a := attempt{row: "an upstream that quotes its key: " + word, body: body, status: status, calls: true}
		if status == 400 {
			a.scimType = value
		}
		if status < 500 {
			a.detail = []string{"[redacted] is not welcome"}
		}
		add(a)
	}
	return all
}

// noSecretInHeaders looks for secrets where the judge of all answers does not.
func noSecretInHeaders(t *testing.T, r *rig, res bridgetest.Response, _ []sandbox.Entry) {
	t.Helper()
	if res.Header.Get("Set-Cookie") != "" {
		t.Errorf("Set-Cookie %q", res.Header["Set-Cookie"])
	}
	r.clean(t, "the headers", fmt.Sprint(res.Header))
}

// records checks that neither the log of requests nor the events hold a secret.
func (r *rig) records(t *testing.T) {
	t.Helper()
	// The background work of an idle bridge ends with writing what waits.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Bridge.Run(ctx); err != nil {
		t.Fatal(err)
	}
	const most = 10_000
	rows, err := r.Store.Requests(t.Context(), store.RequestQuery{Limit: most})
	if err != nil {
		t.Fatal(err)
	}
	events, err := r.Store.Events(t.Context(), store.EventQuery{Limit: most})
	if err != nil {
		t.Fatal(err)
	}
	actions := map[string]bool{}
	for _, row := range rows {
		r.clean(t, "the log of requests", fmt.Sprintf("%+v", *row))
		actions[row.Action] = true
	}
	for _, e := range events {
		r.clean(t, "an event", fmt.Sprintf("%+v %s", *e, e.Data))
		actions["event "+e.Action+" "+e.Outcome] = true
	}
	for _, action := range []string{"user.create", "user.read", "event user.create ok", "event user.create failed", "event user.patch ok"} {
		if !actions[action] {
			t.Errorf("nothing to look at of %q among %d requests and %d events", action, len(rows), len(events))
		}
	}
}
