package server

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/mux"

	"github.com/sharearefund/scim-bridge/scim"
)

// served is every route and what it allows; "" is 501 for everything. A route
// that is added must be added here, and thereby to every test that walks it.
var served = map[string]string{
	"/scim/v2/Users":                 "GET, HEAD, POST",
	"/scim/v2/Users/.search":         "POST",
	"/scim/v2/Users/{id}":            "DELETE, GET, HEAD, PATCH, PUT",
	"/scim/v2/Groups":                "GET, HEAD, POST",
	"/scim/v2/Groups/.search":        "POST",
	"/scim/v2/Groups/{id}":           "DELETE, GET, HEAD, PATCH, PUT",
	"/scim/v2/ServiceProviderConfig": "GET, HEAD",
	"/scim/v2/ResourceTypes":         "GET, HEAD",
	"/scim/v2/ResourceTypes/{id}":    "GET, HEAD",
	"/scim/v2/Schemas":               "GET, HEAD",
	"/scim/v2/Schemas/{id}":          "GET, HEAD",
	"/scim/v2/Bulk":                  "POST",
	"/scim/v2/.search":               "POST",
	"/scim/v2":                       "GET, HEAD",
	"/scim/v2/Me":                    "",
}

var allMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get"}

// examplePaths are a path for every route, and some for none.
func examplePaths() []string {
	var paths []string
	for _, pattern := range slices.Sorted(maps.Keys(served)) {
		paths = append(paths, strings.ReplaceAll(pattern, "{id}", "user-1"))
	}
	return append(paths, "/", "/scim", "/scim/v1/Users", "/Users", "/healthz", "/metrics", "/console", "/oauth/token", "/scim/v2/Roles")
}

func TestEveryRouteIsListed(t *testing.T) {
	h, err := New(validOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	rs := h.(*server).routes
	err = rs.router.Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		tpl, err := route.GetPathTemplate()
		if err != nil {
			return err
		}
		got[tpl] = rs.byName[route.GetName()].allow
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(served, got); diff != "" {
		t.Errorf("routes differ from the list of this test (-listed +registered):\n%s", diff)
	}
}

// I5, and the advisories on SCIM servers whose router or filter chain let one
// path through: nothing is served without a credential.
func TestNothingIsServedWithoutACredential(t *testing.T) {
	r := newRig(t, unlimited)
	credentials := map[string][]string{
		"none":            {"-Authorization"},
		"empty":           {"Authorization: "},
		"bearer alone":    {"Authorization: Bearer"},
		"bearer space":    {"Authorization: Bearer "},
		"bearer spaces":   {"Authorization: Bearer   "},
		"unknown":         {"Authorization: Bearer sarb_unknown"},
		"basic":           {"Authorization: Basic dXNlcjpwYXNz"},
		"no scheme":       {"Authorization: " + goodToken},
		"joined":          {"Authorization: Bearer " + goodToken + ", Bearer " + goodToken},
		"joined tight":    {"Authorization: Bearer " + goodToken + ",Bearer"},
		"trailing space":  {"Authorization: Bearer " + goodToken + " "},
		"leading space":   {"Authorization:  Bearer " + goodToken},
		"method override": {"-Authorization", "X-Http-Method-Override: GET"},
		"forwarded":       {"-Authorization", "X-Forwarded-For: 127.0.0.1", "X-Original-URL: /healthz", "X-Forwarded-User: admin"},
	}
	queries := []string{"", "?x=/healthz", "?/metrics", "?access_token=" + goodToken, "?filter=%zz", "?token=" + goodToken}
	for name, headers := range credentials {
		t.Run(name, func(t *testing.T) {
			for _, path := range examplePaths() {
				for _, m := range allMethods {
					want(t, r.do(t, request(m, path, "", headers...)), 401, "")
				}
				for _, q := range queries {
					want(t, r.do(t, request("GET", path+q, "", headers...)), 401, "")
				}
			}
		})
	}
	if n := r.users.callCount(); n != 0 {
		t.Errorf("%d handler calls", n)
	}
	if len(r.failed) != 0 {
		t.Errorf("unauthenticated requests were recorded as a tenant's: %v", r.failed[0])
	}
}

func TestMethods(t *testing.T) {
	for pattern, allow := range served {
		t.Run(pattern, func(t *testing.T) {
			path := strings.ReplaceAll(pattern, "{id}", "user-1")
			for _, m := range allMethods {
				r := newRig(t, nil).with(t, 1)
				rec := r.do(t, request(m, path, ""))
				switch {
				case allow == "":
					if rec.Code != 501 {
						t.Errorf("%s: %d, want 501", m, rec.Code)
					}
				case slices.Contains(strings.Split(allow, ", "), m):
					if rec.Code == 405 || rec.Code == 401 {
						t.Errorf("%s: %d, though allowed", m, rec.Code)
					}
					continue
				case rec.Code != 405 || rec.Header().Get("Allow") != allow:
					t.Errorf("%s: %d Allow %q, want 405 %q", m, rec.Code, rec.Header().Get("Allow"), allow)
				}
				if r.users.callCount() != 0 {
					t.Errorf("%s: the handler was called", m)
				}
			}
		})
	}
}

func TestMethodOverridesAreIgnored(t *testing.T) {
	r := newRig(t, nil).with(t, 1)
	for _, h := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
		want(t, r.do(t, request("GET", "/scim/v2/Users/user-1?_method=DELETE", "", h+": DELETE")), 200, "")
	}
	want(t, r.do(t, request("GET", "/scim/v2/Users/user-1", "")), 200, "")
}

