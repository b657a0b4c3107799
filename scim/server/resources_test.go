package server

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/scim"
)

// testRole is a Role resource.
type testRole struct {
	Schemas     []string  `scim:"schemas"`
	ID          string    `scim:"id"`
	ExternalID  string    `scim:"externalId"`
	Meta        scim.Meta `scim:"meta"`
	DisplayName string    `scim:"displayName"`
	Type        string    `scim:"type"`
	Description string    `scim:"description"`
	Weight      *int64    `scim:"weight"`
}

// fewRoles is a reader of roles; all is called for every request.
type fewRoles struct {
	all func(context.Context, scim.Caller) ([]*testRole, error)
}

func (f fewRoles) All(ctx context.Context, c scim.Caller) ([]*testRole, error) { return f.all(ctx, c) }

func roleCodec(tb testing.TB) *scim.Codec[testRole] {
	tb.Helper()
	c, err := scim.NewCodec[testRole]("Role")
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func twoRoles(context.Context, scim.Caller) ([]*testRole, error) {
	return []*testRole{{ID: "3", DisplayName: "Manager", Weight: new(int64(50))}, {ID: "1", DisplayName: "Owner", Weight: new(int64(100))}}, nil
}

func withRoles(tb testing.TB, all func(context.Context, scim.Caller) ([]*testRole, error)) func(*Options) {
	return func(o *Options) { o.Resources = []Resource{ReadOnly("Role", roleCodec(tb), fewRoles{all})} }
}

func TestReadOnlyResources(t *testing.T) {
	t.Parallel()
	r := newRig(t, withRoles(t, twoRoles))
	ids := func(target string) []string {
		t.Helper()
		rec := r.do(t, request("GET", target, ""))
		want(t, rec, 200, "")
		var out []string
		list, _ := object(t, rec.Body.Bytes())["Resources"].([]any)
		for _, v := range list {
			out = append(out, v.(map[string]any)["id"].(string))
		}
		return out
	}
	for target, want := range map[string][]string{
		"/scim/v2/Roles":                                             {"3", "1"},
		"/scim/v2/Roles?sortBy=displayName":                          {"3", "1"},
		"/scim/v2/Roles?sortBy=weight&sortOrder=descending":          {"1", "3"},
		"/scim/v2/Roles?startIndex=2&count=1":                        {"1"},
		"/scim/v2/Roles?startIndex=9":                                nil,
		"/scim/v2/Roles?count=0":                                     nil,
		"/scim/v2/Roles?filter=displayName+eq+%22OWNER%22":           {"1"},
		"/scim/v2/Roles?filter=weight+lt+60":                         {"3"},
		"/scim/v2/Roles?filter=displayName+eq+%22Nobody%22":          nil,
		"/scim/v2/Roles/?aadOptscim062020&excludedAttributes=weight": {"3", "1"},
	} {
		if diff := cmp.Diff(want, ids(target)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", target, diff)
		}
	}
	rec := r.do(t, request("GET", "/scim/v2/Roles?startIndex=2&count=1", ""))
	if body := rec.Body.String(); !strings.Contains(body, `"totalResults":2,"startIndex":2,"itemsPerPage":1,`) {
		t.Error(body)
	}

	rec = r.do(t, request("GET", "/scim/v2/Roles/3", ""))
	want(t, rec, 200, "")
	etag := rec.Header().Get("ETag")
	if diff := cmp.Diff(map[string]any{
		"schemas": []any{"urn:okta:scim:schemas:core:1.0:Role"}, "id": "3", "displayName": "Manager", "weight": 50.0,
		"meta": map[string]any{"resourceType": "Role", "location": publicAddress + "/scim/v2/Roles/3", "version": etag},
	}, object(t, rec.Body.Bytes())); diff != "" || !strings.HasPrefix(etag, `W/"`) {
		t.Errorf("ETag %s (-want +got):\n%s", etag, diff)
	}
	want(t, r.do(t, request("GET", "/scim/v2/Roles/3", "", "If-None-Match: "+etag)), 304, "")
	want(t, r.do(t, request("GET", "/scim/v2/Roles/1", "", "If-None-Match: "+etag)), 200, "")
	if rec = r.do(t, request("GET", "/scim/v2/Roles/1?attributes=displayName", "")); strings.Contains(rec.Body.String(), "weight") {
		t.Error(rec.Body)
	}
	want(t, r.do(t, request("GET", "/scim/v2/Roles/2", "")), 404, "")
	want(t, r.do(t, request("GET", "/scim/v2/Roles/a.b", "")), 404, "")
	want(t, r.do(t, request("GET", "/scim/v2/Roles?filter=nope+pr", "")), 400, "invalidFilter")
	for _, m := range []string{"POST", "PUT", "PATCH", "DELETE"} {
		for _, path := range []string{"/scim/v2/Roles", "/scim/v2/Roles/3"} {
			if rec := r.do(t, request(m, path, "{}")); rec.Code != 405 || rec.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d, Allow %q", m, path, rec.Code, rec.Header().Get("Allow"))
			}
		}
	}
	want(t, r.do(t, request("GET", "/scim/v2/Organizations", "")), 404, "")
}

