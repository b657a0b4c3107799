package upstream

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// effect says what a second, identical request does. It decides what is retried and what a lost answer means.
type effect int

const (
	reads      effect = iota // changes nothing
	repeatable               // the same request twice leaves the same state
	removes                  // repeatable; the second answers 404, which after an unclear attempt of ours is success
	once                     // a second request is a second effect (another mail, another account)
)

// endpoint is one row of the table: where an operation lives and what repeating it means.
type endpoint struct {
	method string
	path   string // at most one {placeholder}, a whole segment
	effect effect
}

// endpointTable is the contract's list of operations; upstream.endpoints overrides method and path, never the effect.
func endpointTable() map[string]endpoint {
	return map[string]endpoint{
		"create_token": {"POST", "/oauth/token", reads}, // client credentials and token exchange

		"get_me":              {"GET", "/users/me", reads},
		"update_me":           {"PUT", "/users/me", repeatable},
		"delete_me":           {"DELETE", "/users/me", removes},
		"set_default_account": {"PUT", "/users/me/default_account", repeatable},

		"create_user":        {"POST", "/users", once},
		"find_user_by_email": {"GET", "/users/email/{email}", reads},
		"get_user":           {"GET", "/users/{id}", reads},
		"update_user":        {"PUT", "/users/{id}", repeatable},
		"set_role":           {"PUT", "/users/{id}/role", repeatable},
		"reset_password":     {"POST", "/users/{id}/password_reset", once},
		"deactivate_user":    {"POST", "/users/{id}/deactivate", repeatable},
		"activate_user":      {"POST", "/users/{id}/activate", repeatable},
		"remove_user":        {"DELETE", "/users/{id}", removes},

		"list_users":              {"GET", "/platform/users", reads},
		"list_roles":              {"GET", "/platform/roles", reads},
		"list_identity_providers": {"GET", "/platform/identity_providers", reads},
		"list_organizations":      {"GET", "/platform/organizations", reads},

		"invite_users":  {"POST", "/platform/invites", once},
		"list_invites":  {"GET", "/platform/invites", reads},
		"get_invite":    {"GET", "/platform/invites/{id}", reads},
		"update_invite": {"PUT", "/platform/invites/{id}", repeatable},
		"resend_invite": {"POST", "/platform/invites/{id}/resend", once},
		"revoke_invite": {"DELETE", "/platform/invites/{id}", removes},
		"accept_invite": {"POST", "/platform/invites/{id}/accept", once},
	}
}

// Operations lists the names that Options.Endpoints accepts, sorted.
func Operations() []string { return slices.Sorted(maps.Keys(endpointTable())) }

// route is an endpoint ready for use: prefix and suffix surround the escaped argument.
type route struct {
	operation      string
	method         string
	prefix, suffix string
	takesArgument  bool
	effect         effect
}

// url gives the absolute URL for one call.
func (r *route) url(argument string, query url.Values) string {
	u := r.prefix
	if r.takesArgument {
		u += url.PathEscape(argument) + r.suffix
	}
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	return u
}

var methods = []string{"GET", "POST", "PUT", "PATCH", "DELETE"}

// routes applies overrides to the table. All faults come at once, each naming its configuration path.
func routes(base string, overrides map[string]string) (map[string]*route, error) {
	var faults []error
	table := endpointTable()
	for _, name := range slices.Sorted(maps.Keys(overrides)) {
		row, known := table[name]
		if !known {
			faults = append(faults, fmt.Errorf("upstream.endpoints.%s: unknown operation (have %s)", name, strings.Join(Operations(), ", ")))
			continue
		}
		method, path, err := parseOverride(overrides[name], placeholder(row.path))
		if err != nil {
			faults = append(faults, fmt.Errorf("upstream.endpoints.%s: %q: %w", name, overrides[name], err))
			continue
		}
		row.method, row.path = method, path
		table[name] = row
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	out := make(map[string]*route, len(table))
	for name, row := range table {
		r := &route{operation: name, method: row.method, prefix: base + row.path, effect: row.effect}
		if ph := placeholder(row.path); ph != "" {
			before, after, _ := strings.Cut(row.path, ph)
			r.prefix, r.suffix, r.takesArgument = base+before, after, true
		}
		out[name] = r
	}
	return out, nil
}

// placeholder gives the path's {placeholder} with its braces, "" when it has none.
func placeholder(path string) string {
	open, end := strings.IndexByte(path, '{'), strings.IndexByte(path, '}')
	if open < 0 || end < open {
		return ""
	}
	return path[open : end+1]
}

// parseOverride reads "METHOD /path" and checks that the path names want, the row's placeholder, exactly once.
func parseOverride(s, want string) (method, path string, err error) {
	method, path, ok := strings.Cut(s, " ")
	if !ok || !strings.HasPrefix(path, "/") {
		return "", "", errors.New(`want "METHOD /path"`)
	}
	if !slices.Contains(methods, method) {
		return "", "", fmt.Errorf("unknown method %q (have %s)", method, strings.Join(methods, ", "))
	}
	if strings.ContainsAny(path, " ?#\\") || strings.Contains(path, "//") {
		return "", "", errors.New("the path must not contain a space, query, fragment, backslash or empty segment")
	}
	found := 0
	for segment := range strings.SplitSeq(path[1:], "/") {
		switch {
		case segment == "." || segment == "..":
			return "", "", fmt.Errorf("the path must not contain the segment %q", segment)
		case want != "" && segment == want:
			found++
		case strings.ContainsAny(segment, "{}"):
			if want == "" {
				return "", "", fmt.Errorf("unknown placeholder %q (this operation has none)", segment)
			}
			return "", "", fmt.Errorf("unknown placeholder %q (have %s, as a whole segment)", segment, want)
		}
	}
	if want != "" && found != 1 {
		return "", "", fmt.Errorf("the placeholder %s must occur once, it occurs %d times", want, found)
	}
	if _, err := url.Parse(path); err != nil {
		return "", "", errors.New("the path is not a valid URL path")
	}
	return method, path, nil
}