func TestUnknownPathsNameTheBaseURL(t *testing.T) {
	r := newRig(t, nil)
	for _, path := range []string{"/", "/scim", "/Users", "/scim/v1/Users", "/scim/v2/scim/v2/Users", "/scim/v2/users", "/SCIM/v2/Users", "/scim/v2/Users/user-1/name"} {
		e := want(t, r.do(t, request("GET", path, "")), 404, "")
		if !strings.Contains(e.Detail, publicAddress+"/scim/v2") {
			t.Errorf("%s: detail %q does not name the base URL", path, e.Detail)
		}
	}
}

func TestHeadIsGetWithoutABody(t *testing.T) {
	r := newRig(t, nil).with(t, 1)
	for _, path := range []string{"/scim/v2/Users", "/scim/v2/Users/user-1", "/scim/v2/Schemas", "/scim/v2/Users/nobody", "/scim/v2/Nothing"} {
		get := r.do(t, request("GET", path, ""))
		head := r.do(t, request("HEAD", path, ""))
		if get.Code != head.Code {
			t.Errorf("%s: HEAD %d, GET %d", path, head.Code, get.Code)
		}
		if diff := cmp.Diff(get.Header(), head.Header()); diff != "" {
			t.Errorf("%s: headers (-GET +HEAD):\n%s", path, diff)
		}
	}
}

func TestTheLastSlashIsOptional(t *testing.T) {
	r := newRig(t, nil).with(t, 1)
	for _, path := range []string{"/scim/v2/Users/", "/scim/v2/Users/user-1/", "/scim/v2/Schemas/", "/scim/v2/ResourceTypes/User/"} {
		want(t, r.do(t, request("GET", path, "")), 200, "")
		want(t, r.do(t, request("GET", path+"?aadOptscim062020", "")), 200, "")
	}
}

func validOptions(tb testing.TB) Options {
	codec, groups := testCodec(tb), testGroupCodec(tb)
	return Options{
		PublicURL: publicAddress, Users: &memory{codec: codec}, UserCodec: codec,
		Groups: &memoryGroups{codec: groups}, GroupCodec: groups, Authenticate: authenticate,
	}
}

