package badinput

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// object is a JSON object.
type object = map[string]any

// oktaBody is what Okta sends on create and, with the id and more, on update
// (Okta documentation: "SCIM 2.0 protocol reference", Create users).
func oktaBody(name string) object {
	return object{
		"schemas": []any{userSchema}, "userName": name, "name": object{"givenName": "Test", "familyName": "User", "middleName": ""},
		"emails":      []any{object{"primary": true, "value": name, "type": "work"}},
		"displayName": "Test User", "locale": "en-US", "externalId": "00u" + name, "groups": []any{}, "password": "1mz050nq", "active": true,
		"phoneNumbers": []any{object{"value": "+1 555 0100", "type": "mobile", "primary": true}}, "nickName": "T", "title": "Dr",
	}
}

// entraBody is what Microsoft Entra ID sends on create (Microsoft Entra
// documentation: "Develop and plan provisioning for a SCIM endpoint").
func entraBody(name string) object {
	return object{
		"schemas": []any{userSchema, enterpriseSchema}, "externalId": "0a21" + name, "userName": name, "active": true, "displayName": "Joy Young",
		"emails": []any{object{"primary": true, "type": "work", "value": name}}, "meta": object{"resourceType": "User"},
		"name":  object{"formatted": "Joy Young", "familyName": "Young", "givenName": "Joy"},
		"roles": []any{object{"primary": true, "type": "WindowsAzureActiveDirectoryRole", "value": "Admin"}}, "addresses": nil, "title": nil,
		"phoneNumbers":   []any{object{"type": "work", "value": "+1 555 0101"}},
		enterpriseSchema: object{"department": "Sales", "employeeNumber": "42", "manager": "a-manager", "costCenter": "7"},
	}
}

// spot is where an attribute stands in a body: names, and indexes as numbers.
type spot []any

func (s spot) String() string {
	var b strings.Builder
	for _, x := range s {
		fmt.Fprintf(&b, "/%v", x)
	}
	return b.String()
}

// spots lists every member of a body, at every depth, in a fixed order.
func spots(v any, at spot) []spot {
	var all []spot
	switch x := v.(type) {
	case object:
		for _, k := range slices.Sorted(maps.Keys(x)) {
			here := append(slices.Clone(at), k)
			all = append(append(all, here), spots(x[k], here)...)
		}
	case []any:
		for i, e := range x {
			all = append(all, spots(e, append(slices.Clone(at), i))...)
		}
	}
	return all
}

// gone stands for a member that is deleted.
type gone struct{}

// with returns a copy of v in which the member at a spot is to, or gone.
func with(v any, at spot, to any) any {
	if len(at) == 0 {
		return to
	}
	switch x := v.(type) {
	case object:
		c := maps.Clone(x)
		key := at[0].(string)
		if _, deleted := to.(gone); deleted && len(at) == 1 {
			delete(c, key)
		} else {
			c[key] = with(c[key], at[1:], to)
		}
		return c
	case []any:
		c := slices.Clone(x)
		c[at[0].(int)] = with(c[at[0].(int)], at[1:], to)
		return c
	}
	return v
}

// replacements are what a member is put in turn: gone, null, empty, and a
// value of every JSON type.
var replacements = []struct {
	name string
	to   any
}{
	{"deleted", gone{}}, {"null", nil}, {"true", true}, {"false", false}, {"a number", 7}, {"an array", []any{"x"}}, {"an empty array", []any{}},
	{"an object", object{"x": 1}}, {"an empty object", object{}}, {"a string", "x"}, {"an empty string", ""},
}

// clients are the providers whose bodies are varied.
var clients = []struct {
	kind string
	body func(name string) object
}{{"okta", oktaBody}, {"entra", entraBody}}

// TestEveryAttributeVaried deletes, nulls and type-swaps each attribute of the
// bodies of Okta and Entra in turn. Nothing is answered 500; a refusal leaves
// the ledger untouched (I9); nobody is deactivated, demoted or emptied by what
// a request does not say (I17).
func TestEveryAttributeVaried(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	tried := 0
	for _, c := range clients {
		for _, at := range spots(c.body(""), nil) {
			for _, to := range replacements {
				name := c.kind + at.String() + " " + to.name
				t.Run("create "+name, func(t *testing.T) { r.varyCreate(t, c.kind, c.body, at, to.to) })
				t.Run("replace "+name, func(t *testing.T) { r.varyReplace(t, c.kind, c.body, at, to.to) })
				tried += 2
			}
		}
	}
	r.reckon(t)
	t.Logf("%d variations tried", tried)
	fmt.Printf("%d variations tried\n", tried)
}

