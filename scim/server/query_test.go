package server

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPaging(t *testing.T) {
	r := newRig(t, nil).with(t, 7)
	tests := []struct {
		query      string
		start      int // startIndex of the answer
		ids        string
		startIndex int // what the handler got
		count      int
	}{
		{"", 1, "1 2 3 4 5 6 7", 1, 100},
		{"startIndex=1&count=5", 1, "1 2 3 4 5", 1, 5},
		{"startIndex=6&count=5", 6, "6 7", 6, 5},
		{"startIndex=0&count=2", 1, "1 2", 1, 2},
		{"startIndex=-1&count=2", 1, "1 2", 1, 2},
		{"startIndex=-99999999999999999999&count=2", 1, "1 2", 1, 2},
		{"count=0", 1, "", 1, 0},
		{"count=-1", 1, "", 1, 0},
		{"count=2147483648", 1, "1 2 3 4 5 6 7", 1, 1000},
		{"count=99999999999999999999", 1, "1 2 3 4 5 6 7", 1, 1000},
		{"count=1001", 1, "1 2 3 4 5 6 7", 1, 1000},
		{"startIndex=8", 8, "", 8, 100},
		{"startIndex=99999999999999999999", 2147483647, "", 2147483647, 100},
		{"startIndex=&count=", 1, "1 2 3 4 5 6 7", 1, 100},
		{"startindex=2&COUNT=1", 2, "2", 2, 1},
		{"count=2&unknown=1&unknown=2&x", 1, "1 2", 1, 2},
		{"count=1&aadOptscim062020", 1, "1", 1, 1},
		{"aadOptscim062020&count=1", 1, "1", 1, 1},
		{"sortBy=userName&sortOrder=descending&count=2", 1, "7 6", 1, 2},
		{"sortBy=userName&sortOrder=Ascending&count=2", 1, "1 2", 1, 2},
		{"sortBy=nosuchattribute&count=2", 1, "1 2", 1, 2},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			rec := r.do(t, request("GET", "/scim/v2/Users?"+tt.query, ""))
			want(t, rec, 200, "")
			list := object(t, rec.Body.Bytes())
			resources, ok := list["Resources"].([]any)
			if !ok {
				t.Fatalf("Resources is no array: %s", rec.Body)
			}
			var ids []string
			for _, u := range resources {
				ids = append(ids, strings.TrimPrefix(u.(map[string]any)["id"].(string), "user-"))
			}
			got := fmt.Sprint(list["totalResults"], list["startIndex"], list["itemsPerPage"], strings.Join(ids, " "), list["schemas"])
			if want := fmt.Sprint(7.0, float64(tt.start), float64(len(ids)), tt.ids, []any{listSchema}); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if q := r.users.last.query; q.StartIndex != tt.startIndex || q.Count != tt.count {
				t.Errorf("the handler got startIndex %d count %d", q.StartIndex, q.Count)
			}
		})
	}
}

func TestFilters(t *testing.T) {
	r := newRig(t, nil).with(t, 3)
	for filter, total := range map[string]int{
		`userName eq "ada@example.com"`:                      1,
		`username EQ "ADA@example.com"`:                      1,
		`userName eq "nobody"`:                               0,
		`externalId eq "x-1"`:                                3,
		`emails[type eq "work"].value eq "ada@example.com"`:  1,
		`userName sw "user" and active eq true`:              2,
		`userName eq "a;b" or userName eq "ada@example.com"`: 1,
	} {
		for _, encode := range []func(string) string{url.QueryEscape, url.PathEscape, func(s string) string {
			return strings.NewReplacer(" ", "+", `"`, "%22").Replace(s)
		}} {
			rec := r.do(t, request("GET", "/scim/v2/Users?filter="+encode(filter), ""))
			want(t, rec, 200, "")
			if list := object(t, rec.Body.Bytes()); list["totalResults"] != float64(total) || list["Resources"] == nil {
				t.Errorf("%s: %s", filter, rec.Body)
			}
		}
	}
}

func TestBadQueries(t *testing.T) {
	r := newRig(t, nil).with(t, 1)
	f := func(s string) string { return "filter=" + url.QueryEscape(s) }
	tests := []struct{ query, scimType string }{
		{"count=abc", "invalidValue"}, {"count=1.5", "invalidValue"}, {"count=-", "invalidValue"}, {"count=%2B1", "invalidValue"}, {"count=1e3", "invalidValue"},
		{"count=0x10", "invalidValue"}, {"count=%D9%A1", "invalidValue"}, {"startIndex=abc", "invalidValue"}, {"startIndex=1.0", "invalidValue"}, {"startIndex=%201", "invalidValue"},
		{"count=1&count=1", "invalidValue"}, {"startIndex=1&STARTINDEX=2", "invalidValue"},
		{"sortOrder=up", "invalidValue"}, {"sortBy=userName&sortBy=id", "invalidValue"},
		{f(`userName eq "a"`) + "&" + f(`userName eq "b"`), "invalidFilter"}, {f(`userName eq "a"`) + "&Filter=x", "invalidFilter"},
		{"filter=", "invalidFilter"}, {"filter", "invalidFilter"}, {"filter=%20", "invalidFilter"},
		{f(`userName eq`), "invalidFilter"}, {f(`eq "x"`), "invalidFilter"}, {f(`userName eq "x`), "invalidFilter"}, {f(`userName eq 'x'`), "invalidFilter"},
		{f(`userName xx "y"`), "invalidFilter"}, {f(`password pr`), "invalidFilter"}, {f(`password sw "a"`), "invalidFilter"}, {f(`noSuch eq "a"`), "invalidFilter"},
		{f(strings.Repeat("a", 100_000)), "invalidFilter"}, {f(strings.Repeat("(", 1000) + `id pr` + strings.Repeat(")", 1000)), "invalidFilter"},
		{f(strings.Repeat(`id pr and `, 1000) + "id pr"), "invalidFilter"},
		{"filter=%zz", "invalidValue"}, {"%zz=1", "invalidValue"}, {"filter=%ff", "invalidValue"}, {"count=%", "invalidValue"},
		{"attributes=a&excludedAttributes=b", "invalidValue"},
	}
	for _, tt := range tests {
		t.Run(clip(tt.query), func(t *testing.T) {
			rec := r.do(t, request("GET", "/scim/v2/Users?"+tt.query, ""))
			e := want(t, rec, 400, tt.scimType)
			if len(e.Detail) > 1000 {
				t.Errorf("a detail of %d bytes", len(e.Detail))
			}
		})
	}
	if n := r.users.callCount(); n != 0 {
		t.Errorf("%d handler calls", n)
	}
}

func TestAnEmptyDirectoryIsAnEmptyList(t *testing.T) {
	r := newRig(t, nil)
	rec := r.do(t, request("GET", "/scim/v2/Users?filter=userName+eq+%22nobody%22", ""))
	const body = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":0,"startIndex":1,"itemsPerPage":0,"Resources":[]}`
	if diff := cmp.Diff(body, rec.Body.String()); diff != "" {
		t.Error(diff)
	}
}
