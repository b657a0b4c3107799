package server

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// rawRequest reads a request as net/http does from the wire; nil when it does
// not accept the line.
func rawRequest(target string, authorized bool) *http.Request {
	head := "GET " + target + " HTTP/1.1\r\nHost: bridge.example.com\r\n"
	if authorized {
		head += "Authorization: Bearer " + goodToken + "\r\n"
	}
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head + "\r\n")))
	if err != nil {
		return nil
	}
	req.RemoteAddr = "192.0.2.1:1234"
	return req
}

// variants are other spellings of a path: every character percent-encoded
// once, in both cases, and twice, and the usual detours.
func variants(path string) []string {
	out := []string{
		"/" + path, path + "//", path + "/.", path + "/..", "/." + path, "/x/.." + path, "/%2e%2e" + path, "/%2e" + path,
		path + ";x", path + ";/public/", path + "/;x=y", path + "%00", path + "%20", path + "%09", path + "%0d%0aX:y", path + "\\..", path + "%5c..",
		path + "%2f", path + "%2F..%2F", path + "%252f", path + "%c0%af", path + "%u0055", path + "*", path + "{id}", path + "/é", path + "~",
		strings.ToUpper(path), strings.ToLower(path), path + "#/healthz", path + "?/healthz", path + "?x=/metrics",
		"http://evil.example" + path, "//evil.example" + path,
	}
	for i := range len(path) {
		for _, f := range []string{"%%%02x", "%%%02X", "%%25%02x", "%%2525%02x"} {
			out = append(out, path[:i]+fmt.Sprintf(f, path[i])+path[i+1:])
		}
		out = append(out, path[:i]+"/"+path[i:], path[:i]+"/./"+path[i:], path[:i]+"/../"+path[i:], path[:i]+";"+path[i:])
	}
	return out
}

func TestNoSpellingOfAPathIsServedWithoutACredential(t *testing.T) {
	r := newRig(t, unlimited).with(t, 1)
	n := 0
	for _, path := range examplePaths() {
		for _, v := range variants(path) {
			req := rawRequest(v, false)
			if req == nil {
				continue
			}
			n++
			rec := r.do(t, req)
			switch rec.Code {
			case 400, 401, 404:
			default:
				t.Errorf("%s: %d", v, rec.Code)
			}
		}
	}
	if n < 3000 {
		t.Errorf("only %d spellings were tried", n)
	}
	if got := r.users.callCount(); got != 0 {
		t.Errorf("%d handler calls", got)
	}
}

func TestStrangeIDsNeverReachTheHandler(t *testing.T) {
	r := newRig(t, nil).with(t, 1)
	ids := []string{
		"..%2f..%2ft2", "..", ".", "%2e%2e", "%2E%2E/x", "a%00b", "a/b", "a%2fb", "a%2Fb", "a%252fb", "a%5cb", "a\\b", "*", "{x}", "%7Bx%7D", ":", "a:b", "a%3Ab",
		"a.b", "a;b", "a%3bb", "a,b", "a+b", "a%20b", "a%0d%0ab", "%61bc", "user%2d1", "é", "%C3%A9", "%ff", "user-1%00", "user-1.json", "user-1%20", "~user",
		"$metadata", "@me", "(1)", "'", "!", "a=b", "a&b", strings.Repeat("a", 65), strings.Repeat("a", 10_000), strings.Repeat("%61", 2000), ".search2", "-%2e",
	}
	for _, id := range ids {
		req := rawRequest("/scim/v2/Users/"+id, true)
		if req == nil {
			continue
		}
		for _, m := range []string{"GET", "PUT", "PATCH", "DELETE"} {
			req.Method = m
			want(t, r.do(t, req), 404, "")
		}
	}
	if got := r.users.callCount(); got != 0 {
		t.Errorf("%d handler calls", got)
	}
	for _, id := range []string{"a", "user-1", "A_b-9", strings.Repeat("a", 64)} {
		r.do(t, request("GET", "/scim/v2/Users/"+id, ""))
	}
	if got := r.users.callCount(); got != 4 {
		t.Errorf("%d handler calls for 4 good ids", got)
	}
}

func TestCleanPath(t *testing.T) {
	for in, want := range map[string]string{
		"/": "/", "/a": "/a", "/a/": "/a", "/a/b-C_9": "/a/b-C_9", "/a.b": "/a.b", "/.search": "/.search", "/...": "/...",
		"/urn:x": "/urn:x", "/urn%3Ax%3ay": "/urn:x:y",
		"": "", "a": "", "//": "", "/a//": "", "//a": "", "/a//b": "", "/.": "", "/..": "", "/a/./b": "", "/a/../b": "", "/a/..": "",
		"/%61": "", "/%253A": "", "/%": "", "/a%2fb": "", "/a%3A/../b": "", "/a;b": "", "/a b": "", "/a\\b": "", "/é": "", "/a\x00": "", "*": "",
		"/" + strings.Repeat("a", 511): "/" + strings.Repeat("a", 511), "/" + strings.Repeat("a", 512): "",
	} {
		if got, ok := cleanPath(in); got != want || ok != (want != "") {
			t.Errorf("%q: %q %v, want %q", in, got, ok, want)
		}
	}
}

// FuzzPathRouting asks for any path in any spelling: nothing is served without
// a credential, by whatever method, and with one nothing fails.
func FuzzPathRouting(f *testing.F) {
	for _, p := range examplePaths() {
		f.Add(p)
	}
	for _, p := range variants("/scim/v2/Users/user-1")[:40] {
		f.Add(p)
	}
	r := newRig(f, unlimited).with(f, 1)
	f.Fuzz(func(t *testing.T, target string) {
		// A target with a line break or a space is another request.
		if strings.ContainsAny(target, " \r\n") {
			return
		}
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW"} {
			req := rawRequest(target, false)
			if req == nil {
				break
			}
			req.Method = method
			rec := httptest.NewRecorder()
			r.handler.ServeHTTP(rec, req)
			checkAnswer(t, req, rec)
			if rec.Code != 400 && rec.Code != 401 && rec.Code != 404 {
				t.Errorf("%s %q without a credential: %d", method, target, rec.Code)
			}
		}
		if got := r.users.callCount(); got != 0 {
			t.Errorf("%q without a credential: %d handler calls", target, got)
		}
		if req := rawRequest(target, true); req != nil {
			rec := httptest.NewRecorder()
			r.handler.ServeHTTP(rec, req)
			checkAnswer(t, req, rec)
			if rec.Code >= 300 && rec.Code < 400 || rec.Code >= 500 && rec.Code != 501 {
				t.Errorf("%q: %d", target, rec.Code)
			}
		}
		r.mu.Lock()
		r.logged.Reset()
		r.observed, r.failed = nil, nil
		r.mu.Unlock()
		r.users.mu.Lock()
		r.users.calls = nil
		r.users.mu.Unlock()
	})
}
