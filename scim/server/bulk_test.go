package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sharearefund/scim-bridge/schemas"
	"github.com/sharearefund/scim-bridge/scim"
)

func TestBulkLife(t *testing.T) {
	r := newRig(t, nil).with(t, 2)
	const base = publicAddress + "/scim/v2"
	got := r.bulk(t, bulkBody("",
		post("/Users", "ada", userBody("new@example.com")),
		post("/Groups", "g", groupBody("Managers", "bulkId:ada", "user-2")),
		on("PATCH", "/Users/bulkId:ada", patchOf("replace", "displayName", `"Ada"`)),
		on("PUT", "/Users/user-1", userBody("ada@example.org")),
		on("PATCH", "/Groups/bulkId:g", patchOf("remove", "members", `[{"value":"user-2"}]`)),
		on("DELETE", base+"/Users/user-2", ""),
		`{"method":"DELETE","path":"/Users/user-2","bulkId":"mine","data":{"ignored":"bulkId:nobody"}}`,
	))
	if diff := cmp.Diff([]bulkOperated{
		{Method: "POST", BulkID: "ada", Version: `W/"3"`, Location: base + "/Users/user-3", Status: "201"},
		{Method: "POST", BulkID: "g", Version: `W/"1"`, Location: base + "/Groups/group-1", Status: "201"},
		{Method: "PATCH", Version: `W/"4"`, Location: base + "/Users/user-3", Status: "200"},
		{Method: "PUT", Version: `W/"5"`, Location: base + "/Users/user-1", Status: "200"},
		{Method: "PATCH", Version: `W/"2"`, Location: base + "/Groups/group-1", Status: "200"},
		{Method: "DELETE", Location: base + "/Users/user-2", Status: "204"},
		{Method: "DELETE", BulkID: "mine", Location: base + "/Users/user-2", Status: "404",
			Response: &errorBody{Schemas: []string{errorSchema}, Status: "404", Detail: `User "user-2" does not exist`}},
	}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]scim.Member{{Value: "user-3"}}, r.groups.groups[0].Members); diff != "" {
		t.Errorf("members: %s", diff)
	}
	if r.users.users[1].DisplayName != "Ada" || r.users.users[0].UserName != "ada@example.org" {
		t.Errorf("users %+v", r.users.users)
	}
	if r.groups.read != 0 {
		t.Errorf("%d members were read for an answer that does not show them", r.groups.read)
	}
}

