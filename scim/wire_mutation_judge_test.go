package scim_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	wireCoreUser   = "urn:ietf:params:scim:schemas:core:2.0:user"
	wireCoreGroup  = "urn:ietf:params:scim:schemas:core:2.0:group"
	wireEnterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:user"
	wireExtension  = "urn:sharearefund:params:scim:schemas:extension:2.0:user"
)

// wireExtensionWritten are the attributes of our extension that a client
// writes; the others follow from upstream and from groups.
var wireExtensionWritten = []string{"countrycode", "organizationids", "defaultorganizationid", "identityproviderid"}

// wireKeptByPut are the attributes that a PUT leaves as they are when it does
// not name them; our extension's, too.
var wireKeptByPut = []string{"active", "roles", "externalid", "members"}

// wireAttributes is a resource by the lower-case full names of its attributes:
// title, name.givenname, urn:…:department.
type wireAttributes map[string]any

// wireState is every resource that there is. Ids are written as U0, U1, G0 by
// their place, so that states of different stacks can be compared.
type wireState struct {
	raw       string   // both lists as they were answered
	ids       []string // of users, then of groups
	n         int      // how many are users
	resources []wireAttributes
}

// users are the ids of the users.
func (s *wireState) users() []string { return s.ids[:s.n] }

// state reads every resource.
func (r *wireRun) state(t *testing.T) *wireState {
	t.Helper()
	s := &wireState{}
	var found []map[string]any
	for _, path := range []string{"/Users", "/Groups"} {
		_, body := r.send(t, wireRequest{Method: http.MethodGet, Target: path + "?startIndex=1&count=200"})
		obj, _ := body.(map[string]any)
		list, ok := obj["Resources"].([]any)
		if !ok {
			t.Fatalf("no list of %s: %v", path, body)
		}
		s.raw += wireJSON(list)
		for _, e := range list {
			res := e.(map[string]any)
			found = append(found, res)
			s.ids = append(s.ids, fmt.Sprint(res["id"]))
		}
		if path == "/Users" {
			s.n = len(list)
		}
	}
	var names []string
	for i, id := range s.ids {
		name := fmt.Sprintf("U%d", i)
		if i >= s.n {
			name = fmt.Sprintf("G%d", i-s.n)
		}
		names = append(names, id, name)
	}
	names = append(names, r.BaseURL(), "{{base}}")
	rename := strings.NewReplacer(names...)
	for _, res := range found {
		v, err := decodeWireJSON([]byte(rename.Replace(wireJSON(res))))
		if err != nil {
			t.Fatal(err)
		}
		s.resources = append(s.resources, wireAttributesOf(v.(map[string]any)))
	}
	return s
}

func wireAttributesOf(res map[string]any) wireAttributes {
	out := wireAttributes{}
	for k, v := range res {
		k = strings.ToLower(k)
		sub, complex := v.(map[string]any)
		switch {
		case k == "id", k == "schemas", k == "meta", k == "groups":
		case complex:
			sep := "."
			if strings.HasPrefix(k, "urn:") {
				sep = ":"
			}
			for name, e := range sub {
				if name = strings.ToLower(name); k != wireExtension || slices.Contains(wireExtensionWritten, name) {
					out[k+sep+name] = e
				}
			}
		case k == "members":
			list := slices.Clone(v.([]any))
			slices.SortFunc(list, func(a, b any) int { return strings.Compare(wireJSON(a), wireJSON(b)) })
			out[k] = list
		default:
			out[k] = v
		}
	}
	return out
}

// calls are the effects upstream since the ledger had n entries: operation and
// subject.
func (r *wireRun) calls(t *testing.T, n int) []string {
	t.Helper()
	var list []string
	for _, e := range r.Ledger()[n:] {
		if e.Credential == "" {
			continue
		}
		before, err := e.fields(e.Before)
		if err != nil {
			t.Fatal(err)
		}
		subject := e.Email
		if s, ok := before["email"].(string); ok && s != "" {
			subject = s
		}
		list = append(list, e.Operation+" "+subject)
	}
	return list
}

