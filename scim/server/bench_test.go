package server

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

// sink is a ResponseWriter that keeps nothing.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }

func BenchmarkServe(b *testing.B) {
	benchmarks := []struct {
		name, method, target, body string
		status                     int
	}{
		{"GetUser", "GET", "/scim/v2/Users/user-1", "", 200},
		{"FilterUserName", "GET", `/scim/v2/Users?filter=userName+eq+%22ada@example.com%22&startIndex=1&count=100`, "", 200},
		{"CreateUser", "POST", "/scim/v2/Users", adaBody, 201},
		{"PatchUser", "PATCH", "/scim/v2/Users/user-1", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","value":{"active":false}}]}`, 200},
		{"ReplaceUser", "PUT", "/scim/v2/Users/user-1", adaBody, 200},
		{"List100", "GET", "/scim/v2/Users?count=100", "", 200},
		{"GetGroup", "GET", "/scim/v2/Groups/group-1?excludedAttributes=members", "", 200},
		{"PatchGroup", "PATCH", "/scim/v2/Groups/group-1", patchText(`{"op":"add","path":"members","value":[{"value":"u0"}]}`), 204},
		{"GetGroupOf1000", "GET", "/scim/v2/Groups/group-1", "", 200},
		{"Unauthorized", "GET", "/scim/v2/Users/user-1?access_token=x", "", 401},
	}
	for _, bm := range benchmarks {
		b.Run(bm.name, func(b *testing.B) {
			r := newRig(b, func(o *Options) {
				o.Logger = slog.New(slog.NewJSONHandler(io.Discard, nil))
				o.Observe, o.Failed = nil, nil
				o.FailedAuthPerMinute = 1 << 40
			})
			n := 1
			if bm.name == "List100" {
				n = 100
			}
			for i := range n {
				r.handler.ServeHTTP(&sink{header: http.Header{}}, request("POST", "/scim/v2/Users", strings.ReplaceAll(adaBody, `"ada@`, fmt.Sprintf(`"%s@`, []string{"ada", fmt.Sprint("u", i)}[min(i, 1)]))))
			}
			members := 1
			if bm.name == "GetGroupOf1000" {
				members = 1000
			}
			r.handler.ServeHTTP(&sink{header: http.Header{}}, request("POST", "/scim/v2/Groups", groupText(members)))
			req := request(bm.method, bm.target, bm.body)
			w := &sink{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				if bm.body != "" {
					req.Body = io.NopCloser(strings.NewReader(bm.body))
				}
				if bm.status == 201 {
					r.users.users = nil
				}
				clear(w.header)
				r.handler.ServeHTTP(w, req)
				if w.status != bm.status {
					b.Fatalf("%d, want %d", w.status, bm.status)
				}
			}
		})
	}
}
