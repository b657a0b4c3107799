package server

import (
	"net/http"
	"slices"
	"strings"

	"github.com/sharearefund/scim-bridge/scim"
)

// identifying are the attributes by whose values a new resource may meet
// another one, by route: a name, and such with addresses among their values.
var identifying = map[string][]string{
	basePath + "/Users":  {"userName", "emails"},
	basePath + "/Groups": {"displayName"},
}

// coreSchemas begins the URNs of core schemas.
const coreSchemas = "urn:ietf:params:scim:schemas:core:2.0:"

// consequential are parts of the names of attributes, in lower case, whose
// change in one user may decide what another operation comes to: what is unique,
// and what gives or takes access and so counts against a limit of the tenant.
var consequential = []string{"username", "email", "active", "role", "group", "organization"}

// keyring numbers what operations share.
type keyring map[string]int

func (k keyring) of(what, value string) int {
	name := what + " " + value
	n, ok := k[name]
	if !ok {
		n = len(k)
		k[name] = n
	}
	return n
}

// survey finds what the operations refer to and what they have in common, and
// refuses those that refer to nothing. It returns the number of keys.
func (q *bulkRequest) survey() (keys int, err error) {
	q.creators, q.doubled = map[string]int{}, map[string]bool{}
	addressed := map[string]bool{}
	for i, o := range q.operations {
		if o.method == http.MethodPost && o.bulkID != "" {
			if _, taken := q.creators[o.bulkID]; taken {
				q.doubled[o.bulkID] = true
			}
			q.creators[o.bulkID] = i
		}
		if o.refusal == nil && o.id != "" {
			addressed[o.id] = true
		}
	}
	ring := keyring{}
	for _, o := range q.operations {
		if o.refusal != nil {
			continue
		}
		if err := o.survey(addressed, ring); err != nil {
			return 0, err
		}
		if o.target != "" {
			q.need(o, o.target)
			o.keys = append(o.keys, ring.of("created by", o.target))
		}
		for _, r := range o.references {
			q.need(o, r.bulkID)
		}
		o.needs, o.keys = unique(o.needs), unique(o.keys)
	}
	return len(ring), nil
}

// need makes an operation wait for the one with a bulkId.
func (q *bulkRequest) need(o *bulkOperation, bulkID string) {
	i, ok := q.creators[bulkID]
	if !ok {
		o.refuse(scim.BadRequest(scim.TypeInvalidValue, "the operation refers to the bulkId %q, which no POST of this request has", clip(bulkID)))
		return
	}
	if q.doubled[bulkID] {
		o.refuse(scim.BadRequest(scim.TypeInvalidValue, "the operation refers to the bulkId %q, which several operations of this request have: give each one of its own (RFC 7644 §3.7)", clip(bulkID)))
		return
	}
	o.needs = append(o.needs, i)
}

func unique(list []int) []int {
	slices.Sort(list)
	return slices.Compact(list)
}

// survey reads the strings in data: references, ids of resources that other
// operations are on, and what a new resource is known by.
func (o *bulkOperation) survey(addressed map[string]bool, ring keyring) error {
	share := func(what, value string) { o.keys = append(o.keys, ring.of(what, value)) }
	if o.id != "" {
		share("resource", o.id)
	}
	var names []string
	if o.method == http.MethodPost {
		names = identifying[o.endpoint.pattern]
	}
	profile, wrapped := true, false
	if o.data == nil {
		return nil
	}
	err := eachString(o.data, func(s jsonString) {
		// Under the URN of a core schema stands what could stand beside it.
		wrapped = wrapped || s.name && s.text == s.within && len(s.text) > len(coreSchemas) && strings.EqualFold(s.text[:len(coreSchemas)], coreSchemas) &&
			!strings.Contains(s.text[len(coreSchemas):], ":")
		if !s.name {
			if bulkID, ok := strings.CutPrefix(s.text, referencePrefix); ok {
				o.references = append(o.references, bulkReference{bulkID: bulkID, start: s.start, end: s.end})
			}
			// An attribute may be named with its schema.
			attribute := s.within[strings.LastIndexByte(s.within, ':')+1:]
			if i := slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, attribute) }); i == 0 || i > 0 && strings.Contains(s.text, "@") {
				share(o.endpoint.pattern, scim.Fold(s.text))
			}
			// The filter of a path has ids between quotes.
			for part := range strings.SplitSeq(s.text, `"`) {
				if addressed[part] {
					share("resource", part)
				}
			}
		}
		if o.method == http.MethodPatch {
			lower := strings.ToLower(s.text)
			profile = profile && !slices.ContainsFunc(consequential, func(part string) bool { return strings.Contains(lower, part) })
		}
	})
	switch route := o.endpoint.pattern; {
	case wrapped:
	case o.method == http.MethodPost && route == basePath+"/Users":
		o.beside = bulkCreates
	case o.method == http.MethodPatch && route == basePath+"/Users/{id}" && profile:
		o.beside = bulkProfiles
	}
	return err
}
