package mapping_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
)

// life is a world in which only the client and the person themselves act:
// where the person is and with which role follows from what was said last,
// whatever was said before.
type life struct {
	*world
	user *scim.User
	// named are the organizations that the client names, always the same.
	named []int64
}

func (l *life) active() bool { return l.user.Active == nil || *l.user.Active }

// expected are the roles due, by organization, written without regard to how
// the policy goes about it; none when the person is to have no access.
func (l *life) expected(groups []mapping.Group) map[int64]mapping.Role {
	p := l.policy
	base := l.named
	if base == nil {
		base = p.DefaultOrganizations
	}
	if base == nil {
		base = p.Organizations
	}
	due := map[int64]mapping.Role{}
	for _, org := range p.Organizations {
		var given []mapping.Role
		var covered, added bool
		for _, r := range p.Rules {
			everywhere, here := len(r.Organizations) == 0, slices.Contains(r.Organizations, org)
			if l.satisfies(r, groups) && (everywhere || here) {
				given = append(given, r.Role)
				covered = covered || r.Match != nil
				added = added || here && (r.Match != nil || !p.RequireGroup)
			}
		}
		for _, v := range l.user.Roles {
			if p.RolesAttribute {
				given = append(given, listed[slices.IndexFunc(listed, func(r mapping.Role) bool { return r.Name == v.Value })])
			}
		}
		if added || slices.Contains(base, org) && (covered || !p.RequireGroup) {
			due[org] = highest(given, p)
		}
	}
	return due
}

func (l *life) satisfies(r mapping.Rule, groups []mapping.Group) bool {
	inGroup := r.Match == nil || slices.ContainsFunc(groups, func(g mapping.Group) bool { return g.DisplayName == r.Match.Text() })
	return inGroup && (r.When == nil || r.When == titled(l.user.Title))
}

func highest(given []mapping.Role, p *mapping.Policy) mapping.Role {
	if len(given) == 0 {
		given = []mapping.Role{p.DefaultRole}
	}
	var best mapping.Role
	for _, r := range given {
		if p.Ceiling.ID != 0 && r.Weight > p.Ceiling.Weight {
			r = p.Ceiling
		}
		if best.ID == 0 || r.Weight > best.Weight || r.Weight == best.Weight && r.ID < best.ID {
			best = r
		}
	}
	return best
}

// Whatever order groups, attributes, activity and rules change in, and
// whenever the person accepts, upstream holds what was said last.
func TestRolesFollowWhatWasSaidLast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		drawRules(t, p)
		l := &life{world: &world{model: drawModel(t), policy: p}, named: some(t, ours, "named")}
		l.user = &scim.User{UserName: "jay@example.com", Extensions: []any{&mapping.UserExtension{OrganizationIDs: l.named}}}
		l.tell(t)
		for range rapid.IntRange(1, 10).Draw(t, "changes") {
			l.change(t)
			l.tell(t)
			l.happen(t)
		}
		l.tell(t)
	})
}

// change is what the client says anew, or the operator.
func (l *life) change(t *rapid.T) {
	switch rapid.SampledFrom([]string{"groups", "groups", "groups", "active", "attributes", "rules"}).Draw(t, "change") {
	case "groups":
		before := l.groups
		l.groups = drawGroups(t)
		l.effect(t, before)
	case "active":
		active := !l.active()
		l.user.Active = &active
	case "attributes":
		drawClaims(t, l.user)
	case "rules":
		p := *l.policy
		drawRules(t, &p)
		l.policy = &p
	}
}

// happen is what becomes of invites meanwhile.
func (l *life) happen(t *rapid.T) {
	switch rapid.SampledFrom([]string{"accept", "expire", "share", "elsewhere", "none"}).Draw(t, "event") {
	case "accept":
		l.accept()
	case "expire":
		if i := l.invite(l.known); i != nil && i.pending() {
			i.state = mapping.InviteExpired
		}
	case "share":
		l.share()
	case "elsewhere":
		l.elsewhere()
	}
}

// tell says what is to be and checks what upstream then holds, and what a
// read shows of it.
func (l *life) tell(t *rapid.T) {
	l.provision(t, l.user, false)
	due := l.expected(l.groups)
	if !l.active() {
		due = nil
	}
	end := l.observe()
	if diff := cmp.Diff(slices.Sorted(maps.Keys(due)), end.AccessIn(ours), equateEmpty); diff != "" {
		t.Fatalf("access of %+v, written %+v (-due +given):\n%s", end, l.written, diff)
	}
	l.shows(t, end, due)
	if end.UserID == 0 {
		l.carries(t, end, due)
		return
	}
	for org, want := range due {
		if role, _ := roleIn(end, org); role != want.ID {
			t.Fatalf("I4: role %d is held in %d, due is %+v: %+v, written %+v", role, org, want, end, l.written)
		}
	}
}

// carries checks the invite of somebody without an account: it gives the
// lowest role due, unless it cannot be changed.
func (l *life) carries(t *rapid.T, end mapping.Account, due map[int64]mapping.Role) {
	if len(due) == 0 || end.Invite.State != mapping.InvitePending || end.SharedBeyond(ours) {
		return
	}
	low := slices.MinFunc(slices.Collect(maps.Values(due)), func(a, b mapping.Role) int { return a.Weight - b.Weight })
	if weight(end.Invite.RoleID) != low.Weight {
		t.Fatalf("I4: the invite carries role %d, the lowest due is %+v", end.Invite.RoleID, low)
	}
}

// shows checks that a read shows the person as active as the client said, and
// why each role is held.
func (l *life) shows(t *rapid.T, end mapping.Account, due map[int64]mapping.Role) {
	view := l.policy.View(mapping.Known{ID: "x", Managed: true, Desired: l.user, Written: l.written, Groups: l.groups}, end)
	e := mapping.Extension(view)
	withheld := l.active() && len(due) == 0
	if *view.Active != l.active() || slices.Contains(e.NotApplied, "active") != withheld {
		t.Fatalf("said active %v, shown %v, not applied %v, due %v", l.active(), *view.Active, e.NotApplied, due)
	}
	for _, m := range e.Memberships {
		if want, ok := due[*m.OrganizationID]; ok && *m.RoleID == want.ID && (m.Because == "" || strings.HasPrefix(m.Because, "held upstream")) {
			t.Fatalf("role %d in %d is due, and held because %q", *m.RoleID, *m.OrganizationID, m.Because)
		}
	}
}

// effect checks that a change of groups that takes or changes anything is
// known to do so.
func (l *life) effect(t *rapid.T, before []mapping.Group) {
	was, is := l.expected(before), l.expected(l.groups)
	var want mapping.Effect
	for org, r := range was {
		now, still := is[org]
		want.Loses = want.Loses || !still || now.ID != r.ID && now.Weight <= r.Weight
	}
	want.Changes = !maps.Equal(was, is)
	got := l.policy.EffectOf(l.user, before, l.groups)
	if want.Loses && !got.Loses || want.Changes && !got.Changes {
		t.Fatalf("%v becomes %v, got the effect %+v, want %+v", was, is, got, want)
	}
	if !got.Changes && got.Loses {
		t.Fatal(fmt.Sprint("a loss is no change: ", got))
	}
}