// What is wrong with the request as a whole: nothing of it is done.
func TestBulkRequestRefused(t *testing.T) {
	del := on("DELETE", "/Users/user-1", "")
	for _, tt := range []struct {
		name, body string
		status     int
		scimType   string
		detail     []string
	}{
		{"no body", "", 400, "invalidSyntax", []string{"no body"}},
		{"an array", `[` + del + `]`, 400, "invalidSyntax", []string{"must be a JSON object"}},
		{"another schema", `{"schemas":["urn:x"],"Operations":[` + del + `]}`, 400, "invalidValue", []string{"schemas", bulkRequestSchema}},
		{"no Operations", `{}`, 400, "invalidSyntax", []string{"Operations: missing"}},
		{"null Operations", `{"Operations":null}`, 400, "invalidSyntax", []string{"Operations: missing"}},
		{"an object of Operations", `{"Operations":` + del + `}`, 400, "invalidSyntax", []string{"Operations", "array", "object"}},
		{"Operations twice", `{"Operations":[` + del + `],"operations":[]}`, 400, "invalidSyntax", []string{"Operations", "twice"}},
		{"a string among Operations", `{"Operations":[` + del + `,"x"]}`, 400, "invalidSyntax", []string{"Operations[1]", "object", "string"}},
		{"a null among Operations", `{"Operations":[` + del + `,null]}`, 400, "invalidSyntax", []string{"Operations[1]", "null"}},
		{"method twice", `{"Operations":[{"method":"DELETE","Method":"PUT","path":"/Users/user-1"}]}`, 400, "invalidSyntax", []string{"Operations[0].method", "twice"}},
		{"a duplicate in data", bulkBody("", del, post("/Users", "a", `{"userName":"a","userName":"b"}`)), 400, "invalidSyntax", []string{"userName", "twice"}},
		{"trailing text", bulkBody("", del) + "x", 400, "invalidSyntax", nil},
		{"cut off", bulkBody("", del)[:80], 400, "invalidSyntax", []string{"too early"}},
		{"invalid UTF-8", bulkBody("", del, post("/Users", "a", "{\"userName\":\"\xff\"}")), 400, "invalidSyntax", []string{"UTF-8"}},
		{"a half surrogate", bulkBody("", del, post("/Users", "a", `{"userName":"\ud800"}`)), 400, "invalidSyntax", nil},
		{"depth", bulkBody("", del, post("/Users", "a", `{"userName":"a","x":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)+`}`)), 400, "invalidSyntax", []string{"deep"}},
		{"failOnErrors of -1", bulkBody(`"failOnErrors":-1,`, del), 400, "invalidValue", []string{"failOnErrors"}},
		{"failOnErrors of 1.5", bulkBody(`"failOnErrors":1.5,`, del), 400, "invalidValue", []string{"failOnErrors"}},
		{"failOnErrors of 1e2", bulkBody(`"failOnErrors":1e2,`, del), 400, "invalidValue", []string{"failOnErrors"}},
		{"failOnErrors in quotes", bulkBody(`"failOnErrors":"1",`, del), 400, "invalidValue", []string{"failOnErrors", "whole number"}},
		{"failOnErrors true", bulkBody(`"failOnErrors":true,`, del), 400, "invalidValue", []string{"failOnErrors"}},
		{"1 001 operations", bulkBody("", slices.Repeat([]string{del}, 1001)...), 413, "", []string{"1001", "1000", "several requests"}},
		{"1 MiB + 1", bulkBody("", del) + strings.Repeat(" ", 1<<20), 413, "", []string{"1048576"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, nil).with(t, 1)
			e := want(t, r.do(t, request("POST", "/scim/v2/Bulk", tt.body)), tt.status, tt.scimType)
			for _, part := range tt.detail {
				if !strings.Contains(e.Detail, part) {
					t.Errorf("detail %q does not say %q", e.Detail, part)
				}
			}
			if n := r.users.callCount(); n != 0 || len(r.observed) != 1 {
				t.Errorf("%d handler calls, %d observed", n, len(r.observed))
			}
		})
	}
}

// What is wrong with one operation: the others are done.
func TestBulkOperationRefused(t *testing.T) {
	for _, tt := range []struct {
		name, operation string
		status          string
		scimType        string
		detail          []string
	}{
		{"nothing in it", `{}`, "400", "invalidSyntax", []string{"method: missing"}},
		{"no method", `{"path":"/Users/user-1"}`, "400", "invalidSyntax", []string{"method: missing"}},
		{"a null method", `{"method":null,"path":"/Users/user-1"}`, "400", "invalidSyntax", []string{"method: missing"}},
		{"a number as method", `{"method":1,"path":"/Users/user-1"}`, "400", "invalidSyntax", []string{"method", "string", "number"}},
		{"GET", on("GET", "/Users/user-1", ""), "400", "invalidValue", []string{`"GET"`, "of their own"}},
		{"a lower-case method", on("delete", "/Users/user-1", ""), "400", "invalidValue", []string{`"delete"`}},
		{"no path", `{"method":"DELETE"}`, "400", "invalidSyntax", []string{"path: missing"}},
		{"an object as path", `{"method":"DELETE","path":{}}`, "400", "invalidSyntax", []string{"path", "string"}},
		{"another server", on("DELETE", "https://evil.example/scim/v2/Users/user-1", ""), "400", "invalidValue", []string{"relative to " + publicAddress + "/scim/v2"}},
		{"another host", on("DELETE", "//evil.example/Users/user-1", ""), "400", "invalidValue", []string{"relative"}},
		{"the base continued", on("DELETE", publicAddress+"/scim/v2x/Users/user-1", ""), "400", "invalidValue", []string{"relative"}},
		{"a query", on("DELETE", "/Users/user-1?x=y", ""), "400", "invalidValue", []string{"without a query"}},
		{"traversal", on("DELETE", "/Groups/../Users/user-1", ""), "404", "", nil},
		{"an encoded path", on("DELETE", "/Users/user%2D1", ""), "404", "", []string{"percent-encoded"}},
		{"an id that cannot be one", on("DELETE", "/Users/a.b", ""), "404", "", []string{`User "a.b"`}},
		{"nothing there", on("DELETE", "/Nothing/user-1", ""), "404", "", []string{publicAddress + "/scim/v2"}},
		{"below a resource", on("DELETE", "/Users/user-1/name", ""), "404", "", nil},
		{"a bulk request", post("/Bulk", "x", bulkBody("", on("DELETE", "/Users/user-1", ""))), "400", "invalidValue", []string{`"/Bulk"`, "of its own"}},
		{"a search", post("/Users/.search", "x", `{}`), "400", "invalidValue", []string{"of its own"}},
		{"a search of everything", post("/.search", "x", `{}`), "400", "invalidValue", nil},
		{"the root", post("/", "x", `{}`), "400", "invalidValue", nil},
		{"a person's own", on("DELETE", "/Me", ""), "400", "invalidValue", nil},
		{"a schema", on("DELETE", "/Schemas/urn:x", ""), "400", "invalidValue", nil},
		{"a read-only type", on("DELETE", "/Roles/1", ""), "405", "", []string{"GET, HEAD"}},
		{"a create in a read-only type", post("/Roles", "x", `{"displayName":"Owner"}`), "405", "", []string{"GET, HEAD"}},
		{"a PUT of all users", on("PUT", "/Users", userBody("x")), "405", "", []string{"POST"}},
		{"a POST to a user", post("/Users/user-1", "x", userBody("x")), "405", "", []string{"PATCH"}},
		{"a POST without a bulkId", `{"method":"POST","path":"/Users","data":` + userBody("x") + `}`, "400", "invalidSyntax", []string{"bulkId: missing"}},
		{"a POST with an empty bulkId", post("/Users", "", userBody("x")), "400", "invalidSyntax", []string{"bulkId: missing"}},
		{"a number as bulkId", `{"method":"POST","path":"/Users","bulkId":7,"data":` + userBody("x") + `}`, "400", "invalidSyntax", []string{"bulkId", "string"}},
		{"no data", on("PATCH", "/Users/user-1", ""), "400", "invalidSyntax", []string{"data: missing"}},
		{"null data", on("PUT", "/Users/user-1", "null"), "400", "invalidSyntax", []string{"data: missing"}},
		{"an array as data", on("PATCH", "/Users/user-1", `[{"op":"remove","path":"title"}]`), "400", "invalidSyntax", []string{"JSON object"}},
		{"a string as data", on("PATCH", "/Users/user-1", `"{}"`), "400", "invalidSyntax", []string{"JSON object"}},
		{"data that is no user", post("/Users", "x", `{"userName":7}`), "400", "invalidValue", []string{"userName"}},
		{"data that is no PATCH", on("PATCH", "/Users/user-1", `{"title":"x"}`), "400", "invalidSyntax", []string{"Operations: missing"}},
		{"an old version", `{"method":"DELETE","path":"/Users/user-1","version":"W/\"0\""}`, "412", "", []string{"0"}},
		{"a version that is none", `{"method":"DELETE","path":"/Users/user-1","version":"7"}`, "400", "invalidVers", nil},
		{"a number as version", `{"method":"DELETE","path":"/Users/user-1","version":7}`, "400", "invalidSyntax", []string{"version"}},
		{"a bulkId that nothing has", post("/Groups", "x", groupBody("X", "bulkId:nobody")), "400", "invalidValue", []string{`"nobody"`, "no POST"}},
		{"an empty bulkId as reference", post("/Groups", "x", groupBody("X", "bulkId:")), "400", "invalidValue", []string{`""`}},
		{"a bulkId in another case", post("/Groups", "x", groupBody("X", "bulkId:LAST")), "400", "invalidValue", []string{`"LAST"`}},
		{"a bulkId of no POST", on("PATCH", "/Users/bulkId:removal", patchBody), "400", "invalidValue", []string{`"removal"`}},
		{"a path without its bulkId", on("DELETE", "/Users/bulkId:", ""), "400", "invalidValue", []string{"missing behind"}},
		{"a segment behind a bulkId", on("DELETE", "/Users/bulkId:last/x", ""), "400", "invalidValue", []string{`"last/x"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, func(o *Options) { o.Resources = []Resource{ReadOnly("Role", roleCodec(t), fewRoles{})} }).with(t, 2)
			got := r.bulk(t, bulkBody("", tt.operation, post("/Users", "last", userBody("last@example.com")), `{"method":"DELETE","path":"/Users/user-2","bulkId":"removal"}`))
			if all := statuses(got); all != tt.status+" 201 204" {
				t.Fatalf("statuses %s, want %s 201 204: %+v", all, tt.status, got[0].Response)
			}
			e := got[0].Response
			if e.ScimType != tt.scimType {
				t.Errorf("scimType %q, want %q", e.ScimType, tt.scimType)
			}
			for _, part := range tt.detail {
				if !strings.Contains(e.Detail, part) {
					t.Errorf("detail %q does not say %q", e.Detail, part)
				}
			}
			if r.users.users[0].UserName != "ada@example.com" || len(r.users.users) != 2 || len(r.groups.groups) != 0 {
				t.Error("what was refused changed something")
			}
		})
	}
}

