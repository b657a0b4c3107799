package play

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// memberships are in 113 and 114.
func memberships(role113, role114 int64, state string) []membership {
	return []membership{{113, role113, state}, {114, role114, state}}
}

// What arrived upstream is told in words.
func TestEffects(t *testing.T) {
	t.Parallel()
	names := map[int64]string{2: "Administrator", 3: "Manager", 5: "Viewer"}
	set := func(email string, before, after []membership) effect {
		return effect{
			Operation: "set_role", Email: email,
			Before: &record{State: "active", Memberships: before}, After: &record{State: "active", Memberships: after},
		}
	}
	a := []int64{113, 114}
	for _, tt := range []struct {
		name string
		in   []effect
		want []string
	}{
		{"a role in every organization is one line for a person", []effect{
			set("ada", memberships(5, 5, "active"), memberships(3, 5, "active")),
			set("jia", memberships(5, 5, "active"), memberships(5, 2, "active")),
			set("ada", memberships(3, 5, "active"), memberships(3, 3, "active")),
		}, []string{"→ set_role ada: Viewer → Manager in 113 and 114", "→ set_role jia: Viewer → Administrator in 114"}},
		{"roles that something else comes between are two", []effect{
			set("ada", memberships(5, 5, "active"), memberships(3, 5, "active")),
			{Operation: "update_user", Email: "ada", Before: &record{State: "active", FirstName: "A"}, After: &record{State: "active", FirstName: "B"}},
			set("ada", memberships(3, 5, "active"), memberships(3, 3, "active")),
		}, []string{"→ set_role ada: Viewer → Manager in 113", "→ update_user ada: name A  → B ", "→ set_role ada: Viewer → Manager in 114"}},
		{"roles that differ", []effect{set("ada", memberships(5, 3, "active"), memberships(3, 5, "active"))},
			[]string{"→ set_role ada: Manager → Viewer in 114, Viewer → Manager in 113"}},
		{"a membership that a role makes", []effect{set("ada", nil, memberships(3, 5, "active"))},
			[]string{"→ set_role ada: 113 active as Manager, 114 active as Viewer"}},
		{"a role without a name", []effect{set("ada", memberships(5, 5, "active"), memberships(9, 5, "active"))},
			[]string{"→ set_role ada: Viewer → role 9 in 113"}},
		{"an invite that makes an account", []effect{{
			Operation: "invite_users", Email: "ada", After: &record{State: "new", Memberships: memberships(5, 5, "invited")},
			Invites: []inviteChange{{After: &invite{State: "pending", RoleID: 5, OrganizationIDs: a}}},
		}}, []string{"→ invite_users ada: account new, 113 and 114 invited as Viewer"}},
		{"an invite that makes none", []effect{{
			Operation: "invite_users", Email: "ada", After: &record{},
			Invites: []inviteChange{{After: &invite{State: "pending", RoleID: 5, OrganizationIDs: a}}},
		}}, []string{"→ invite_users ada: invite to 113 and 114 pending as Viewer"}},
		{"an invite that is to give another role", []effect{{
			Operation: "update_invite", Email: "ada", Before: &record{}, After: &record{},
			Invites: []inviteChange{{&invite{State: "pending", RoleID: 5, OrganizationIDs: a}, &invite{State: "pending", RoleID: 3, OrganizationIDs: a}}},
		}}, []string{"→ update_invite ada: invite as Viewer → Manager"}},
		{"an invite that is accepted", []effect{{
			Operation: "accept_invite", Email: "ada",
			Before: &record{State: "new", Memberships: memberships(3, 3, "invited")}, After: &record{State: "active", Memberships: memberships(3, 3, "active")},
			Invites: []inviteChange{{&invite{State: "pending", RoleID: 3}, &invite{State: "accepted", RoleID: 3}}},
		}}, []string{"→ accept_invite ada: account new → active, 113 and 114 active as Manager, invite pending → accepted"}},
		{"an account that goes", []effect{{Operation: "remove_user", Email: "ada", Before: &record{State: "blocked"}}},
			[]string{"→ remove_user ada: account removed"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			p := &printer{out: &out, width: 200, roles: names}
			p.effects(tt.in)
			var got []string
			for line := range strings.Lines(out.String()) {
				got = append(got, strings.TrimSuffix(line[10:], "\n"))
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}