// ask sends a body that may be refused as one of a client.
func (r *rig) ask(t *testing.T, kind, method, path string, body any) (bridgetest.Response, []sandbox.Entry) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	before := len(r.Sandbox.Ledger())
	res := r.Do(method, path, string(text), "Authorization", "Bearer "+r.tokens[kind])
	r.answers[res.Header.Get("X-Request-Id")] = true
	if res.Status >= 500 {
		t.Fatalf("status %d %s\nfor %s", res.Status, excerpt(res.Body), text)
	}
	scimType, _ := res.JSON("scimType").(string)
	r.judge(t, attempt{method: method, scimType: scimType}, res)
	now := r.Sandbox.Ledger()[before:]
	if res.Status >= 400 && len(now) > 0 {
		t.Errorf("a refusal with effects upstream: %s\nfor %s", describe(now), text)
	}
	return res, now
}

func (r *rig) varyCreate(t *testing.T, kind string, body func(string) object, at spot, to any) {
	t.Helper()
	base := body(r.newName())
	varied := with(base, at, to)
	res, now := r.ask(t, kind, "POST", "/Users", varied)
	if res.Status == 409 {
		return // two variations of the name are the same
	}
	if res.Status >= 400 {
		return
	}
	off := says(varied, "active") == false
	if (res.JSON("active") == false) != off {
		t.Errorf("active is %v after a create that says %v", res.JSON("active"), says(varied, "active"))
	}
	if off && len(now) != 0 || !off && len(now) != 1 {
		t.Errorf("the ledger has %s", describe(now))
	}
	for _, e := range now {
		for _, i := range e.Invites {
			if i.After.RoleID != viewer {
				t.Errorf("an invite with the role %d", i.After.RoleID)
			}
		}
	}
	unchanged(t, base, res, at)
	if strings.Contains(string(res.Body), "1mz050nq") {
		t.Error("the password is shown")
	}
}

func (r *rig) varyReplace(t *testing.T, kind string, body func(string) object, at spot, to any) {
	t.Helper()
	base := body(r.newName())
	made, _ := r.ask(t, kind, "POST", "/Users", base)
	if made.Status != 201 {
		t.Fatalf("the create: status %d %s", made.Status, made.Body)
	}
	path := "/Users/" + made.ID()
	varied := with(base, at, to)
	res, now := r.ask(t, kind, "PUT", path, varied)
	if res.Status >= 400 {
		if after := r.quietly(t, "GET", path, ""); string(after.Body) != string(made.Body) {
			t.Errorf("a refused PUT changed the person\nbefore %s\nafter  %s", made.Body, after.Body)
		}
		return
	}
	off := says(varied, "active") == false
	if (res.JSON("active") == false) != off {
		t.Errorf("active is %v after a PUT that says %v", res.JSON("active"), says(varied, "active"))
	}
	for _, e := range now {
		if !off && (e.Operation != "update_user" || !reflect.DeepEqual(e.Before.Memberships, e.After.Memberships)) {
			t.Errorf("%s happened upstream", describe(now))
		}
	}
	unchanged(t, base, res, at)
	if to == (gone{}) && len(at) == 1 {
		for _, kept := range []string{"active", "roles", "externalId"} {
			if at[0] == kept && !reflect.DeepEqual(res.JSON(kept), made.JSON(kept)) {
				t.Errorf("%s was %v and is %v after a PUT without it", kept, made.JSON(kept), res.JSON(kept))
			}
		}
	}
}

// says is what a body says at the top, where booleans may be strings.
func says(body any, name string) any {
	v := body.(object)[name]
	if s, ok := v.(string); ok && strings.EqualFold(s, "false") {
		return false
	}
	return v
}

// unchanged checks that every attribute of a body but the one that was varied
// is shown as it was sent.
func unchanged(t *testing.T, base object, res bridgetest.Response, at spot) {
	t.Helper()
	var shown object
	if err := json.Unmarshal(res.Body, &shown); err != nil {
		t.Fatal(err)
	}
	for _, k := range slices.Sorted(maps.Keys(base)) {
		switch k {
		case at[0], "schemas", "meta", "groups", "password":
			continue
		}
		sent, got := trimmed(base[k]), shown[k]
		if k == enterpriseSchema {
			sent.(object)["manager"] = object{"value": "a-manager"}
		}
		if !reflect.DeepEqual(plain(sent), got) {
			t.Errorf("%s was sent as %v and is shown as %v", k, sent, got)
		}
	}
}

// trimmed leaves out what means unassigned (RFC 7643 §2.5).
func trimmed(v any) any {
	switch x := v.(type) {
	case object:
		out := object{}
		for k, e := range x {
			if e = trimmed(e); e != nil && e != "" {
				out[k] = e
			}
		}
		return out
	case []any:
		if len(x) == 0 {
			return nil
		}
	}
	return v
}

// plain is v as JSON reads it.
func plain(v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var out any
	if err := json.Unmarshal(text, &out); err != nil {
		return err
	}
	return out
}