func TestBulkTolerates(t *testing.T) {
	for name, body := range map[string]string{
		"no schemas":            `{"Operations":[` + post("/Users", "a", userBody("a@example.com")) + `]}`,
		"names in other case":   `{"SCHEMAS":["` + strings.ToUpper(bulkRequestSchema) + `"],"operations":[{"METHOD":"POST","Path":"/Users","bulkid":"a","DATA":` + userBody("a@example.com") + `}]}`,
		"unknown members":       `{"x":[{}],"Operations":[{"y":{"z":1},"method":"POST","path":"/Users","bulkId":"a","data":` + userBody("a@example.com", `"q":1`) + `}]}`,
		"a byte order mark":     "\ufeff" + bulkBody("", post("/Users", "a", userBody("a@example.com"))),
		"a path without slash":  bulkBody("", post("Users", "a", userBody("a@example.com"))),
		"a slash at the end":    bulkBody("", post("/Users/", "a", userBody("a@example.com"))),
		"the whole address":     bulkBody("", post(publicAddress+"/scim/v2/Users", "a", userBody("a@example.com"))),
		"failOnErrors of 0":     bulkBody(`"failOnErrors":0,`, post("/Users", "a", userBody("a@example.com"))),
		"failOnErrors null":     bulkBody(`"failOnErrors":null,`, post("/Users", "a", userBody("a@example.com"))),
		"failOnErrors of 10^30": bulkBody(`"failOnErrors":1`+strings.Repeat("0", 30)+`,`, post("/Users", "a", userBody("a@example.com"))),
		"null version":          bulkBody("", `{"method":"POST","path":"/Users","bulkId":"a","version":null,"data":`+userBody("a@example.com")+`}`),
		"a strange bulkId":      bulkBody("", post("/Users", "é \"/\\\u2028<b>", userBody("a@example.com"))),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			if got := statuses(r.bulk(t, body)); got != "201" {
				t.Errorf("statuses %q", got)
			}
		})
	}
	r := newRig(t, nil)
	if got := r.bulk(t, bulkBody("")); len(got) != 0 {
		t.Errorf("answer to no operations: %+v", got)
	}
}

