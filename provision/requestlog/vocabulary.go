package requestlog

import (
	"strings"
	"sync"

	"github.com/sharearefund/scim-bridge/schemas"
)

// vocabulary holds the words of the protocol, in lower case: URNs, names of
// attributes, and what paths and filters are written with. They are shown as
// they are; every other word of a client may be a value.
var vocabulary = sync.OnceValue(func() map[string]bool {
	words := map[string]bool{}
	add := func(list ...string) {
		for _, w := range list {
			words[strings.ToLower(w)] = true
		}
	}
	add("schemas", "id", "externalId", "meta", "resourceType", "created", "lastModified", "location", "version", "Operations", "op", "path",
		"value", "$ref", "eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr", "and", "or", "not", "true", "false", "null",
		"work", "home", "other")
	add("/scim/v2", "/Users", "/Groups", "/Me", "/Bulk", "/.search", "/Schemas", "/ResourceTypes", "/ServiceProviderConfig")
	// The embedded files can be read, or the bridge would not have started.
	set, err := schemas.Load()
	if err != nil {
		return words
	}
	for _, t := range set.ServedTypes() {
		add(t.Endpoint)
	}
	for _, s := range set.All() {
		add(s.ID)
		for _, a := range s.Attributes {
			add(a.Name)
			for _, sub := range a.Sub {
				add(sub.Name)
			}
		}
	}
	return words
})

// known reports whether s is a word of the protocol, or words joined by dots.
func known(s string) bool {
	words := vocabulary()
	s = strings.ToLower(s)
	if words[s] {
		return true
	}
	for part := range strings.SplitSeq(s, ".") {
		if !words[part] {
			return false
		}
	}
	return true
}