// wireReference is what came of the request itself.
type wireReference struct {
	before, after *wireState
	calls         []string
	accepted      bool
}

// wireConcerns are the attributes that a mutation is about, by lower-case full
// name. One that has sub-attributes stands for them all.
type wireConcerns map[string]bool

// has tells whether an attribute is among them.
func (c wireConcerns) has(attr string) bool {
	for name := range c {
		if attr == name || strings.HasPrefix(attr, name+".") || strings.HasPrefix(attr, name+":") {
			return true
		}
	}
	return false
}

// only tells whether they are one attribute.
func (c wireConcerns) only(attr string) bool {
	return cmp.Equal(c, wireConcerns{attr: true, wireEnterprise + ":" + attr: true})
}

// add names an attribute, or what a path points to.
func (c wireConcerns) add(path string) {
	path, _, _ = strings.Cut(strings.ToLower(path), "[")
	path = strings.Replace(path, "urn:scim:schemas:extension:enterprise:1.0", wireEnterprise, 1)
	for _, core := range []string{wireCoreUser, wireCoreGroup} {
		path = strings.TrimPrefix(path, core+":")
	}
	if strings.HasPrefix(path, wireEnterprise+":") || !strings.HasPrefix(path, "urn:") && !strings.HasPrefix(path, "name.") {
		path, _, _ = strings.Cut(path, ".value") // manager.value, emails.value
	}
	c[path] = true
	if !strings.ContainsAny(path, ":.") {
		c[wireEnterprise+":"+path] = true // Entra names manager without its URN
	}
	if path == "addresses" {
		c[wireExtension+":countrycode"] = true // which follows from the country
	}
}

// addOperation names what an operation of a PATCH is about.
func (c wireConcerns) addOperation(op any) {
	obj, _ := op.(map[string]any)
	path, value := "", any(nil)
	for k, v := range obj {
		switch strings.ToLower(k) {
		case "path":
			path, _ = v.(string)
		case "value":
			value = v
		}
	}
	sub, isObject := value.(map[string]any)
	switch lower := strings.ToLower(path); {
	case path == "" && isObject:
		for k, v := range sub {
			c.addOperation(map[string]any{"path": k, "value": v})
		}
	case isObject && (lower == "name" || strings.HasPrefix(lower, "urn:") && strings.Contains(lower, "extension") && !strings.HasSuffix(lower, ":manager")):
		for k := range sub {
			sep := "."
			if lower != "name" {
				sep = ":"
			}
			c.add(path + sep + k)
		}
		if len(sub) == 0 {
			c.add(path)
		}
	case path != "":
		c.add(path)
	}
}

// wireConcern is what the mutation of a request is about, in the body as it
// was and as it is.
func wireConcern(req wireRequest, original string, m wireMutant) wireConcerns {
	c := wireConcerns{}
	top := strings.ToLower(fmt.Sprint(m.At[0]))
	if req.Method != http.MethodPatch {
		if top != "schemas" && top != "meta" && top != "id" {
			if len(m.At) > 1 && (top == "name" || strings.HasPrefix(top, "urn:")) {
				sep := "."
				if top != "name" {
					sep = ":"
				}
				top += sep + fmt.Sprint(m.At[1])
			}
			c.add(top)
		}
		return c
	}
	if top != "operations" || len(m.At) == 1 {
		return c
	}
	for _, text := range []string{original, m.Body} {
		var body struct{ Operations []any }
		if json.Unmarshal([]byte(text), &body) == nil && m.At[1].(int) < len(body.Operations) {
			c.addOperation(body.Operations[m.At[1].(int)])
		}
	}
	return c
}