func TestBulkReferences(t *testing.T) {
	user := func(id, name string, more ...string) string { return post("/Users", id, userBody(name, more...)) }
	manager := func(id string) string {
		return `"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"bulkId:` + id + `"}}`
	}
	for _, tt := range []struct {
		name       string
		operations []string
		want       string
		members    []string // user names, of the first group
		detail     string   // of the first failure
	}{
		{"backward", []string{user("a", "a"), post("/Groups", "g", groupBody("G", "bulkId:a"))}, "201 201", []string{"a"}, ""},
		{"forward", []string{post("/Groups", "g", groupBody("G", "bulkId:a", "bulkId:b")), user("a", "a"), user("b", "b")}, "201 201 201", []string{"a", "b"}, ""},
		{"escaped", []string{user("é\"/", "a"), post("/Groups", "g", groupBody("G", `bulkId:é"/`)), post("/Groups", "h", strings.Replace(groupBody("H", "bulkId:X"), "bulkId:X", `b\u0075lkId\u003a\u00e9\u0022\/`, 1))}, "201 201 201", []string{"a"}, ""},
		{"several of one", []string{user("a", "a"), post("/Groups", "g", groupBody("G", "bulkId:a", "bulkId:a"))}, "201 201", []string{"a"}, ""},
		{"in a PATCH", []string{user("a", "a"), post("/Groups", "g", groupBody("G")), on("PATCH", "/Groups/bulkId:g", patchOf("add", "members", `[{"value":"bulkId:a"}]`))}, "201 201 200", []string{"a"}, ""},
		{"in a path before the create", []string{on("PATCH", "/Groups/bulkId:g", patchOf("add", "members", `[{"value":"bulkId:a"}]`)), user("a", "a"), post("/Groups", "g", groupBody("G"))}, "200 201 201", []string{"a"}, ""},
		{"a resource of its own time", []string{user("a", "a"), on("PATCH", "/Users/bulkId:a", patchBody), on("DELETE", "/Users/bulkId:a", ""), on("PATCH", "/Users/bulkId:a", patchBody), user("b", "a")}, "201 200 204 404 201", nil, `User "user-1" does not exist`},
		{"managers up a chain", []string{user("a", "a", manager("b")), user("b", "b", manager("c")), user("c", "c")}, "201 201 201", nil, ""},
		{"to what failed", []string{user("a", ""), post("/Groups", "g", groupBody("G", "bulkId:a")), on("DELETE", "/Groups/bulkId:g", ""), user("b", "b")}, "400 409 409 201", nil, "userName"},
		{"to what failed, later", []string{post("/Groups", "g", groupBody("G", "bulkId:a")), user("a", "")}, "409 400", nil, `bulkId "a", and operation 2, which has it, failed with 400`},
		{"to what nobody has", []string{post("/Groups", "g", groupBody("G", "bulkId:z")), post("/Groups", "h", groupBody("H", "bulkId:g"))}, "400 409", nil, `"z"`},
		{"to one of two", []string{user("a", "a"), user("a", "b"), post("/Groups", "g", groupBody("G", "bulkId:a")), on("DELETE", "/Users/bulkId:a", "")}, "201 201 400 400", nil, "several operations"},
		{"beside one of two", []string{post("/Groups", "g", groupBody("G")), post("/Groups", "g", groupBody("H"))}, "201 201", nil, ""},
		{"to itself", []string{user("a", "a", manager("a")), user("b", "b")}, "409 201", nil, "to itself"},
		{"in a circle", []string{user("a", "a", manager("b")), user("b", "b", manager("c")), user("c", "c", manager("a")), user("d", "d", manager("a")), user("e", "e")}, "409 409 409 409 201", nil, "PATCH"},
		{"from a circle to another", []string{user("a", "a", manager("a")), user("b", "b", manager("a")), user("c", "c", manager("c"), `"title":"bulkId:b"`)}, "409 409 409", nil, `"a" refer`},
		{"as a part of a text", []string{user("a", "a", `"title":"see bulkId:b"`)}, "201", nil, ""},
		{"as the name of a member", []string{user("a", "a", `"bulkId:b":1`)}, "201", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, nil)
			got := r.bulk(t, bulkBody("", tt.operations...))
			if all := statuses(got); all != tt.want {
				t.Fatalf("statuses %s, want %s: %+v", all, tt.want, got)
			}
			if tt.members != nil {
				var names []string
				for _, m := range r.groups.groups[0].Members {
					i, err := r.users.index(m.Value)
					if err != nil {
						t.Fatal(err)
					}
					names = append(names, r.users.users[i].UserName)
				}
				slices.Sort(names)
				if diff := cmp.Diff(tt.members, names); diff != "" {
					t.Errorf("members: %s", diff)
				}
			}
			for _, o := range got {
				if o.Response != nil {
					if !strings.Contains(o.Response.Detail, tt.detail) {
						t.Errorf("detail %q does not say %q", o.Response.Detail, tt.detail)
					}
					break
				}
			}
		})
	}
}

