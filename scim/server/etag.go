package server

import (
	"net/http"
	"strings"

	"github.com/sharearefund/scim-bridge/scim"
)

// maxTags bounds the entity tags of one header.
const maxTags = 32

func preconditions(h http.Header) (scim.Preconditions, error) {
	var p scim.Preconditions
	var err error
	if p.IfMatch, err = entityTags(h, "If-Match"); err != nil {
		return p, err
	}
	p.IfNoneMatch, err = entityTags(h, "If-None-Match")
	return p, err
}

// entityTags reads a header that holds "*" or a list of entity tags (RFC 9110
// §13.1); nil when it is absent.
func entityTags(h http.Header, name string) ([]string, error) {
	values := h[name]
	if len(values) == 0 {
		return nil, nil
	}
	malformed := scim.BadRequest(scim.TypeInvalidVers, `%s is %q: want "*" or entity tags as in ETag, for example W/"abc"`, name, clip(strings.Join(values, ", ")))
	rest := strings.Join(values, ",")
	if strings.Trim(rest, " \t") == "*" {
		return []string{"*"}, nil
	}
	var tags []string
	for {
		rest = strings.TrimLeft(rest, " \t,")
		if rest == "" {
			break
		}
		end := tagEnd(rest)
		if end < 0 || len(tags) == maxTags {
			return nil, malformed
		}
		tags = append(tags, rest[:end])
		rest = strings.TrimLeft(rest[end:], " \t")
		if rest != "" && rest[0] != ',' {
			return nil, malformed
		}
	}
	if len(tags) == 0 {
		return nil, malformed
	}
	return tags, nil
}

// tagEnd is the length of the entity tag at the start of s (RFC 9110 §8.8.3),
// or -1.
func tagEnd(s string) int {
	open := 0
	if strings.HasPrefix(s, "W/") || strings.HasPrefix(s, "w/") {
		open = 2
	}
	if len(s) <= open || s[open] != '"' {
		return -1
	}
	for i := open + 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return i + 1
		case c <= ' ' || c == 0x7f:
			return -1
		}
	}
	return -1
}