// judge compares what came of an accepted mutant with what came of the request
// itself, and says what is wrong.
func (ref wireReference) judge(concern wireConcerns, m wireMutant, method string, after *wireState, calls []string, policy map[string]string) (wrong []string) {
	want := ref.after
	if method == http.MethodPatch && len(m.At) == 1 && strings.EqualFold(fmt.Sprint(m.At[0]), "operations") {
		want = ref.before // no operation is left
	}
	if len(want.resources) != len(after.resources) || want.n != after.n {
		return []string{fmt.Sprintf("there are %d resources, %d after the request itself", len(after.resources), len(want.resources))}
	}
	for i, res := range after.resources {
		for _, attr := range slices.Sorted(maps.Keys(wireUnion(res, want.resources[i]))) {
			switch {
			case !concern.has(attr):
				if !cmp.Equal(want.resources[i][attr], res[attr]) {
					wrong = append(wrong, fmt.Sprintf("%s of %s is %s, %s after the request itself", attr, after.name(i), wireJSON(res[attr]), wireJSON(want.resources[i][attr])))
				}
			case method == http.MethodPut && m.Kind == "deleted" && len(m.At) == 1 && ref.changed(i):
				var kept any // what a PUT does not name is cleared, or stays
				if slices.Contains(wireKeptByPut, attr) || strings.HasPrefix(attr, wireExtension) {
					kept = ref.before.resources[i][attr]
				}
				if !cmp.Equal(kept, res[attr]) {
					wrong = append(wrong, fmt.Sprintf("%s of %s is %s after a PUT without it, and was %s", attr, after.name(i), wireJSON(res[attr]), wireJSON(ref.before.resources[i][attr])))
				}
			}
		}
	}
	if last := m.At[len(m.At)-1]; m.Kind == "of another type" && (last == any("active") || last == any("value") && concern.only("active")) {
		wrong = append(wrong, "active is no boolean, and that was accepted")
	}
	return append(wrong, ref.losses(concern, calls, policy)...)
}

// judgeBulk is judge for a bulk request, whose operations are requests of
// their own and fail with what they refer to: no more than that none fails on
// our side, and that nobody loses access who keeps it after the request itself,
// unless an operation deletes.
func (ref wireReference) judgeBulk(sent, answer string, calls []string, policy map[string]string) (wrong []string) {
	if strings.Contains(answer, `"status":"5`) {
		wrong = append(wrong, "an operation is a failure")
	}
	if strings.Contains(sent, http.MethodDelete) {
		return wrong
	}
	return append(wrong, ref.losses(wireConcerns{"members": true}, calls, policy)...)
}

func (s *wireState) name(i int) string {
	if i < s.n {
		return fmt.Sprintf("user %d", i)
	}
	return fmt.Sprintf("group %d", i-s.n)
}

// changed tells whether the request itself was about a resource.
func (ref wireReference) changed(i int) bool {
	return i < len(ref.before.resources) && len(ref.before.resources) == len(ref.after.resources) && !cmp.Equal(ref.before.resources[i], ref.after.resources[i])
}

func wireUnion(a, b wireAttributes) wireAttributes {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// losses are the calls that take access or change a role, and that the request
// itself did not make.
func (ref wireReference) losses(concern wireConcerns, calls []string, policy map[string]string) (wrong []string) {
	follows := policy["require_group"] != "" || strings.Contains(policy["rules"], "organizations")
	for _, call := range calls {
		op, _, _ := strings.Cut(call, " ")
		var said bool // the mutation is about what the call follows from
		switch op {
		case "deactivate_user", "remove_user":
			said = follows && (concern.has("members") || concern.has("displayname") || concern.has("externalid"))
		case "revoke_invite":
			said = concern.has("username") || concern.has("emails") || follows && concern.has("members")
		case "set_role":
			said = slices.ContainsFunc([]string{"members", "displayname", "externalid", "roles", "active", wireEnterprise}, concern.has) || strings.Contains(policy["rules"], "when")
		default:
			said = true
		}
		if !said && !slices.Contains(ref.calls, call) {
			wrong = append(wrong, fmt.Sprintf("%s happened upstream, and not after the request itself", call))
		}
	}
	return wrong
}