func TestReadersOfResources(t *testing.T) {
	t.Parallel()
	shared, _ := twoRoles(t.Context(), scim.Caller{})
	var callers []scim.Caller
	var fail error
	r := newRig(t, withRoles(t, func(_ context.Context, c scim.Caller) ([]*testRole, error) {
		callers = append(callers, c)
		return shared, fail
	}))
	before := slices.Clone(shared)
	was := *shared[0]
	want(t, r.do(t, request("GET", "/scim/v2/Roles?sortBy=weight&filter=weight+pr", "")), 200, "")
	if diff := cmp.Diff(before, shared); diff != "" || cmp.Diff(was, *shared[0]) != "" {
		t.Errorf("what the reader returned was changed:\n%s", diff)
	}
	if callers[0].Tenant != "acme" {
		t.Errorf("caller %+v", callers[0])
	}
	fail = scim.Unavailable(0, "roles cannot be read right now")
	want(t, r.do(t, request("GET", "/scim/v2/Roles", "")), 503, "")
	fail = errors.New("secret")
	want(t, r.do(t, request("GET", "/scim/v2/Roles/3", "")), 500, "")
	for name, list := range map[string][]*testRole{"nil": {nil}, "no id": {{}}, "a strange id": {{ID: "a/b"}}} {
		r := newRig(t, withRoles(t, func(context.Context, scim.Caller) ([]*testRole, error) { return list, nil }))
		if rec := r.do(t, request("GET", "/scim/v2/Roles", "")); rec.Code != 500 {
			t.Errorf("%s: %d", name, rec.Code)
		}
	}
}

func TestOnlyWhatIsServedIsListed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*Options)
		role   int
	}{{"without roles", nil, 404}, {"with roles", withRoles(t, twoRoles), 200}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, tt.change)
			for _, path := range []string{"/scim/v2/ResourceTypes/Role", "/scim/v2/Schemas/urn:okta:scim:schemas:core:1.0:Role", "/scim/v2/Roles"} {
				want(t, r.do(t, request("GET", path, "")), tt.role, "")
			}
			for path, has := range map[string]string{"/scim/v2/ResourceTypes": `"endpoint": "/Roles"`, "/scim/v2/Schemas": "urn:okta:scim:schemas:core:1.0:Role"} {
				if body := r.do(t, request("GET", path, "")).Body.String(); strings.Contains(body, has) != (tt.role == 200) {
					t.Errorf("%s: %q in it: %v", path, has, tt.role != 200)
				}
			}
			want(t, r.do(t, request("GET", "/scim/v2/ResourceTypes/Organization", "")), 404, "")
			want(t, r.do(t, request("GET", "/scim/v2/ResourceTypes/Group", "")), 200, "")
		})
	}
}
