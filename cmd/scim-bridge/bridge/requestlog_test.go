package bridge_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/provision/requestlog"
	"github.com/sharearefund/scim-bridge/store"
)

// logging makes a stack log requests; they are written when written is called.
func logging(t *testing.T, names *requestlog.Pseudonyms, upstream http.RoundTripper) *bridgetest.Stack {
	t.Helper()
	return bridgetest.Start(t, bridgetest.Config{Idle: true, Change: func(o *bridge.Options) {
		o.RequestLog = &bridge.RequestLogOptions{Pseudonyms: names, MaxRows: 1000}
		o.Transport = upstream
	}})
}

func pseudonyms(t *testing.T) *requestlog.Pseudonyms {
	t.Helper()
	names, err := requestlog.NewPseudonyms(bytes.Repeat([]byte{1, 2}, 16))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// written runs the background work of a stack that is idle, which at its end
// writes what waits, and returns the log.
func written(t *testing.T, s *bridgetest.Stack) []*store.Request {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Bridge.Run(ctx); err != nil {
		t.Fatal(err)
	}
	rows, err := s.Store.Requests(t.Context(), store.RequestQuery{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestRequestsAreLogged(t *testing.T) {
	names := pseudonyms(t)
	s := logging(t, names, nil)
	ada, night := names.Of("acme", "ada@example.com"), names.Of("acme", "night crew")
	id := s.Must(201, "POST", "/Users", bridgetest.User("Ada@Example.com")).ID()
	s.Must(409, "POST", "/Users?aadOptscim062020", bridgetest.User("ada@example.com"))
	s.Must(200, "GET", "/Users?filter="+url.QueryEscape(`userName eq "ADA@example.com"`), "")
	s.Must(404, "GET", "/Users/okafor", "")
	group := s.Must(201, "POST", "/Groups", `{"displayName":"Night Crew"}`).ID()
	s.Must(401, "GET", "/Users", "", "Authorization", "Bearer nobody")
	var got []string
	for _, r := range written(t, s) {
		got = append(got, fmt.Sprint(r.Action, " ", r.ResourceType, " ", r.ResourceID, " ", r.Status, " ", r.Names, " ", r.Filter, " ", r.Type, " ", r.Calls > 0, " ", r.EntraFlag))
		if r.Tenant != "acme" || r.Credential == "" || r.RequestID == "" || r.Duration <= 0 || r.At.IsZero() || r.Dialect == "" || r.Route == "" {
			t.Errorf("%+v", r)
		}
	}
	want := []string{
		"user.create User " + id + " 201 [" + ada + "]   true false",
		"user.create User  409 [" + ada + "]  uniqueness false true",
		"user.find User  200 [" + ada + "] userName eq " + ada + "  true false",
		"user.read User " + names.Of("acme", "okafor") + " 404 []   false false",
		"group.create Group " + group + " 201 [" + night + "]   false false",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// An operation has a row of its own, with the calls that it needed; the row of
// the whole has those of all, each once.
func TestBulkOperationsAreLogged(t *testing.T) {
	s := logging(t, pseudonyms(t), nil)
	create := func(n int) string {
		name := fmt.Sprintf("p%d@example.com", n)
		return fmt.Sprintf(`{"method":"POST","path":"/Users","bulkId":"%d","data":%s}`, n, bridgetest.User(name))
	}
	s.Must(200, "POST", "/Bulk", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[`+
		create(1)+","+create(2)+","+create(3)+`,{"method":"DELETE","path":"/Users/nobody"}]}`)
	calls, rows := map[int]int{}, map[int]*store.Request{}
	for _, r := range written(t, s) {
		calls[r.Bulk], rows[r.Bulk] = r.Calls, r
	}
	if len(rows) != 5 || rows[0].Action != "request.bulk" || rows[1].Action != "user.create" || rows[4].Action != "user.delete" || rows[4].Status != 404 {
		t.Fatalf("%d rows: %+v", len(rows), rows)
	}
	apart := calls[1] + calls[2] + calls[3] + calls[4]
	if calls[1] == 0 || calls[2] == 0 || calls[3] == 0 || calls[0] > apart || calls[0] < max(calls[1], calls[2], calls[3]) {
		t.Errorf("calls by operation, 0 for the whole: %v", calls)
	}
}

// talkative refuses invites of some with words of its own, and quotes what it
// was sent.
type talkative struct{ http.RoundTripper }

func (t talkative) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		return t.RoundTripper.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if !bytes.Contains(body, []byte("refuse")) {
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
		return t.RoundTripper.RoundTrip(r)
	}
	status := http.StatusUnprocessableEntity
	if bytes.Contains(body, []byte("forbid")) {
		status = http.StatusForbidden
	}
	said := `{"error":{"code":"invalid_field","message":"Canary Canarova (canary 5551234567) 'canary': correct the value","field":"canary"}}`
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(said)), Request: r}, nil
}

// What clients say, wherever they say it, is not in the log: neither values nor
// tokens, neither theirs nor those that upstream's refusals quote. The log is
// looked at as the bytes of a database that holds nothing else.
func TestTheLogHoldsNothingThatWasSaid(t *testing.T) {
	s := logging(t, pseudonyms(t), talkative{http.DefaultTransport})
	const canary, name = "canary-7f3d", `Canarova "Cañary" 7f3d`
	person := bridgetest.User("canary-7f3d@example.com", `"externalId":"canary-7f3d-ext"`, `"title":"Canary"`, `"password":"canary-7f3d-Pa55w0rd"`)
	id := s.Must(201, "POST", "/Users", person).ID()
	patch := func(ops ...string) string { return bridgetest.PatchOp(ops...) }
	requests := []struct{ method, path, body string }{
		{"POST", "/Users", person},
		{"POST", "/Users", bridgetest.User("canary-7f3d-refuse@example.com")},
		{"POST", "/Users", bridgetest.User("canary-7f3d-refuse-forbid@example.com")},
		{"POST", "/Users", bridgetest.User("canary 7f3d")},
		{"POST", "/Users", bridgetest.User("canary-7f3d@example.com", `"canary-7f3d":1`)},
		{"POST", "/Users", `{"userName":"canary-7f3d","userName":"canary-7f3d"}`},
		{"POST", "/Users", `{"userName":canary-7f3d`},
		{"POST", "/Users", bridgetest.User("canary-7f3d-2@example.com", `"active":"canary-7f3d"`)},
		{"POST", "/Users", bridgetest.User("canary-7f3d-3@example.com", `"schemas":["urn:canary-7f3d"]`)},
		{"PUT", "/Users/" + id, bridgetest.User("canary-7f3d-4@elsewhere.example")},
		{"PATCH", "/Users/" + id, patch(`{"op":"canary-7f3d","path":"title"}`)},
		{"PATCH", "/Users/" + id, patch(`{"op":"replace","path":"canary7f3d.canary","value":"canary-7f3d"}`)},
		{"PATCH", "/Users/" + id, patch(`{"op":"replace","path":"canary7f3d.canary[value eq 1].canary","value":"canary-7f3d"}`)},
		{"PATCH", "/Users/" + id, patch(`{"op":"remove","path":"addresses[postalCode eq 7357007357].country"}`)},
		{"PATCH", "/Users/" + id, patch(`{"op":"remove","path":"addresses[postalCode eq 73570 and locality eq \"canary 7f3d\"].country"}`)},
		{"PATCH", "/Users/" + id, patch(`{"op":"replace","path":"emails[type eq canary-7f3d].value","value":"canary-7f3d"}`)},
		{"PATCH", "/Users/" + id, patch(`{"op":"replace","value":{"emails":[{"value":"canary-7f3d"}]}}`)},
		{"PATCH", "/Users/" + id, patch(`{"op":"replace","value":{"canary7f3d":"canary-7f3d"}}`)},
		{"PATCH", "/Users/canary-7f3d", patch(`{"op":"replace","path":"title","value":"canary"}`)},
		{"GET", "/Users/canary-7f3d", ""},
		{"GET", "/Roles/7357007357", ""},
		{"GET", "/Schemas/urn:canary-7f3d", ""},
		{"GET", "/ResourceTypes/canary-7f3d", ""},
		{"DELETE", "/Groups/canary-7f3d", ""},
		{"GET", "/canary-7f3d/canary", ""},
		{"GET", "/Users/canary-7f3d/canary", ""},
		{"GET", "/Users/canary%2D7f3d@", ""},
		{"CANARY", "/Users/" + id, ""},
		{"GET", "/Users?canary-7f3d=canary-7f3d&startIndex=canary-7f3d", ""},
		{"GET", "/Users?canary-7f3d%zz", ""},
		{"GET", "/Users?sortOrder=canary-7f3d", ""},
		{"GET", "/Users?sortBy=canary-7f3d", ""},
		{"GET", "/Users?attributes=canary-7f3d", ""},
		{"POST", "/Groups", fmt.Sprintf(`{"displayName":%q}`, name)},
		{"POST", "/Groups", fmt.Sprintf(`{"displayName":%q}`, name)},
		{"POST", "/Groups", `{"displayName":"canary-7f3d","members":[{"value":"canary-7f3d"}]}`},
		{"POST", "/Users/.search", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"filter":"userName eq \"canary-7f3d\""}`},
		{"POST", "/Users/.search", `{"schemas":["canary-7f3d"],"filter":"canary-7f3d"}`},
	}
	for _, ops := range []string{
		`{"method":"POST","path":"/Users","bulkId":"canary-7f3d","data":` + bridgetest.User("canary-7f3d-bulk@example.com") + `}`,
		`{"method":"PATCH","path":"/Users/bulkId:canary-7f3d","data":{}}`,
		`{"method":"DELETE","path":"/Users/canary-7f3d"},{"method":"DELETE","path":"/canary-7f3d/canary"},{"method":"PUT","path":"/Users/canary 7f3d"}`,
		`{"method":"canary-7f3d","path":"/Users/canary-7f3d"}`,
		`{"method":"POST","path":"/Groups","bulkId":"a","data":{"displayName":"canary 7f3d","members":[{"value":"bulkId:canary-7f3d"}]}}`,
	} {
		requests = append(requests, struct{ method, path, body string }{"POST", "/Bulk",
			`{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[` + ops + `]}`})
	}
	for _, filter := range []string{
		`userName eq "canary-7f3d@example.com"`, `canary7f3d eq "x"`, `name.canary7f3d eq "x"`, `canary-7f3d@example.com`, `"canary-7f3d"`,
		`userName canary-7f3d "x"`, `urn:canary:7f3d:userName eq "x"`, `emails[type eq "canary-7f3d"]`, `userName eq canary-7f3d`,
		`externalId eq 7357007357 and title co "canary"`, `canary7f3d.a[b eq 1]`, `members[canary7f3d eq "x"]`, `active gt "canary-7f3d"`,
		`userName eq "` + strings.Repeat("canary-7f3d", 600) + `"`, `(userName eq "canary-7f3d"`, `meta.created gt 73570073573570073577357007357`,
	} {
		requests = append(requests, struct{ method, path, body string }{"GET", "/Users?filter=" + url.QueryEscape(filter), ""})
	}
	for _, r := range requests {
		s.Do(r.method, r.path, r.body, "User-Agent", "canary-7f3d", "If-None-Match", `W/"canary-7f3d"`, "X-Request-Id", "canary-7f3d",
			"Cookie", "canary=7f3d", "X-Forwarded-For", "canary-7f3d")
	}
	s.Do("PUT", "/Users/"+id, person, "If-Match", `W/"canary-7f3d"`)
	s.Do("POST", "/Users", person, "Content-Type", "canary/7f3d")

	// The first create, the two at the end, and all but the one whose path is
	// refused before anybody asks whose it is.
	whole := slices.DeleteFunc(written(t, s), func(r *store.Request) bool { return r.Bulk > 0 })
	if n := len(whole); n != len(requests)+2 {
		t.Errorf("%d rows of %d requests", n, len(requests)+2)
	}
	raw := onlyRequests(t, s)
	secrets := regexp.MustCompile(`(?i)ca(n|ñ)ar|7f3d|7357|555123|sarb_|` + s.Token)
	for _, at := range secrets.FindAllIndex(raw, 10) {
		t.Errorf("the log holds %q", raw[max(0, at[0]-80):min(len(raw), at[1]+40)])
	}
	if !bytes.Contains(raw, []byte("userName eq p-")) {
		t.Error("the log was not read")
	}
}

// onlyRequests is a copy of the store's file without the other tables.
func onlyRequests(t *testing.T, s *bridgetest.Stack) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := s.Store.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := db.Query(`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'request%'`)
	if err != nil {
		t.Fatal(err)
	}
	var drop []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		drop = append(drop, "DROP TABLE "+name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for _, text := range append(drop, "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)") {
		if _, err := db.Exec(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
