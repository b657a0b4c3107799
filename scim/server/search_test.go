package server

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sharearefund/scim-bridge/scim"
)

// found is a list answer in short.
type found struct {
	total int
	ids   string
	next  string
	start any // startIndex, nil when it is absent
}

func (r *rig) find(tb testing.TB, method, target, body string) found {
	tb.Helper()
	rec := r.do(tb, request(method, target, body))
	want(tb, rec, 200, "")
	list := object(tb, rec.Body.Bytes())
	resources, ok := list["Resources"].([]any)
	if !ok || list["itemsPerPage"] != float64(len(resources)) {
		tb.Fatalf("Resources is no array of itemsPerPage: %s", rec.Body)
	}
	var ids []string
	for _, v := range resources {
		ids = append(ids, v.(map[string]any)["id"].(string))
	}
	next, _ := list["nextCursor"].(string)
	return found{int(list["totalResults"].(float64)), strings.Join(ids, " "), next, list["startIndex"]}
}

// searchRig has users user-1 to user-3, groups group-1 and group-2 and two roles.
func searchRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, withRoles(t, twoRoles)).with(t, 3)
	for _, name := range []string{"Zebras", "Ants"} {
		want(t, r.do(t, request("POST", "/scim/v2/Groups", fmt.Sprintf(`{"displayName":%q}`, name))), 201, "")
	}
	return r
}

const allIDs = "user-1 user-2 user-3 group-1 group-2 3 1"