func TestBulkFailOnErrors(t *testing.T) {
	good := func(i int) string { return post("/Users", fmt.Sprint(i), userBody(fmt.Sprintf("u%d@example.com", i))) }
	bad := func(i int) string { return post("/Users", fmt.Sprint(i), `{}`) }
	for _, tt := range []struct {
		limit int
		kinds string // g for good, b for bad, t for a name that is taken
		want  string
	}{
		{0, "bbgtb", "400 400 201 409 400"},
		{1, "ggbgg", "201 201 400"},
		{1, "b", "400"},
		{1, "tgg", "409"},
		{2, "gtgbgt", "201 409 201 400"},
		{2, "ggg", "201 201 201"},
		{3, "bbgb", "400 400 201 400"},
		{2, "ttb", "409 409"}, // the second waits for the first, and the third for both
		{9, "btbt", "400 409 400 409"},
	} {
		t.Run(fmt.Sprint(tt.limit, tt.kinds), func(t *testing.T) {
			r := newRig(t, nil).with(t, 1)
			var operations []string
			for i, k := range tt.kinds {
				switch k {
				case 'g':
					operations = append(operations, good(i))
				case 'b':
					operations = append(operations, bad(i))
				default:
					operations = append(operations, post("/Users", fmt.Sprint(i), userBody("ada@example.com")))
				}
			}
			got := r.bulk(t, bulkBody(fmt.Sprintf(`"failOnErrors":%d,`, tt.limit), operations...))
			if all := statuses(got); all != tt.want {
				t.Errorf("statuses %s, want %s", all, tt.want)
			}
			if want := len(got) + 1; len(r.observed) != want {
				t.Errorf("%d observed, want %d: what was not begun is not observed", len(r.observed), want)
			}
		})
	}
}

// gauge counts how many handler calls are under way.
type gauge struct {
	mu        sync.Mutex
	now, most int
	order     []string
}

func (g *gauge) enter(op string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now++
	g.most = max(g.most, g.now)
	g.order = append(g.order, op)
}

func (g *gauge) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now--
}

