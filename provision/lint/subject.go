package lint

import (
	"crypto/rand"
	"strings"
	"sync"

	"github.com/sharearefund/scim-bridge/provision/requestlog"
	"github.com/sharearefund/scim-bridge/schemas"
)

// pseudonym begins the subject of something that has no id of the bridge's.
const pseudonym = "p-"

// ownPseudonyms are by a key that no other process has.
func ownPseudonyms() (*requestlog.Pseudonyms, error) {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return requestlog.NewPseudonyms(key)
}

// unnamed is the subject of a person or group that could not be created: the
// same for the same name, which it does not show.
func (l *Linter) unnamed(tenant, resource, name string) string {
	if name == "" {
		return ""
	}
	return l.names.Of(tenant, resource+" "+name)
}

// identified is the subject of a person or group by the id that a client gave.
// What has not the form of the bridge's ids may be anything, so it is not shown.
func (l *Linter) identified(tenant, resource, id string) string {
	if id == "" || isGUID(id) {
		return id
	}
	return l.names.Of(tenant, resource+" id "+id)
}

// unknownPart stands for what no schema has at the end of a path.
const unknownPart = "…"

// vocabulary has the names that schemas give, by their lower case: URNs and
// names of attributes.
var vocabulary = sync.OnceValue(func() map[string]string {
	words := map[string]string{}
	for _, w := range []string{"schemas", "id", "externalId", "meta", "resourceType", "created", "lastModified", "location", "version"} {
		words[strings.ToLower(w)] = w
	}
	// The embedded files can be read, or the bridge would not have started.
	set, err := schemas.Load()
	if err != nil {
		return words
	}
	for _, s := range set.All() {
		words[strings.ToLower(s.ID)] = s.ID
		for _, a := range s.Attributes {
			words[strings.ToLower(a.Name)] = a.Name
			for _, sub := range a.Sub {
				words[strings.ToLower(sub.Name)] = sub.Name
			}
		}
	}
	return words
})

// shownName is an attribute's path as schemas spell it, without what it says in
// brackets, and with "…" for the part that no schema has: "name.…". It is empty
// where nothing of it is known: a value in the wrong place looks the same.
func shownName(path string) string {
	if i := strings.LastIndex(path, ": "); i >= 0 {
		path = path[i+2:]
	}
	path = withoutBrackets(path)
	words := vocabulary()
	shown, after := "", ""
	// A URN has dots of its own.
	if i := strings.LastIndexByte(path, ':'); i >= 0 {
		if urn, ok := words[strings.ToLower(path)]; ok {
			return urn
		}
		known, ok := words[strings.ToLower(path[:i])]
		if !ok {
			return ""
		}
		shown, after, path = known, ":", path[i+1:]
	}
	for part := range strings.SplitSeq(path, ".") {
		known, ok := words[strings.ToLower(part)]
		switch {
		case !ok && shown == "":
			return ""
		case !ok:
			return shown + after + unknownPart
		}
		shown, after = shown+after+known, "."
	}
	return shown
}

// withoutBrackets leaves the filters of a path out.
func withoutBrackets(path string) string {
	var b strings.Builder
	for len(path) > 0 {
		i := strings.IndexByte(path, '[')
		if i < 0 {
			b.WriteString(path)
			break
		}
		b.WriteString(path[:i])
		end := strings.LastIndexByte(path, ']')
		if end < i {
			break
		}
		path = path[end+1:]
	}
	return b.String()
}