func TestSearch(t *testing.T) {
	r := searchRig(t)
	for _, tt := range []struct {
		path, body string
		total      int
		ids        string
	}{
		{"/Users/.search", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"filter":"id eq \"user-2\""}`, 1, "user-2"},
		{"/Users/.search", `{}`, 3, "user-1 user-2 user-3"},
		{"/Users/.search", `{"startIndex":2,"count":1}`, 3, "user-2"},
		{"/Users/.search", `{"STARTINDEX":"2","Count":"1","unknown":{"a":[1]}}`, 3, "user-2"},
		{"/Users/.search", `{"sortBy":"userName","sortOrder":"descending","filter":null}`, 3, "user-3 user-2 user-1"},
		{"/Groups/.search", `{"filter":"displayName eq \"ants\"","excludedAttributes":["members"]}`, 1, "group-2"},
		{"/Roles/.search", `{"sortBy":"weight"}`, 2, "3 1"},
		{"/.search", `{}`, 7, allIDs},
		{"/.search", `{"filter":"displayName sw \"a\""}`, 1, "group-2"},
		{"/.search", `{"filter":"meta.resourceType eq \"Role\""}`, 2, "3 1"},
		{"/.search", `{"filter":"weight gt 60 or userName eq \"ada@example.com\""}`, 2, "user-1 1"},
		{"/.search", `{"filter":"not (weight pr)"}`, 5, "user-1 user-2 user-3 group-1 group-2"},
		{"/.search", `{"filter":"weight ne 50"}`, 6, "user-1 user-2 user-3 group-1 group-2 1"},
		{"/.search", `{"filter":"weight eq null and members pr"}`, 0, ""},
		{"/.search", `{"filter":"emails[value co \"example\"]","count":1}`, 3, "user-1"},
		{"/.search", `{"startIndex":3,"count":3}`, 7, "user-3 group-1 group-2"},
		{"/.search", `{"startIndex":7,"count":3}`, 7, "1"},
		{"/.search", `{"startIndex":8}`, 7, ""},
		{"/.search", `{"count":0}`, 7, ""},
		{"/.search", `{"sortBy":"displayName","filter":"displayName pr and not (userName pr)"}`, 4, "group-2 3 1 group-1"},
		{"/.search", `{"sortBy":"displayName","sortOrder":"descending","startIndex":2,"count":2,"filter":"not (userName pr)"}`, 4, "1 3"},
		{"/.search", `{"sortBy":"userName","count":2}`, 7, "user-1 user-2"},
		{"/.search", `{"sortBy":"userName","sortOrder":"descending","count":5}`, 7, "group-1 group-2 3 1 user-3"},
		{"/.search", `{"sortBy":"nosuchattribute","count":2}`, 7, "user-1 user-2"},
	} {
		t.Run(tt.path+tt.body, func(t *testing.T) {
			got := r.find(t, "POST", "/scim/v2"+tt.path, tt.body)
			if got.total != tt.total || got.ids != tt.ids {
				t.Errorf("found %d: %q, want %d: %q", got.total, got.ids, tt.total, tt.ids)
			}
			var members map[string]any
			if json.Unmarshal([]byte(tt.body), &members) != nil || strings.Contains(tt.body, "null") || strings.Contains(tt.body, "unknown") {
				return
			}
			q := url.Values{}
			for k, v := range members {
				if list, ok := v.([]any); ok {
					v = strings.Trim(strings.ReplaceAll(fmt.Sprint(list...), " ", ","), "[]")
				}
				if k != "schemas" {
					q.Set(k, fmt.Sprint(v))
				}
			}
			same := r.find(t, "GET", "/scim/v2"+strings.TrimSuffix(tt.path, "/.search")+"?"+q.Encode(), "")
			if diff := cmp.Diff(got, same, cmp.AllowUnexported(found{})); diff != "" {
				t.Errorf("by GET (-post +get):\n%s", diff)
			}
		})
	}
}

func TestSearchShowsAskedAttributes(t *testing.T) {
	r := searchRig(t)
	rec := r.do(t, request("POST", "/scim/v2/.search", `{"attributes":["displayName","userName"],"count":7}`))
	want(t, rec, 200, "")
	for _, v := range object(t, rec.Body.Bytes())["Resources"].([]any) {
		for k := range v.(map[string]any) {
			if k != "id" && k != "schemas" && k != "displayName" && k != "userName" {
				t.Errorf("%s is shown: %v", k, v)
			}
		}
	}
}

func TestSearchRefusals(t *testing.T) {
	r := searchRig(t)
	for _, tt := range []struct {
		target, body string
		status       int
		typ, detail  string
	}{
		{"/Users/.search", ``, 400, "invalidSyntax", "no body"},
		{"/Users/.search", `[]`, 400, "invalidSyntax", "must be a JSON object"},
		{"/Users/.search", `{}{}`, 400, "invalidSyntax", "nothing behind it"},
		{"/Users/.search", `{"filter":"id pr"`, 400, "invalidSyntax", "ends too early"},
		{"/Users/.search", `{"filter":"id pr","filter":"id pr"}`, 400, "invalidSyntax", "twice"},
		{"/Users/.search", `{"filter":"id pr","Filter":"id pr"}`, 400, "invalidSyntax", "twice"},
		{"/Users/.search", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}`, 400, "invalidValue", "SearchRequest"},
		{"/Users/.search", `{"schemas":"x"}`, 400, "invalidSyntax", "schemas"},
		{"/Users/.search", `{"filter":5}`, 400, "invalidSyntax", "filter"},
		{"/Users/.search", `{"filter":""}`, 400, "invalidFilter", "empty"},
		{"/Users/.search", `{"filter":"nosuch eq 1"}`, 400, "invalidFilter", "nosuch"},
		{"/Users/.search", `{"filter":"password pr"}`, 400, "invalidFilter", "password"},
		{"/Users/.search", `{"count":1.5}`, 400, "invalidValue", "count"},
		{"/Users/.search", `{"count":true}`, 400, "invalidValue", "count"},
		{"/Users/.search", `{"attributes":["a"],"excludedAttributes":["b"]}`, 400, "invalidValue", "exclude"},
		{"/Users/.search", `{"attributes":[1]}`, 400, "invalidSyntax", "attributes[0]"},
		{"/Users/.search", `{"sortOrder":"up"}`, 400, "invalidValue", "sortOrder"},
		{"/Users/.search?filter=id+pr", `{}`, 400, "invalidValue", "in the body"},
		{"/.search", `{"filter":"nosuch eq 1"}`, 400, "invalidFilter", "nosuch"},
		{"/.search", `{"filter":"password eq \"x\""}`, 400, "invalidFilter", "password"},
		{"/.search", `{"filter":"userName eq 5"}`, 400, "invalidFilter", "userName"},
		{"/.search", `{"filter":"userName eq"}`, 400, "invalidFilter", ""},
		{"/.search", `{"cursor":"","sortBy":"userName"}`, 400, "invalidValue", "sort"},
		{"/.search", `{"cursor":"AAAA"}`, 400, "invalidCursor", "cursor"},
		{"/.search", `{"cursor":"","startIndex":1}`, 400, "invalidValue", "exclude each other"},
	} {
		t.Run(tt.target+tt.body, func(t *testing.T) {
			rec := r.do(t, request("POST", "/scim/v2"+tt.target, tt.body, "Content-Type: application/scim+json"))
			want(t, rec, tt.status, tt.typ)
			if got := object(t, rec.Body.Bytes())["detail"].(string); !strings.Contains(got, tt.detail) {
				t.Errorf("detail %q does not say %q", got, tt.detail)
			}
		})
	}
	if len(r.failed) > 0 {
		t.Errorf("a search that failed was recorded as a change: %+v", r.failed[0])
	}
}