// during lets every call of the handlers take a second.
func (g *gauge) during(r *rig) {
	wait := func(ctx context.Context, op string) error {
		g.enter(op)
		defer g.leave()
		select {
		case <-time.After(time.Second):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r.users.before, r.groups.before = wait, wait
}

func TestBulkRunsBeside(t *testing.T) {
	users := func(from, n int) []string {
		var list []string
		for i := range n {
			list = append(list, post("/Users", fmt.Sprint("u", from+i), userBody(fmt.Sprintf("u%d@example.com", from+i))))
		}
		return list
	}
	patches := func(attribute string, ids ...string) []string {
		var list []string
		for _, id := range ids {
			list = append(list, on("PATCH", "/Users/"+id, patchOf("replace", attribute, `"x"`)))
		}
		return list
	}
	for _, tt := range []struct {
		name       string
		head       string
		operations []string
		most       int
		took       time.Duration
	}{
		{"creates", "", users(0, 50), 50, time.Second},
		{"more creates than may", "", users(0, 250), 200, 2 * time.Second},
		{"creates and a group", "", slices.Concat(users(0, 3), []string{post("/Groups", "g", groupBody("G"))}, users(3, 3)), 3, 3 * time.Second},
		{"creates of one name", "", []string{post("/Users", "a", userBody("a@example.com")), post("/Users", "b", userBody("A@example.com")), post("/Users", "c", userBody("c@example.com"))}, 2, 2 * time.Second},
		{"a name that is another's address", "", []string{post("/Users", "a", `{"userName":"a","emails":[{"value":"B@Example.com"}]}`), post("/Users", "b", `{"UserName":"b@example.com"}`)}, 1, 2 * time.Second},
		{"a chain", "", []string{post("/Users", "a", userBody("a")), post("/Users", "b", userBody("b", `"title":"bulkId:a"`)), post("/Users", "c", userBody("c"))}, 2, 2 * time.Second},
		{"profiles", "", patches("title", "user-1", "user-2", "user-3"), 3, time.Second},
		{"one profile twice", "", patches("title", "user-1", "user-1", "user-2"), 2, 2 * time.Second},
		{"names", "", patches("userName", "user-1", "user-2"), 1, 2 * time.Second},
		{"names in capitals", "", patches("USERNAME", "user-1", "user-2"), 1, 2 * time.Second},
		{"profiles and creates", "", slices.Concat(patches("title", "user-1", "user-2"), users(0, 2)), 2, 2 * time.Second},
		{"deletes", "", []string{on("DELETE", "/Users/user-1", ""), on("DELETE", "/Users/user-2", "")}, 1, 2 * time.Second},
		{"replacements", "", []string{on("PUT", "/Users/user-1", userBody("x")), on("PUT", "/Users/user-2", userBody("y"))}, 1, 2 * time.Second},
		{"until the first error", `"failOnErrors":1,`, users(0, 3), 1, 3 * time.Second},
		{"until the third error", `"failOnErrors":3,`, users(0, 6), 3, 2 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil).with(t, 3)
				var g gauge
				g.during(r)
				start := time.Now()
				got := r.bulk(t, bulkBody(tt.head, tt.operations...))
				if took := time.Since(start); took != tt.took || g.most != tt.most {
					t.Errorf("took %v, want %v; %d at once, want %d", took, tt.took, g.most, tt.most)
				}
				if len(got) != len(tt.operations) || g.now != 0 {
					t.Errorf("%d answers, %d calls go on", len(got), g.now)
				}
			})
		})
	}
}

// Each of these comes out in one way only when it is done in order.
func TestBulkOrder(t *testing.T) {
	for _, tt := range []struct {
		name       string
		operations []string
		want       string
	}{
		{"deleted and made again", []string{on("DELETE", "/Users/user-1", ""), post("/Users", "a", userBody("ada@example.com"))}, "204 201"},
		{"made and deleted", []string{post("/Users", "a", userBody("ada@example.com")), on("DELETE", "/Users/user-1", "")}, "409 204"},
		{"renamed out of the way", []string{on("PATCH", "/Users/user-1", patchOf("replace", "userName", `"x@example.com"`)), post("/Users", "a", userBody("ada@example.com"))}, "200 201"},
		{"a later create for an earlier group", []string{post("/Groups", "g", groupBody("G", "bulkId:a")), on("DELETE", "/Users/user-1", ""), post("/Users", "a", userBody("ada@example.com"))}, "201 204 201"},
		{"one name, twice, the first to wait", []string{
			post("/Groups", "g", groupBody("G", "bulkId:a")), post("/Groups", "h", groupBody("g")), post("/Users", "a", userBody("a@example.com")),
		}, "201 409 201"},
		{"one name, written in full", []string{
			post("/Users", "a", strings.Replace(userBody("a@example.com"), `"userName"`, `"urn:ietf:params:scim:schemas:core:2.0:User:userName"`, 1)), post("/Users", "b", userBody("a@example.com")),
		}, "201 409"},
		{"one name, under the URN", []string{
			post("/Users", "a", `{"urn:ietf:params:scim:schemas:core:2.0:User":`+userBody("a@example.com")+`}`), post("/Users", "b", userBody("a@example.com")),
		}, "201 409"},
		{"one resource, the first to wait", []string{
			on("PATCH", "/Users/user-1", patchOf("replace", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value", `"bulkId:a"`)), on("DELETE", "/Users/user-1", ""), post("/Users", "a", userBody("a@example.com")),
		}, "200 204 201"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, nil).with(t, 1)
			if got := r.bulk(t, bulkBody("", tt.operations...)); statuses(got) != tt.want {
				t.Errorf("statuses %s, want %s", statuses(got), tt.want)
			}
		})
	}
}

