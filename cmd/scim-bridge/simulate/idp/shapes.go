package idp

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

const (
	userURN       = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupURN      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	enterpriseURN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	patchURN      = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
)

// op is a PATCH operation, RFC 7644 §3.5.2. Some clients leave the path out.
type op struct {
	Op    string `json:"op"`
	Path  string `json:"path,omitempty"`
	Value any    `json:"value,omitempty"`
}

func patch(path string, ops ...op) (Request, error) {
	body, err := json.Marshal(struct {
		Schemas    []string `json:"schemas"`
		Operations []op     `json:"Operations"`
	}{[]string{patchURN}, ops})
	return Request{Method: http.MethodPatch, Path: path, Body: body}, err
}

// send is a request with a body; about is printed behind the path.
func send(method, path, about string, v any) (Request, error) {
	body, err := json.Marshal(v)
	return Request{Method: method, Path: path, Body: body, Shown: path + "  " + about}, err
}

// address joins a path and query parts.
func address(path string, query ...string) string {
	if len(query) == 0 {
		return path
	}
	return path + "?" + strings.Join(query, "&")
}

// lookUp is a GET with a filter: query are further parts, encoded, before the
// filter. escape is how the client encodes the filter.
func lookUp(path, filter string, escape func(string) string, query ...string) Request {
	query = append(query, "filter=")
	base := address(path, query...)
	return Request{Method: http.MethodGet, Path: base + escape(filter), Shown: base + filter}
}

// percent encodes as RFC 3986 §2.1 does, spaces too.
func percent(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// userPath and groupPath lead to a resource. The id is a server's: whatever is
// in it stays one segment.
func userPath(id string) string  { return "/Users/" + url.PathEscape(id) }
func groupPath(id string) string { return "/Groups/" + url.PathEscape(id) }

// equals is a filter or a part of one.
func equals(attribute, value string) string { return attribute + " eq " + quote(value) }

// quote is a JSON string, which filter values are (RFC 7644 §3.4.2.2).
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// valueOnly is a member as most clients send it.
type valueOnly struct {
	Value string `json:"value"`
}

func values(all []Member) []valueOnly {
	out := make([]valueOnly, len(all))
	for i, m := range all {
		out[i].Value = m.ID
	}
	return out
}

// overlay is the JSON object current with the given members in place of its
// own: a client that reads before it writes sends back what it read.
func overlay(current []byte, change map[string]any) (map[string]any, error) {
	var object map[string]any
	if err := json.Unmarshal(current, &object); err != nil {
		return nil, fmt.Errorf("the resource that was read is not a JSON object: %w", err)
	}
	if object == nil {
		return nil, fmt.Errorf("the resource that was read is null, not a JSON object")
	}
	maps.Copy(object, change)
	return object, nil
}

// clip shortens s to at most n characters.
func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}
