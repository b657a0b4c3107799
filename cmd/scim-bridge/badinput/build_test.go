package badinput

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

const (
	userSchema       = "urn:ietf:params:scim:schemas:core:2.0:User"
	enterpriseSchema = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
)

// user is the body of a create of somebody new, with more members.
func user(more ...string) string { return userOf("{new}", more...) }

// userOf is the body of a create, or of a PUT that changes nothing.
func userOf(name string, more ...string) string {
	return bodyWith(append([]string{
		fmt.Sprintf(`"userName":%q`, name), `"name":{"givenName":"Given","familyName":"Test"}`,
		fmt.Sprintf(`"emails":[{"primary":true,"type":"work","value":%q}]`, name), `"active":true`,
	}, more...)...)
}

// bodyWith is a create in which only what is listed is said.
func bodyWith(members ...string) string {
	return `{"schemas":["` + userSchema + `"],` + strings.Join(members, ",") + `}`
}

// named is a create whose user name is written as a JSON value, and whose
// address is good.
func named(value string) string {
	return bodyWith(`"userName":`+value, `"active":true`, `"emails":[{"primary":true,"type":"work","value":"{new}"}]`)
}

func refusedPost(row, body string, status int, scimType string, detail ...string) attempt {
	return attempt{row: row, body: body, status: status, scimType: scimType, detail: detail}
}

// accepted is a create that succeeds: one invite for each.
func accepted(row, body string) attempt {
	return attempt{row: row, body: body, status: 201, effects: 1, check: invited}
}

// operations is a PATCH of the person that is aimed at.
func operations(row string, status int, scimType string, ops string, detail ...string) attempt {
	return attempt{row: row, method: "PATCH", path: "/Users/{id}", body: bridgetest.PatchOp(ops), status: status, scimType: scimType, detail: detail}
}

// patched is a PATCH of somebody new that succeeds with so many effects.
func patched(row string, effects int, ops string) attempt {
	a := operations(row, 200, "", ops)
	a.fresh, a.effects, a.check = true, effects, staysActive
	return a
}

// chain is a as a row that others build on.
func (a attempt) chain() attempt {
	a.chained = true
	return a
}

func (a attempt) from(kind string) attempt { a.as = kind; return a }

func (a attempt) with(header ...string) attempt { a.header = header; return a }

func (a attempt) then(check func(*testing.T, *rig, bridgetest.Response, []sandbox.Entry)) attempt {
	first := a.check
	a.check = func(t *testing.T, r *rig, res bridgetest.Response, now []sandbox.Entry) {
		t.Helper()
		if first != nil {
			first(t, r, res, now)
		}
		check(t, r, res, now)
	}
	return a
}

// asking allows upstream calls before the refusal.
func (a attempt) asking() attempt { a.calls = true; return a }

// invited checks that the ledger has one invite at the lowest role, and the
// answer an active person.
func invited(t *testing.T, _ *rig, res bridgetest.Response, now []sandbox.Entry) {
	t.Helper()
	if res.JSON("active") != true {
		t.Errorf("active is %v after a create", res.JSON("active"))
	}
	if len(now) != 1 || len(now[0].Invites) != 1 || now[0].Invites[0].Before != nil || now[0].Invites[0].After.RoleID != viewer {
		t.Errorf("the ledger has %s, want one new invite as Viewer", describe(now))
	}
}

// viewer is the id of the sandbox's role for the tenant's default.
const viewer = 5

func staysActive(t *testing.T, _ *rig, res bridgetest.Response, now []sandbox.Entry) {
	t.Helper()
	if res.JSON("active") != true {
		t.Errorf("active is %v", res.JSON("active"))
	}
	for _, e := range now {
		if strings.Contains(e.Operation, "deactivate") || strings.Contains(e.Operation, "revoke") || strings.Contains(e.Operation, "delete") {
			t.Errorf("%s happened upstream", e.Operation)
		}
	}
}

// shows checks members of the answer by dotted path.
func shows(want map[string]any) func(*testing.T, *rig, bridgetest.Response, []sandbox.Entry) {
	return func(t *testing.T, _ *rig, res bridgetest.Response, _ []sandbox.Entry) {
		t.Helper()
		for path, v := range want {
			if got := res.JSON(path); got != v {
				t.Errorf("%s is %#v, want %#v\n%s", path, got, v, excerpt(res.Body))
			}
		}
	}
}

// lacks checks that a text is nowhere in the answer.
func lacks(texts ...string) func(*testing.T, *rig, bridgetest.Response, []sandbox.Entry) {
	return func(t *testing.T, _ *rig, res bridgetest.Response, _ []sandbox.Entry) {
		t.Helper()
		for _, s := range texts {
			if strings.Contains(string(res.Body), s) {
				t.Errorf("the answer shows %q: %s", s, excerpt(res.Body))
			}
		}
	}
}

// nested is a value inside n arrays or objects.
func nestedArrays(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

func nestedObjects(n int) string {
	return strings.Repeat(`{"a":`, n-1) + "{}" + strings.Repeat("}", n-1)
}

// members are n different members of an object.
func members(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"%x":0`, i)
	}
	return b.String()
}

func long(n int) string { return strings.Repeat("a", n) }

// escape is a code point as JSON writes it in ASCII.
func escape(r rune) string {
	if r > 0xffff {
		r -= 0x10000
		return fmt.Sprintf(`\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
	}
	return fmt.Sprintf(`\u%04x`, r)
}