func TestBulkOutOfTime(t *testing.T) {
	users := func(n int) (list []string) {
		for i := range n {
			list = append(list, post("/Users", fmt.Sprint(i), userBody(fmt.Sprintf("u%d@example.com", i))))
		}
		return list
	}
	t.Run("slow", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, nil)
			r.users.before = func(ctx context.Context, _ string) error {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(9 * time.Second):
					return nil
				}
			}
			start := time.Now()
			got := r.bulk(t, bulkBody("", users(650)...))
			// Three times two hundred are begun within 20 s; the last of them
			// have until 24 s.
			if took := time.Since(start); took != 24*time.Second {
				t.Errorf("took %v", took)
			}
			made, cut, late := 0, 0, 0
			for _, o := range got {
				switch {
				case o.Status == "201":
					made++
				case o.Status == "503" && strings.Contains(o.Response.Detail, "in time"):
					cut++
				case o.Status == "503" && strings.Contains(o.Response.Detail, "before this operation was begun") && strings.Contains(o.Response.Detail, "after 5 seconds"):
					late++
				}
			}
			if made != 400 || cut != 200 || late != 50 {
				t.Errorf("%d made, %d cut off, %d not begun", made, cut, late)
			}
			// The same once more converges.
			r.users.before = nil
			again := r.bulk(t, bulkBody("", users(650)...))
			for i, o := range again {
				if want := map[string]string{"201": "409", "503": "201"}[got[i].Status]; o.Status != want {
					t.Fatalf("operation %d: %s, then %s", i+1, got[i].Status, o.Status)
				}
			}
		})
	})
	t.Run("deaf", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, nil)
			release := make(chan struct{})
			r.users.before = func(context.Context, string) error { <-release; return errors.New("too late") }
			start := time.Now()
			got := r.bulk(t, bulkBody("", users(3)...))
			if took := time.Since(start); took != 29*time.Second || statuses(got) != "503 503 503" {
				t.Errorf("took %v: %s", took, statuses(got))
			}
			close(release)
		})
	})
}

func TestBulkPanic(t *testing.T) {
	r := newRig(t, nil).with(t, 1)
	r.users.before = func(_ context.Context, op string) error {
		if op == "delete" {
			panic("secret value")
		}
		return nil
	}
	got := r.bulk(t, bulkBody("", on("DELETE", "/Users/user-1", ""), on("PATCH", "/Users/user-1", patchBody)))
	if statuses(got) != "500 200" || !strings.Contains(got[0].Response.Detail, "req-1") {
		t.Errorf("%+v", got)
	}
	if log := r.log(); !strings.Contains(log, `"stack":`) || strings.Contains(log, "secret value") {
		t.Errorf("log: %s", log)
	}
	if !r.observed[0].Panicked || r.observed[0].Operation != 1 {
		t.Errorf("observed %+v", r.observed)
	}
}

func TestBulkRetryHints(t *testing.T) {
	r := newRig(t, nil).with(t, 1)
	refusals := []error{scim.TooManyRequests(61*time.Second, "held"), scim.Unavailable(0, "away"), scim.Forbidden("never")}
	r.users.before = func(context.Context, string) error {
		err := refusals[0]
		refusals = refusals[1:]
		return err
	}
	del := on("DELETE", "/Users/user-1", "")
	got := r.bulk(t, bulkBody("", del, del, del))
	for i, detail := range []string{"held (send it again after 61 seconds)", "away (send it again after 5 seconds)", "never"} {
		if got[i].Response.Detail != detail {
			t.Errorf("detail %q, want %q", got[i].Response.Detail, detail)
		}
	}
	if r.failed[0].Detail != "held" || r.observed[1].Detail != "away" {
		t.Errorf("recorded %q, observed %q", r.failed[0].Detail, r.observed[1].Detail)
	}
}