// A sorted query of the root asks no handler for more than there is.
func TestSearchBehindTheEnd(t *testing.T) {
	r := searchRig(t)
	for start, want := range map[int]int{2_000_000_000: 0, 8: 0, 7: 3} {
		got := r.find(t, "GET", fmt.Sprintf("/scim/v2?sortBy=weight&startIndex=%d&count=1000", start), "")
		if got.total != 7 || r.users.last.query.Count != want {
			t.Errorf("from %d: %+v, %d users were asked for, want %d", start, got, r.users.last.query.Count, want)
		}
	}
}

// A search changes nothing: it ends when the client hangs up, as a GET does.
func TestSearchEndsWithItsClient(t *testing.T) {
	for method, body := range map[string]string{"GET": "", "POST": `{"filter":"title eq \"x\""}`} {
		r := searchRig(t)
		ctx, hangUp := context.WithCancel(t.Context())
		var seen error
		r.users.before = func(ctx context.Context, _ string) error {
			hangUp()
			<-ctx.Done()
			seen = context.Cause(ctx)
			return ctx.Err()
		}
		target := "/scim/v2/Users"
		if method == "POST" {
			target += "/.search"
		}
		r.do(t, request(method, target, body).WithContext(ctx))
		if !errors.Is(seen, context.Canceled) {
			t.Errorf("%s ended with %v", method, seen)
		}
	}
}

func TestSearchFailsWhole(t *testing.T) {
	r := newRig(t, withRoles(t, func(context.Context, scim.Caller) ([]*testRole, error) {
		return nil, scim.Unavailable(1, "upstream is down").Because(errors.New("cause"))
	})).with(t, 1)
	want(t, r.do(t, request("GET", "/scim/v2/?count=1", "")), 503, "")
}

