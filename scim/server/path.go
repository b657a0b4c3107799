package server

import (
	"net/url"
	"strings"

	"github.com/sharearefund/scim-bridge/scim"
)

// maxPath bounds a path: the base, a collection and an id of 64 characters or
// a schema's URN need far less.
const maxPath = 512

// resourcePath returns the path of a request without the public URL's prefix
// and without a slash at its end, or 404 for a path that names nothing under
// any reading.
func (s *server) resourcePath(u *url.URL) (string, error) {
	path, ok := cleanPath(u.EscapedPath())
	if !ok {
		return "", &scim.Error{Status: 404, Detail: "no resource has this path: paths below " + s.base +
			" have letters, digits, '-' and '_' only, nothing percent-encoded and no empty segment"}
	}
	if s.prefix != "" {
		if rest, ok := strings.CutPrefix(path, s.prefix); ok && strings.HasPrefix(rest, "/") {
			return rest, nil
		}
	}
	return path, nil
}

// cleanPath checks an escaped path and removes one slash from its end. Only
// characters that mean themselves pass, so that no later layer can read the
// path in another way; the one exception is an encoded colon, which clients
// write in the URN of a schema.
func cleanPath(p string) (string, bool) {
	if p == "" || p[0] != '/' || len(p) > maxPath {
		return "", false
	}
	if strings.Contains(p, "%") {
		p = strings.ReplaceAll(strings.ReplaceAll(p, "%3A", ":"), "%3a", ":")
	}
	if p == "/" {
		return p, true
	}
	p = strings.TrimSuffix(p, "/")
	start := 1
	for i := 1; i <= len(p); i++ {
		if i == len(p) || p[i] == '/' {
			if seg := p[start:i]; seg == "" || seg == "." || seg == ".." {
				return "", false
			}
			start = i + 1
			continue
		}
		if c := p[i]; !idByte(c) && c != '.' && c != ':' {
			return "", false
		}
	}
	return p, true
}

// validID reports whether s can be the id of a resource: 1 to 64 letters,
// digits, hyphens and underscores. Whatever else a path holds never reaches a
// handler, a cache key or an upstream URL.
func validID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if !idByte(s[i]) {
			return false
		}
	}
	return true
}

func idByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}