func TestBulkIsRecorded(t *testing.T) {
	type begun struct{}
	n := 0
	var seen []int
	r := newRig(t, func(o *Options) {
		o.Begin = func(ctx context.Context) context.Context { n++; return context.WithValue(ctx, begun{}, n) }
		observe := o.Observe
		o.Observe = func(ctx context.Context, q Request) {
			number, _ := ctx.Value(begun{}).(int)
			seen = append(seen, number)
			observe(ctx, q)
		}
	})
	r.bulk(t, bulkBody("",
		post("/Users", "a", userBody("a@example.com", `"unknownThing":1`)),
		on("DELETE", "/Users/nobody", ""),
		on("GET", "/Users/nobody", ""),
		post("/Bulk", "b", `{}`),
		on("DELETE", "/Nothing", ""),
		on("PATCH", "/Users/bulkId:b", patchBody),
	), "User-Agent: okta scim client 1.0.0")
	// What is refused before it is begun waits for nothing.
	slices.SortFunc(r.observed, func(a, b Request) int { return a.Operation - b.Operation })
	const user, users, whole = "/scim/v2/Users/{id}", "/scim/v2/Users", "/scim/v2/Bulk"
	of := func(operation int, method, route, id string, status int, scimType string) Request {
		return Request{RequestID: "req-1", Tenant: "acme", Credential: "cred-1", Operation: operation, Method: method, Route: route, ID: id, Status: status, Type: scimType}
	}
	first := of(1, "POST", users, "user-1", 201, "")
	first.Name = "a@example.com"
	first.Notes = []scim.Note{{Path: "unknownThing", Reason: "unknown attribute: dropped", Tolerance: scim.UnknownAttributeDropped}}
	if diff := cmp.Diff([]Request{
		of(0, "POST", whole, "", 200, ""),
		first,
		of(2, "DELETE", user, "nobody", 404, ""),
		of(3, "GET", "unmatched", "", 400, "invalidValue"),
		of(4, "POST", whole, "", 400, "invalidValue"),
		of(5, "DELETE", "unmatched", "", 404, ""),
		of(6, "PATCH", user, "", 409, ""),
	}, r.observed, cmpopts.IgnoreFields(Request{}, "Duration", "Start", "Detail")); diff != "" {
		t.Error(diff)
	}
	if last := seen[len(seen)-1]; last != 1 {
		t.Errorf("the context of the whole is the one that was begun as number %d", last)
	}
	slices.Sort(seen)
	if diff := cmp.Diff([]int{1, 2, 3, 4, 5, 6, 7}, seen); diff != "" {
		t.Errorf("each has a context of its own: %s", diff)
	}
	if diff := cmp.Diff([]FailedRequest{
		{Method: "DELETE", Route: user, ID: "nobody", Status: 404},
		{Method: "POST", Route: whole, Status: 400, Type: "invalidValue"},
		{Method: "DELETE", Route: "unmatched", Status: 404},
		{Method: "PATCH", Route: user, Status: 409},
	}, r.failed, cmpopts.IgnoreFields(FailedRequest{}, "Caller", "Detail"), cmpopts.SortSlices(func(a, b FailedRequest) bool {
		return a.Method+a.Route < b.Method+b.Route
	})); diff != "" {
		t.Error(diff)
	}
	log := r.log()
	if n := strings.Count(log, `"msg":"operation failed"`); n != 5 || !strings.Contains(log, `"operation":6,`) {
		t.Errorf("%d lines about operations: %s", n, log)
	}
	if strings.Contains(log, "nobody") || strings.Contains(log, "a@example.com") {
		t.Errorf("the log names people: %s", log)
	}
}

// The dialect is the one that the bulk request shows.
func TestBulkDialect(t *testing.T) {
	r := newRig(t, func(o *Options) {
		authenticated := o.Authenticate
		o.Authenticate = func(q *http.Request) (Identity, error) {
			id, err := authenticated(q)
			id.Client = "auto"
			return id, err
		}
	}).with(t, 1)
	unknown := on("PATCH", "/Users/user-1", `{"Operations":[{"op":"replace","path":"shoeSize","value":"42"}]}`)
	if got := statuses(r.bulk(t, bulkBody("", unknown))); got != "400" {
		t.Errorf("without evidence: %s", got)
	}
	if got := statuses(r.bulk(t, bulkBody("", unknown), "User-Agent: okta scim client 1.0.0")); got != "200" {
		t.Errorf("by the header: %s", got)
	}
	rec := r.do(t, request("POST", "/scim/v2/Bulk?aadOptscim062020", bulkBody("", unknown)))
	if got := statuses(checkBulk(t, rec)); got != "200" || r.users.last.caller.Dialect != scim.DialectEntra {
		t.Errorf("by the flag: %s, %s", got, r.users.last.caller.Dialect)
	}
	if last := r.observed[len(r.observed)-2]; !last.EntraFlag || last.Operation != 1 {
		t.Errorf("observed %+v", last)
	}
}

func TestBulkLimitsAreAnnounced(t *testing.T) {
	r := newRig(t, nil)
	bulk, _ := object(t, r.do(t, request("GET", "/scim/v2/ServiceProviderConfig", "")).Body.Bytes())["bulk"].(map[string]any)
	if diff := cmp.Diff(map[string]any{"supported": true, "maxOperations": float64(maxBulkOperations), "maxPayloadSize": float64(1 << 20)}, bulk); diff != "" {
		t.Error(diff)
	}
	set, err := schemas.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range r.handler.(*server).routes.byName {
		_, isType := set.ResourceType(e.resource)
		if strings.HasSuffix(e.pattern, "{id}") && isType != r.handler.(*server).holdsResources(e) {
			t.Errorf("%s: holds resources: %v", e.pattern, !isType)
		}
	}
}