func TestCursor(t *testing.T) {
	r := searchRig(t)
	for _, tt := range []struct{ path, query, ids string }{
		{"/Users", "", "user-1 user-2 user-3"},
		{"/Users", "sortBy=userName&sortOrder=descending", "user-3 user-2 user-1"},
		{"/Users", `filter=id+ne+"user-2"`, "user-1 user-3"},
		{"/Users", `filter=id+eq+"nobody"`, ""},
		{"/Groups", "sortBy=displayName", "group-2 group-1"},
		{"/Roles", "sortBy=weight&sortOrder=descending", "1 3"},
		{"/", "", allIDs},
		{"/", "filter=displayName+pr", "group-1 group-2 3 1"},
	} {
		for count := 1; count <= 8; count++ {
			var ids []string
			for cursor, page := "", 0; ; page++ {
				got := r.find(t, "GET", fmt.Sprintf("/scim/v2%s?%s&count=%d&cursor=%s", tt.path, tt.query, count, cursor), "")
				if got.total != len(strings.Fields(tt.ids)) || got.start != nil {
					t.Fatalf("%s?%s: totalResults %d, startIndex %v", tt.path, tt.query, got.total, got.start)
				}
				ids = append(ids, strings.Fields(got.ids)...)
				if got.next == "" {
					break
				}
				if url.QueryEscape(got.next) != got.next || got.ids == "" || page > 10 {
					t.Fatalf("%s?%s: page %d %q, nextCursor %q", tt.path, tt.query, page, got.ids, got.next)
				}
				cursor = got.next
			}
			if got := strings.Join(ids, " "); got != tt.ids {
				t.Errorf("%s?%s by %d: %q, want %q", tt.path, tt.query, count, got, tt.ids)
			}
		}
	}
	if got := r.find(t, "GET", "/scim/v2/Users?cursor", ""); got.ids != "user-1 user-2 user-3" || got.next != "" {
		t.Errorf("without a value: %+v", got)
	}
	if got := r.find(t, "GET", "/scim/v2/Users?cursor=&count=0", ""); got.total != 3 || got.ids != "" || got.next != "" {
		t.Errorf("count 0: %+v", got)
	}
}

func TestCursorOfLongValues(t *testing.T) {
	for _, unit := range []string{"a", "&", "é", "\U0001F600", "\u2028"} {
		r := newRig(t, nil)
		for i := range 3 {
			page := "https://example.com/?" + strings.Repeat(unit, 2000/len(unit)) + fmt.Sprint(3-i)
			want(t, r.do(t, request("POST", "/scim/v2/Users", fmt.Sprintf(`{"userName":"u%d@example.com","profileUrl":%q}`, i, page))), 201, "")
		}
		next := r.find(t, "GET", "/scim/v2/Users?cursor=&count=1&sortBy=profileUrl", "").next
		if got := r.find(t, "GET", "/scim/v2/Users?count=2&sortBy=profileUrl&cursor="+next, ""); len(strings.Fields(got.ids)) != 2 || len(next) > maxCursor/2 {
			t.Errorf("%q: %+v by a cursor of %d characters", unit, got, len(next))
		}
	}
}

// A cursor goes on where it came from, in the address and in a body.
func TestCursorOfASearch(t *testing.T) {
	r := searchRig(t)
	for _, path := range []string{"/scim/v2/Users", "/scim/v2"} {
		next := r.find(t, "GET", path+"?count=1&cursor=", "").next
		got := r.find(t, "POST", path+"/.search", fmt.Sprintf(`{"count":1,"cursor":%q}`, next))
		if again := r.find(t, "GET", path+"?count=1&cursor="+got.next, ""); got.ids != "user-2" || again.ids != "user-3" {
			t.Errorf("%s: %+v, then %+v", path, got, again)
		}
	}
}

// Processes that share a key take each other's cursors.
func TestCursorOfAnotherReplica(t *testing.T) {
	share := func(o *Options) { o.CursorKey = []byte(strings.Repeat("k", 32)) }
	one, two := newRig(t, share).with(t, 3), newRig(t, share).with(t, 3)
	next := one.find(t, "GET", `/scim/v2/Users?count=1&cursor&sortBy=userName`, "").next
	if got := two.find(t, "GET", "/scim/v2/Users?count=2&sortBy=userName&cursor="+next, ""); got.ids != "user-2 user-3" {
		t.Errorf("found %+v", got)
	}
}

