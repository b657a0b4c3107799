package badinput

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// bulkSituations are the rows about /Bulk that need a bridge of their own.
var bulkSituations = []situation{
	{"Q108 a thousand creates in one request", bulkOnboarding},
	{"Q108 more than there is time for", bulkOutOfTime},
	{"Q108 what a guard holds", bulkHeld},
	{"Q108 ids of another tenant in /Bulk", bulkOtherTenant},
	{"Q108 a long chain of references", bulkChain},
}

// bulkBody is the body of a POST to /Bulk; head is put before Operations.
func bulkBody(head string, operations ...string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],` + head + `"Operations":[` + strings.Join(operations, ",") + `]}`
}

func bulkPost(collection, bulkID, data string) string {
	return fmt.Sprintf(`{"method":"POST","path":%q,"bulkId":%q,"data":%s}`, collection, bulkID, data)
}

func bulkOn(method, path, data string) string {
	if data != "" {
		data = `,"data":` + data
	}
	return fmt.Sprintf(`{"method":%q,"path":%q%s}`, method, path, data)
}

// outcomes are the statuses in a BulkResponse.
func outcomes(t *testing.T, res bridgetest.Response) []string {
	t.Helper()
	var body struct {
		Operations []struct {
			Status   string
			Response struct{ Detail string }
		}
	}
	if err := json.Unmarshal(res.Body, &body); err != nil || res.Status != http.StatusOK {
		t.Fatalf("status %d %v\n%s", res.Status, err, excerpt(res.Body))
	}
	var all []string
	for _, o := range body.Operations {
		if len(o.Response.Detail) > 2000 {
			t.Errorf("a detail of %d bytes", len(o.Response.Detail))
		}
		all = append(all, o.Status)
	}
	return all
}

// bulkRows is row 108 for /Bulk: what is wrong with the whole, and with single
// operations of it.
func bulkRows() []attempt {
	off := bulkOn("PATCH", "/Users/{id}", bridgetest.PatchOp(off))
	var all []attempt
	whole := func(row, body string, status int, scimType string, detail ...string) {
		all = append(all, attempt{row: "Q108 bulk: " + row, path: "/Bulk", body: body, status: status, scimType: scimType, detail: detail})
	}
	for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE"} {
		all = append(all, attempt{row: "Q108 bulk by " + method, method: method, path: "/Bulk", body: bulkBody("", off), status: 405})
	}
	whole("nothing", "", 400, syntax, "no body")
	for body, found := range map[string]string{"null": "null", "[]": "array", `"x"`: "string", "42": "number"} {
		whole("the body "+body, body, 400, syntax, "JSON object", found)
	}
	whole("no Operations", `{}`, 400, syntax, "Operations: missing")
	whole("Operations that are no array", `{"Operations":{"0":`+off+`}}`, 400, syntax, "Operations", "array")
	whole("an operation that is none", bulkBody("", off, "null"), 400, syntax, "Operations[1]", "object")
	whole("Operations twice", `{"Operations":[],"OPERATIONS":[`+off+`]}`, 400, syntax, "Operations", "twice")
	whole("method twice", bulkBody("", `{"method":"PATCH","METHOD":"DELETE","path":"/Users/{id}"}`), 400, syntax, "Operations[0].method", "twice")
	whole("a duplicate key in data", bulkBody("", off, bulkPost("/Users", "a", `{"userName":"a","userName":"b"}`)), 400, syntax, "userName", "twice")
	whole("truncated", bulkBody("", off)[:100], 400, syntax, "too early")
	whole("two bodies", bulkBody("")+bulkBody("", off), 400, syntax)
	whole("invalid UTF-8", bulkBody("", off, bulkPost("/Users", "a", "{\"x\":\"\xff\"}")), 400, syntax, "UTF-8")
	whole("depth 33", bulkBody("", off, bulkPost("/Users", "a", user(`"x":`+nestedArrays(32)))), 400, syntax, "32")
	whole("depth 100 000", `{"Operations":`+nestedArrays(100_000)+`}`, 400, syntax, "32")
	whole("1 001 members", bulkBody("", off, `{`+members(1001)+`}`), 400, syntax, "1000")
	whole("1 001 members in data", bulkBody("", off, bulkPost("/Users", "a", `{`+members(1001)+`}`)), 400, syntax, "1000")
	whole("another schema", strings.Replace(bulkBody("", off), "BulkRequest", "PatchOp", 1), 400, value, "schemas", "BulkRequest")
	for _, n := range []string{"-1", "0.5", "1e3", `"1"`, "true", "[]", "{}"} {
		whole("failOnErrors of "+n, bulkBody(`"failOnErrors":`+n+`,`, off), 400, value, "failOnErrors", "whole number")
	}
	whole("1 001 operations", bulkBody("", slices.Repeat([]string{off}, 1001)...), 413, "", "1001", "1000", "several requests")
	whole("400 000 operations", `{"Operations":[`+strings.TrimSuffix(strings.Repeat("0,", 400_000), ",")+`]}`, 413, "", "400000", "1000")
	whole("1 MiB+1", bulkBody("", off)+strings.Repeat(" ", maxBody), 413, "", "1048576")

	// The second operation stands for those that must not suffer.
	single := func(row, operation, status string, detail ...string) {
		a := attempt{row: "Q108 bulk: " + row, path: "/Bulk", status: 200,
			body: bulkBody("", operation, bulkOn("DELETE", "/Users/3f0c9a3e-0000-4000-8000-000000000000", ""))}
		all = append(all, a.then(func(t *testing.T, _ *rig, res bridgetest.Response, _ []sandbox.Entry) {
			t.Helper()
			if got := strings.Join(outcomes(t, res), " "); got != status+" 404" {
				t.Errorf("statuses %s, want %s 404\n%s", got, status, excerpt(res.Body))
			}
			text, _ := res.JSON("Operations.0.response.detail").(string)
			for _, part := range detail {
				if !strings.Contains(text, part) {
					t.Errorf("detail %q does not say %q", text, part)
				}
			}
		}))
	}
	deactivate := bridgetest.PatchOp(`{"op":"replace","path":"active","value":false}`)
	single("nothing in an operation", `{}`, "400", "method: missing")
	single("a GET", bulkOn("GET", "/Users/{id}", ""), "400", `"GET"`)
	single("a method of another case", bulkOn("patch", "/Users/{id}", deactivate), "400", `"patch"`)
	single("a method that goes on", bulkOn("DELETE /Users/{id} HTTP/1.1\r\nX: ", "/Users/{id}", ""), "400", "method")
	single("a path on another server", bulkOn("DELETE", "{trap}/scim/v2/Users/{id}", ""), "400", "relative")
	single("a path on another host", bulkOn("DELETE", "//evil.example/Users/{id}", ""), "400", "relative")
	single("a path with a query", bulkOn("DELETE", "/Users/{id}?x=y", ""), "400", "without a query")
	single("a path with a fragment", bulkOn("DELETE", "/Users/{id}#x", ""), "400", "without a query")
	for _, path := range []string{"/Users/../Users/{id}", "/Users/%2e%2e/Users/{id}", "/Users//{id}", "/Users/./{id}", "/Users/{id}%00", "/Users/{id};x", "/users/{id}",
		"/Users/{id}/{id}", "/../Users/{id}", "\\\\Users\\\\{id}", "/Users/{id}\\u0000", "/Users/*", "/Users/{name}", "/scim/v2/Users/{id}"} {
		single("the path "+path, strings.Replace(bulkOn("DELETE", "PATH", ""), "PATH", path, 1), "404")
	}
	single("a bulk request in a bulk request", bulkPost("/Bulk", "x", bulkBody("", off)), "400", `"/Bulk"`)
	single("a search", bulkPost("/Users/.search", "x", `{}`), "400", "of its own")
	single("a person's own", bulkOn("DELETE", "/Me", ""), "400", "of its own")
	single("a read-only type", bulkOn("DELETE", "/Roles/1", ""), "405", "GET, HEAD")
	single("all users", bulkOn("DELETE", "/Users", ""), "405", "POST")
	single("a POST without a bulkId", `{"method":"POST","path":"/Users","data":`+user()+`}`, "400", "bulkId: missing")
	single("a bulkId that is a number", `{"method":"POST","path":"/Users","bulkId":1,"data":`+user()+`}`, "400", "bulkId", "string")
	single("no data", bulkOn("PUT", "/Users/{id}", ""), "400", "data: missing")
	single("data in a string", bulkOn("PATCH", "/Users/{id}", `"{\"Operations\":[]}"`), "400", "JSON object")
	single("active that is a word", bulkOn("PATCH", "/Users/{id}", bridgetest.PatchOp(`{"op":"replace","path":"active","value":"no"}`)), "400", "active")
	single("a deactivation of an old version", `{"method":"PATCH","path":"/Users/{id}","version":"W/\"0\"","data":`+deactivate+`}`, "412")
	single("a deactivation of a version that is none", `{"method":"PATCH","path":"/Users/{id}","version":"0","data":`+deactivate+`}`, "400")
	single("a name that is taken", bulkPost("/Users", "a", userOf("taken@example.com")), "409", "taken@example.com")
	single("a user who refers to itself", bulkPost("/Users", "a", user(`"nickName":"bulkId:a"`)), "409", "PATCH")
	single("a reference to nothing", bulkPost("/Users", "a", user(`"nickName":"bulkId:b"`)), "400", `"b"`)
	single("a reference to what is deleted", bulkPost("/Groups", "a", `{"displayName":"Bulk","members":[{"value":"bulkId:"}]}`), "400", `""`)
	single("a deactivation of what nothing creates", bulkOn("PATCH", "/Users/bulkId:a", deactivate), "400", `"a"`)
	single("a bulkId with more behind it", bulkOn("DELETE", "/Users/bulkId:a/../{id}", ""), "400", "bulkId")
	single("a reference in another case", bulkOn("PATCH", "/Users/BulkId:a", deactivate), "404")
	single("a password", bulkPost("/Users", "a", user(`"password":"`+canary+`"`, `"userType":7`)), "400", "userType")
	return append(all,
		attempt{row: "Q108 bulk: a circle", path: "/Bulk", status: 200, body: bulkBody("",
			bulkPost("/Users", "a", userOf("circle-a@example.com", `"nickName":"bulkId:b"`)), bulkPost("/Users", "b", userOf("circle-b@example.com", `"nickName":"bulkId:c"`)),
			bulkPost("/Users", "c", userOf("circle-c@example.com", `"nickName":"bulkId:a"`)), bulkPost("/Groups", "g", `{"displayName":"Circle","members":[{"value":"bulkId:b"}]}`)),
		}.then(came("409 409 409 409")),
		attempt{row: "Q108 bulk: failOnErrors of 1", path: "/Bulk", status: 200, body: bulkBody(`"failOnErrors":1,`, bulkPost("/Users", "a", `{}`), off)}.then(came("400")),
		attempt{row: "Q108 bulk: failOnErrors of 2", path: "/Bulk", status: 200, body: bulkBody(`"failOnErrors":2,`,
			bulkPost("/Users", "a", `{}`), bulkOn("DELETE", "/Users/nobody", ""), bulkOn("DELETE", "/Users/{id}", ""))}.then(came("400 404")),
		attempt{row: "Q108 bulk: no operations", path: "/Bulk", status: 200, body: bulkBody("")}.then(came("")),
		attempt{row: "Q108 bulk: deactivated in the midst of nonsense", path: "/Bulk", status: 200, fresh: true, effects: 1,
			body: bulkBody("", `{}`, off, bulkOn("DELETE", "/Users/nobody", ""))}.then(came("400 200 404")),
	)
}

// came checks the statuses of a BulkResponse.
func came(want string) func(*testing.T, *rig, bridgetest.Response, []sandbox.Entry) {
	return func(t *testing.T, _ *rig, res bridgetest.Response, _ []sandbox.Entry) {
		t.Helper()
		if got := strings.Join(outcomes(t, res), " "); got != want {
			t.Errorf("statuses %s, want %s\n%s", got, want, excerpt(res.Body))
		}
	}
}

// newcomers are creates of n people.
func newcomers(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = bulkPost("/Users", fmt.Sprint("p", i), userOf(fmt.Sprintf("p%04d@example.com", i)))
	}
	return list
}

// crowded is n, or fewer where the race detector makes everything slow.
func crowded(n int) int {
	if raced {
		return n / 5
	}
	return n
}

// counted is how often each status came.
func counted(list []string) map[string]int {
	n := map[string]int{}
	for _, s := range list {
		n[s]++
	}
	return n
}

// bulkOnboarding: people who are created in one request share invites, and the
// same request once more invites nobody.
func bulkOnboarding(t *testing.T) int {
	r := startRig(t, bridgetest.Config{Tenant: []string{unguarded, "  rate: 2"}})
	people := crowded(1000)
	before := r.Sandbox.Stats().Calls["invite_users"]
	res := r.quietly(t, "POST", "/Bulk", bulkBody("", newcomers(people)...))
	if got := counted(outcomes(t, res)); got["201"] != people {
		t.Fatalf("statuses %v\n%s", got, excerpt(res.Body))
	}
	calls := r.Sandbox.Stats().Calls["invite_users"] - before
	if calls > 20 {
		t.Errorf("%d calls of invite_users for %d people", calls, people)
	}
	mails, ledger := len(r.Sandbox.Outbox()), len(r.Sandbox.Ledger())
	if mails != people {
		t.Errorf("%d mails for %d people", mails, people)
	}
	res = r.quietly(t, "POST", "/Bulk", bulkBody("", newcomers(people)...))
	if got := counted(outcomes(t, res)); got["409"] != people {
		t.Errorf("once more: statuses %v", got)
	}
	if len(r.Sandbox.Outbox()) != mails || len(r.Sandbox.Ledger()) != ledger {
		t.Errorf("once more: %d mails, %d effects", len(r.Sandbox.Outbox())-mails, len(r.Sandbox.Ledger())-ledger)
	}
	r.clean(t, "the body", string(res.Body))
	return 1
}

// bulkOutOfTime: what there is no time for is 503, within the time of a request,
// and the whole once more creates those who are missing, and nobody twice.
func bulkOutOfTime(t *testing.T) int {
	const timeout = 3 * time.Second
	r := newRig(t, func(o *bridge.Options) { o.RequestTimeout = timeout })
	people := crowded(150)
	operations := newcomers(people)
	// Groups, which wait for those before them, make three parts of it. The
	// second is begun in time, and does not end in time.
	for i := range 2 {
		at := (i+1)*people/3 + i
		operations = slices.Insert(operations, at, bulkPost("/Groups", fmt.Sprint("g", i), groupOf(fmt.Sprint("Part ", i), "")))
	}
	if err := r.Sandbox.SetFaults([]sandbox.Rule{{Operation: "invite_users", DelayMS: 1300}}); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	res := r.quietly(t, "POST", "/Bulk", bulkBody("", operations...))
	if took := time.Since(start); took > 3*timeout {
		t.Errorf("answered after %v", took)
	}
	got := counted(outcomes(t, res))
	if got["503"] < people/3 || got["201"]+got["503"] != len(operations) {
		t.Fatalf("statuses %v\n%s", got, excerpt(res.Body))
	}
	if err := r.Sandbox.SetFaults(nil); err != nil {
		t.Fatal(err)
	}
	tries := 1
	for got["503"] > 0 && tries < 30 {
		got = counted(outcomes(t, r.quietly(t, "POST", "/Bulk", bulkBody("", operations...))))
		tries++
	}
	if got["409"]+got["201"] != len(operations) {
		t.Errorf("after %d requests: statuses %v", tries, got)
	}
	if n := len(r.Sandbox.Outbox()); n != people {
		t.Errorf("%d mails for %d people", n, people)
	}
	return tries
}

// bulkHeld: operations count for the guards one by one, in their order (I12).
func bulkHeld(t *testing.T) int {
	r := startRig(t, lasting(t, guarded("deactivations")))
	all := r.people(t, 4)
	before := r.look(t, all[2])
	res := r.quietly(t, "POST", "/Bulk", bulkBody("",
		bulkOn("PATCH", "/Users/"+all[0].id, bridgetest.PatchOp(off)), bulkOn("DELETE", "/Users/"+all[1].id, ""),
		bulkOn("PATCH", "/Users/"+all[2].id, bridgetest.PatchOp(off)), bulkOn("DELETE", "/Users/"+all[3].id, ""),
		bulkOn("PATCH", "/Users/"+all[2].id, bridgetest.PatchOp(`{"op":"replace","value":{"active":false}}`)),
	))
	came("200 204 429 429 429")(t, r, res, nil)
	if detail, _ := res.JSON("Operations.2.response.detail").(string); !strings.Contains(detail, "nothing was changed") || !strings.Contains(detail, "send it again after") {
		t.Errorf("detail %q", detail)
	}
	if now := r.look(t, all[2]); now != before {
		t.Errorf("held, and yet it changed\nbefore %s\nafter  %s", before, now)
	}
	state := r.Sandbox.State()
	for i, p := range all {
		if a := state.Account(p.name); (a != nil && a.Accessible) != (i >= 2) {
			t.Errorf("person %d is %+v in the sandbox", i, a)
		}
	}
	return 3
}

// bulkOtherTenant: what belongs to another tenant is not there (I5).
func bulkOtherTenant(t *testing.T) int {
	r := newRig(t, nil)
	r.Apply(bridgetest.Tenant("globex", r.UpstreamURL))
	globex := r.NewToken("globex", "rfc")
	theirs := r.Do("POST", "/Users", userOf("them@example.com"), "Authorization", "Bearer "+globex)
	if theirs.Status != http.StatusCreated {
		t.Fatalf("status %d %s", theirs.Status, theirs.Body)
	}
	ledger := len(r.Sandbox.Ledger())
	about := func(id string) bridgetest.Response {
		return r.quietly(t, "POST", "/Bulk", bulkBody("",
			bulkOn("DELETE", "/Users/"+id, ""), bulkOn("PATCH", "/Users/"+id, bridgetest.PatchOp(off)), bulkOn("PUT", "/Users/"+id, userOf("them@example.com")),
			bulkPost("/Groups", "g", groupOf("Bulk", entries(id)))))
	}
	const nobody = "3f0c9a3e-0000-4000-8000-000000000000"
	got, want := about(theirs.ID()), about(nobody)
	if text := strings.ReplaceAll(string(got.Body), theirs.ID(), nobody); text != string(want.Body) {
		t.Errorf("theirs %s\nnobody's %s", text, want.Body)
	}
	came("404 404 404 400")(t, r, got, nil)
	if n := len(r.Sandbox.Ledger()) - ledger; n != 0 {
		t.Errorf("%d effects upstream", n)
	}
	if got := r.Do("GET", "/Users/"+theirs.ID(), "", "Authorization", "Bearer "+globex); got.Status != 200 || got.JSON("active") != true {
		t.Errorf("their user afterwards: %d %s", got.Status, got.Body)
	}
	return 4
}

// bulkChain: a thousand operations, each of which refers to the next, whose last
// one refers to nobody, or to the first.
func bulkChain(t *testing.T) int {
	r := newRig(t, nil)
	ledger, n := len(r.Sandbox.Ledger()), crowded(1000)
	for _, last := range []string{"nobody", "u0"} {
		var operations []string
		for i := range n {
			next := fmt.Sprint("u", i+1)
			if i == n-1 {
				next = last
			}
			operations = append(operations, bulkPost("/Users", fmt.Sprint("u", i), userOf(fmt.Sprintf("u%d@example.com", i), `"nickName":"bulkId:`+next+`"`)))
		}
		res := r.quietly(t, "POST", "/Bulk", bulkBody("", operations...))
		if got := counted(outcomes(t, res)); got["409"]+got["400"] != n || got["409"] < n-1 {
			t.Errorf("statuses %v", got)
		}
		if len(res.Body) > 2<<20 {
			t.Errorf("an answer of %d bytes", len(res.Body))
		}
	}
	if n := len(r.Sandbox.Ledger()) - ledger; n != 0 {
		t.Errorf("%d effects upstream", n)
	}
	return 2
}
