package mapping_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
)

func TestShift(t *testing.T) {
	when := toGroup("W", manager)
	when.When = titled("Buyer")
	a, b, same, everybody, elsewhere, w := group("A"), group("B"), group("Same as A"), group("Everybody"), group("Elsewhere"), group("W")
	p := ruled(toGroup("A", manager), toGroup("B", admin), toGroup("Same as A", manager),
		toGroup("Everybody", viewer), toGroup("Elsewhere", viewer, 114), when)
	p.DefaultRole = viewer
	with := func(change func(*mapping.Policy)) *mapping.Policy {
		other := *p
		change(&other)
		return &other
	}
	for _, tt := range []struct {
		name         string
		policy       *mapping.Policy
		was, is      *mapping.Group
		takes, gives bool
	}{
		{name: "somebody leaves", was: &a, takes: true},
		{name: "somebody comes", is: &a, gives: true},
		{name: "another name with another role", was: &a, is: &b, takes: true, gives: true},
		{name: "another name with the same role", was: &a, is: &same},
		{name: "a name that says nothing", was: &a, is: new(group("Others")), takes: true},
		{name: "the default role", was: &everybody},
		{name: "the default role somewhere", was: &elsewhere, takes: true},
		{name: "the default role lets in", policy: with(func(p *mapping.Policy) { p.RequireGroup = true }), is: &everybody, gives: true},
		{name: "the default role is above what the person says", policy: with(func(p *mapping.Policy) { p.RolesAttribute = true }), is: &everybody, gives: true},
		{name: "the default role is above another rule's", policy: with(func(p *mapping.Policy) {
			p.DefaultRole, p.Rules = analyst, []mapping.Rule{toGroup("Everybody", analyst), toGroup("B", viewer)}
		}), is: &everybody, gives: true},
		{name: "what the ceiling makes the default role", policy: with(func(p *mapping.Policy) { p.Ceiling = viewer }), was: &a, is: &b},
		{name: "a condition is judged later", was: &w, is: &a, takes: true, gives: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			policy := tt.policy
			if policy == nil {
				policy = p
			}
			takes, gives := policy.Shift(tt.was, tt.is)
			if takes != tt.takes || gives != tt.gives {
				t.Errorf("takes %v, gives %v; want %v and %v", takes, gives, tt.takes, tt.gives)
			}
		})
	}
}

// What an attempt that was cut short may have given is ours to take away.
func TestBeyondWhatWasWritten(t *testing.T) {
	was := mapping.Written{Roles: []mapping.WrittenRole{gave(113, 5)}, Granted: []int64{115}}
	want := mapping.Desire{Granted: []int64{115, 116}, Roles: []mapping.DueRole{
		{OrganizationID: 113, Role: manager}, {OrganizationID: 114, Role: manager}, {OrganizationID: 117, Role: manager, Keep: true},
	}}
	roles, granted := was.Beyond(want)
	if diff := cmp.Diff([]mapping.WrittenRole{gave(114, manager.ID)}, roles); diff != "" {
		t.Errorf("roles (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]int64{116}, granted); diff != "" {
		t.Errorf("granted (-want +got)\n%s", diff)
	}
	for range 2 { // the second time there is nothing to add
		now := was.With(roles, granted)
		after := mapping.Written{Roles: []mapping.WrittenRole{gave(113, 5), gave(114, manager.ID)}, Granted: []int64{115, 116}}
		if diff := cmp.Diff(after, now); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		was = now
	}
}

// What was to be given back is not what a rule had added.
func TestRestoreLeavesOutWhatARuleAdded(t *testing.T) {
	p := ruled(toGroup("A", manager, 114))
	p.Organizations = []int64{113, 114}
	cur := account(member(113, 5, "active"), member(114, 4, "suspended"))
	d, err := p.DesireOf(buyer(), cur, mapping.Past{Written: mapping.Written{Granted: []int64{114}}, Restore: []int64{113, 114}})
	if diff := cmp.Diff([]int64{113}, d.Organizations); err != nil || diff != "" {
		t.Errorf("error %v (-want +got)\n%s", err, diff)
	}
}

// What the client said and is not possible any more does not stand in the way
// while it says nothing.
func TestUnsaid(t *testing.T) {
	p := ruled(toGroup("A", manager))
	p.Organizations = []int64{113}
	u := buyer()
	u.Extensions = []any{&mapping.UserExtension{OrganizationIDs: []int64{113, 114}, DefaultOrganizationID: new(int64(114))}}
	if _, err := p.DesireOf(u, mapping.Account{}, mapping.Past{}); err == nil || err.(*scim.Error).Status != 400 {
		t.Errorf("the client says it now: %v, want 400", err)
	}
	d, err := p.DesireOf(u, mapping.Account{}, mapping.Past{Unsaid: true})
	if diff := cmp.Diff([]int64{113}, d.Organizations); err != nil || diff != "" {
		t.Errorf("error %v (-want +got)\n%s", err, diff)
	}
}