func TestCursorOfAnotherQuery(t *testing.T) {
	r := searchRig(t)
	next := r.find(t, "GET", `/scim/v2/Users?count=1&cursor&filter=userName+pr`, "").next
	for name, target := range map[string]string{
		"filter":             "/Users?filter=id+pr&cursor=" + next,
		"sort":               "/Users?filter=userName+pr&sortBy=id&cursor=" + next,
		"type":               "/Groups?filter=userName+pr&cursor=" + next,
		"root":               "/?filter=userName+pr&cursor=" + next,
		"cut":                "/Users?filter=userName+pr&cursor=" + next[:len(next)-1],
		"of another process": "/Users?filter=userName+pr&cursor=" + searchRig(t).find(t, "GET", `/scim/v2/Users?count=1&cursor&filter=userName+pr`, "").next,
		"longer":             "/Users?filter=userName+pr&cursor=" + next + "AAAA",
		"changed":            "/Users?filter=userName+pr&cursor=A" + next[1:],
		"no text":            "/Users?filter=userName+pr&cursor=%2B",
		"too long":           "/Users?filter=userName+pr&cursor=" + strings.Repeat("A", 9000),
	} {
		t.Run(name, func(t *testing.T) {
			rec := r.do(t, request("GET", "/scim/v2"+target, ""))
			typ := "invalidCursor"
			if name == "type" {
				typ = "invalidFilter"
			}
			want(t, rec, 400, typ)
		})
	}
	for _, part := range []string{"example.com", `"q":`, `"t":`} {
		if raw, err := base64.RawURLEncoding.DecodeString(next); err != nil || strings.Contains(string(raw), part) {
			t.Errorf("the cursor shows %q, %v", part, err)
		}
	}
	if got := r.find(t, "GET", "/scim/v2/Users?filter=userName+pr&count=2&cursor="+next, ""); got.ids != "user-2 user-3" {
		t.Errorf("the cursor itself finds %+v", got)
	}
}

// RFC 9865: who is there from the first page to the last is shown exactly once,
// whoever comes and goes in between.
func TestCursorUnderChanges(t *testing.T) {
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		r := newRig(outer, nil)
		sort := rapid.SampledFrom([]string{"", "&sortBy=displayName", "&sortBy=displayName&sortOrder=descending", "&sortBy=active"}).Draw(t, "sort")
		create := func(n int) {
			name := rapid.SampledFrom([]string{"", "a", "B", "b", "c"}).Draw(t, "name")
			body := fmt.Sprintf(`{"userName":"u%d@example.com","displayName":%q}`, n, name)
			if rec := r.do(outer, request("POST", "/scim/v2/Users", body)); rec.Code != 201 {
				t.Fatal(rec.Body)
			}
		}
		n := rapid.IntRange(0, 9).Draw(t, "people")
		stay := map[string]int{}
		for i := range n {
			create(i)
			stay[fmt.Sprint("user-", i+1)] = 0
		}
		seen := map[string]int{}
		for cursor, more := "", true; more; {
			got := r.find(outer, "GET", fmt.Sprintf("/scim/v2/Users?count=%d&cursor=%s%s", rapid.IntRange(1, 4).Draw(t, "count"), cursor, sort), "")
			for id := range strings.FieldsSeq(got.ids) {
				seen[id]++
			}
			cursor, more = got.next, got.next != ""
			if len(seen) > 60 {
				break
			}
			switch rapid.IntRange(0, 3).Draw(t, "change") {
			case 0:
				create(n)
				n++
			case 1:
				id := fmt.Sprint("user-", rapid.IntRange(1, n+1).Draw(t, "gone"))
				r.do(outer, request("DELETE", "/scim/v2/Users/"+id, ""))
				delete(stay, id)
			}
		}
		for id := range stay {
			if seen[id] != 1 {
				t.Fatalf("%s was shown %d times", id, seen[id])
			}
		}
		for id, times := range seen {
			if times > 1 {
				t.Fatalf("%s was shown %d times", id, times)
			}
		}
	})
}