func TestNewNamesEveryFault(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Options)
		want   []string
	}{
		{"everything missing", func(o *Options) { *o = Options{} }, []string{"PublicURL", "Users is required", "UserCodec is required", "Groups is required", "GroupCodec is required", "Authenticate is required"}},
		{"no scheme", func(o *Options) { o.PublicURL = "bridge.example.com" }, []string{"PublicURL"}},
		{"other scheme", func(o *Options) { o.PublicURL = "ftp://bridge.example.com" }, []string{"PublicURL"}},
		{"query", func(o *Options) { o.PublicURL = "https://b.example.com/?x" }, []string{"PublicURL"}},
		{"strange path", func(o *Options) { o.PublicURL = "https://b.example.com/a%2fb" }, []string{"PublicURL"}},
		{"base appended", func(o *Options) { o.PublicURL = "https://b.example.com/scim/v2/" }, []string{"leave out /scim/v2"}},
		{"other maximum", func(o *Options) { o.MaxResults = 7 }, []string{"MaxResults 7 differs"}},
		{"default above maximum", func(o *Options) { o.DefaultCount = 1001 }, []string{"DefaultCount 1001"}},
		{"negative body", func(o *Options) { o.MaxBody = -1 }, []string{"MaxBody -1"}},
		{"negative group body", func(o *Options) { o.MaxGroupBody = -1 }, []string{"MaxGroupBody -1"}},
		{"short cursor key", func(o *Options) { o.CursorKey = []byte("short") }, []string{"CursorKey has 5 bytes"}},
		{"unknown resource type", func(o *Options) { o.Resources = []Resource{ReadOnly("Device", roleCodec(t), fewRoles{})} }, []string{`Resources[0]: there is no resource type "Device"`}},
		{"empty resource", func(o *Options) { o.Resources = []Resource{{}} }, []string{`Resources[0]: there is no resource type ""`}},
		{"resource type with an option", func(o *Options) { o.Resources = []Resource{ReadOnly("user", roleCodec(t), fewRoles{})} }, []string{"Resources[0]: User is served already"}},
		{"resource type twice", func(o *Options) {
			o.Resources = []Resource{ReadOnly("Role", roleCodec(t), fewRoles{}), ReadOnly("Role", roleCodec(t), fewRoles{})}
		}, []string{"Resources[1]: Role is served already"}},
		{"resource without a reader", func(o *Options) { o.Resources = []Resource{ReadOnly("Role", roleCodec(t), nil)} }, []string{"Resources[0]: Role has no codec or no reader"}},
		{"negative timeout", func(o *Options) { o.RequestTimeout = -1 }, []string{"RequestTimeout -1ns"}},
		{"negative attempts", func(o *Options) { o.FailedAuthPerMinute = -1 }, []string{"FailedAuthPerMinute -1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := validOptions(t)
			tt.change(&o)
			_, err := New(o)
			for _, w := range tt.want {
				if err == nil || !strings.Contains(err.Error(), w) {
					t.Errorf("error %v, want %q in it", err, w)
				}
			}
		})
	}
	if _, err := New(validOptions(t)); err != nil {
		t.Errorf("valid options: %v", err)
	}
}

func TestPublicURLIsTheOnlySourceOfLocations(t *testing.T) {
	attack := []string{"X-Forwarded-Host: evil.example", "X-Forwarded-Proto: http", "X-Forwarded-Prefix: /evil", "Forwarded: host=evil.example", "X-Host: evil.example"}
	for public, base := range map[string]string{
		"https://bridge.example.com":             "https://bridge.example.com/scim/v2",
		"https://bridge.example.com/":            "https://bridge.example.com/scim/v2",
		"http://127.0.0.1:8080":                  "http://127.0.0.1:8080/scim/v2",
		"https://proxy.example.com/share/bridge": "https://proxy.example.com/share/bridge/scim/v2",
	} {
		t.Run(public, func(t *testing.T) {
			r := newRig(t, func(o *Options) { o.PublicURL = public })
			req := request("POST", "/scim/v2/Users", adaBody, attack...)
			req.Host = "evil.example"
			rec := r.do(t, req)
			if got := rec.Header().Get("Location"); got != base+"/Users/user-1" {
				t.Errorf("Location %q", got)
			}
			paths := []string{"/scim/v2/Users/user-1", "/scim/v2/Users", "/scim/v2/Schemas", "/scim/v2/ResourceTypes", "/scim/v2/ServiceProviderConfig"}
			if _, prefix, _ := publicURL(public); prefix != "" {
				paths = append(paths, prefix+"/scim/v2/Users/user-1", prefix+"/scim/v2/Users/")
			}
			for _, path := range paths {
				req := request("GET", path, "", attack...)
				req.Host = "evil.example"
				rec := r.do(t, req)
				want(t, rec, 200, "")
				body := rec.Body.String()
				if strings.Contains(body, "evil") || strings.Contains(body, "handler.invalid") || !strings.Contains(body, base+"/") {
					t.Errorf("%s: %s", path, body)
				}
			}
		})
	}
}

func TestDiscovery(t *testing.T) {
	r := newRig(t, nil)
	for _, tt := range []struct {
		path   string
		status int
		has    string
	}{
		{"/scim/v2/ServiceProviderConfig", 200, `"maxResults": 1000`},
		{"/scim/v2/ResourceTypes", 200, `"endpoint": "/Users"`},
		{"/scim/v2/ResourceTypes", 200, `"endpoint": "/Groups"`},
		{"/scim/v2/ResourceTypes/Group", 200, publicAddress + "/scim/v2/ResourceTypes/Group"},
		{"/scim/v2/Schemas/urn:ietf:params:scim:schemas:core:2.0:Group", 200, `"name": "Group"`},
		{"/scim/v2/ResourceTypes/User", 200, publicAddress + "/scim/v2/ResourceTypes/User"},
		{"/scim/v2/ResourceTypes/user", 200, `"id": "User"`},
		{"/scim/v2/ResourceTypes/Nothing", 404, "Nothing"},
		{"/scim/v2/Schemas", 200, `"totalResults":`},
		{"/scim/v2/Schemas/urn:ietf:params:scim:schemas:core:2.0:User", 200, `"name": "User"`},
		{"/scim/v2/Schemas/urn%3Aietf%3aparams%3Ascim%3Aschemas%3Acore%3A2.0%3AUser", 200, `"name": "User"`},
		{"/scim/v2/Schemas/URN:IETF:params:scim:schemas:CORE:2.0:user", 200, `"name": "User"`},
		{"/scim/v2/Schemas/urn:unknown", 404, "urn:unknown"},
		{"/scim/v2/Schemas?filter=id%20pr", 403, "filter"},
		{"/scim/v2/ResourceTypes?Filter=", 403, "filter"},
		{"/scim/v2/ServiceProviderConfig?filter=x", 403, "filter"},
		{"/scim/v2/Schemas?count=1&startIndex=2&attributes=name", 200, `"startIndex":1`},
	} {
		rec := r.do(t, request("GET", tt.path, ""))
		want(t, rec, tt.status, "")
		if !strings.Contains(rec.Body.String(), tt.has) {
			t.Errorf("%s: no %q in %s", tt.path, tt.has, rec.Body)
		}
	}
	if r.users.callCount() != 0 {
		t.Error("discovery called the handler")
	}
}

// RFC 7643 §3.1: what discovery shows has a version, which is its entity tag.
func TestDiscoveryIsVersioned(t *testing.T) {
	r := newRig(t, func(o *Options) {
		o.MaxBody, o.DefaultCount = 2<<20, 50
		o.ChangesPassword = func(_ context.Context, c scim.Caller) (bool, error) {
			return c.Tenant == "acme", nil
		}
	})
	tags := map[string]bool{}
	for _, path := range []string{"/ServiceProviderConfig", "/ResourceTypes/User", "/ResourceTypes/Group", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User"} {
		rec := r.do(t, request("GET", "/scim/v2"+path, ""))
		want(t, rec, 200, "")
		tag := rec.Header().Get("ETag")
		if meta := object(t, rec.Body.Bytes())["meta"].(map[string]any); tag == "" || meta["version"] != tag || tags[tag] {
			t.Errorf("%s: ETag %q, meta %v", path, tag, meta)
		}
		tags[tag] = true
		want(t, r.do(t, request("GET", "/scim/v2"+path, "", "If-None-Match: "+tag)), 304, "")
		want(t, r.do(t, request("GET", "/scim/v2"+path, "", `If-None-Match: W/"x"`)), 200, "")
		want(t, r.do(t, request("GET", "/scim/v2"+path, "", "If-None-Match: x")), 400, "invalidVers")
	}
	config := object(t, r.do(t, request("GET", "/scim/v2/ServiceProviderConfig", "")).Body.Bytes())
	for name, want := range map[string]any{
		"changePassword": map[string]any{"supported": true},
		"bulk":           map[string]any{"supported": true, "maxOperations": 1000.0, "maxPayloadSize": 2097152.0},
		"pagination": map[string]any{
			"cursor": true, "index": true, "defaultPaginationMethod": "index", "defaultPageSize": 50.0, "maxPageSize": 1000.0,
		},
	} {
		if diff := cmp.Diff(want, config[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
