package mapping_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
)

// where is what DesireOf says of organizations.
type where struct {
	In, Untouched, Granted, KeptOut []int64
	Withheld                        bool
}

func whereOf(d mapping.Desire) where {
	return where{d.Organizations, d.Untouched, d.Granted, d.KeptOut, d.Withheld}
}

func TestOrganizationsDue(t *testing.T) {
	adds := ruled(toGroup("A", manager, 115))
	adds.Organizations, adds.DefaultOrganizations = []int64{113, 114, 115}, []int64{113}
	required := *adds
	required.RequireGroup = true
	required.Rules = []mapping.Rule{toGroup("A", manager, 115), toGroup("All", analyst), toGroup("One", viewer, 113), toTitle("Seller", admin), toTitle("Seller", admin, 114)}
	named := func(orgs ...int64) *scim.User {
		u := buyer()
		u.Extensions = []any{&mapping.UserExtension{OrganizationIDs: orgs}}
		return u
	}
	home := func(org int64, orgs ...int64) *scim.User {
		u := named(orgs...)
		mapping.Extension(u).DefaultOrganizationID = &org
		return u
	}
	seller := &scim.User{UserName: "jay@example.com", Title: "Seller"}
	sellerIn := named(114)
	sellerIn.Title = "Seller"
	granted := func(orgs ...int64) mapping.Written { return mapping.Written{Granted: orgs} }
	active := func(orgs ...int64) mapping.Account {
		var ms []mapping.Membership
		for _, org := range orgs {
			ms = append(ms, member(org, 5, "active"))
		}
		return account(ms...)
	}
	for _, tt := range []struct {
		name    string
		policy  *mapping.Policy
		user    *scim.User
		cur     mapping.Account
		written mapping.Written
		restore []int64
		groups  []string
		want    where
	}{
		// rules add
		{name: "the default ones", policy: adds, want: where{In: []int64{113}}},
		{name: "a rule adds one", policy: adds, groups: []string{"A"}, want: where{In: []int64{113, 115}, Granted: []int64{115}}},
		{name: "to those named", policy: adds, user: named(114), groups: []string{"A"}, want: where{In: []int64{114, 115}, Granted: []int64{115}}},
		{name: "one that is named is not added", policy: adds, user: named(115, 114), groups: []string{"A"}, want: where{In: []int64{115, 114}}},
		{name: "one that holds the person is not added", policy: adds, cur: active(113, 115), groups: []string{"A"}, want: where{In: []int64{113, 115}}},
		{name: "one that was added stays added", policy: adds, cur: active(113, 115), written: granted(115), groups: []string{"A"}, want: where{In: []int64{113, 115}, Granted: []int64{115}}},
		{name: "to somebody pending", policy: adds, cur: invited("pending", 113), groups: []string{"A"}, want: where{In: []int64{113, 115}, Granted: []int64{115}}},

		// and take away
		{name: "the rule no longer applies", policy: adds, cur: active(113, 115), written: granted(115), want: where{In: []int64{113}}},
		{name: "to one that is named", policy: adds, user: named(113, 115), cur: active(113, 115), written: granted(115), want: where{In: []int64{113, 115}}},
		{name: "to one that was there before", policy: adds, cur: active(113, 115), want: where{In: []int64{113, 115}}},
		{name: "from somebody pending", policy: adds, cur: invited("pending", 113, 115), written: granted(115), want: where{In: []int64{113}}},
		{name: "none is left", policy: adds, cur: active(115), written: granted(115), want: where{Withheld: true}},
		{name: "nor when none gives access any more", policy: adds, cur: account(member(115, 5, "suspended")), written: granted(115), want: where{Withheld: true}},
		{name: "those suspended stay so", policy: adds, cur: account(member(113, 5, "suspended"), member(114, 5, "active"), member(115, 5, "active")), written: granted(115),
			want: where{In: []int64{114}, Untouched: []int64{113}}},
		{name: "those suspended beside one that is added stay so", policy: adds, cur: account(member(113, 5, "suspended"), member(115, 5, "active")), written: granted(115), groups: []string{"A"},
			want: where{In: []int64{115}, Untouched: []int64{113}, Granted: []int64{115}}},
		{name: "one that was suspended and that a rule adds is given back", policy: adds, cur: account(member(113, 5, "active"), member(115, 5, "suspended")), groups: []string{"A"},
			want: where{In: []int64{113, 115}, Granted: []int64{115}}},

		// require_group
		{name: "in no group", policy: &required, want: where{KeptOut: []int64{113}, Withheld: true}},
		{name: "in a group that no rule matches", policy: &required, groups: []string{"B"}, want: where{KeptOut: []int64{113}, Withheld: true}},
		{name: "a condition does not let in", policy: &required, user: seller, want: where{KeptOut: []int64{113}, Withheld: true}},
		{name: "nor to where it gives a role", policy: &required, user: sellerIn, want: where{KeptOut: []int64{114}, Withheld: true}},
		{name: "a group that covers everything", policy: &required, groups: []string{"All"}, want: where{In: []int64{113}}},
		{name: "a group that covers what was named", policy: &required, user: named(114, 113), groups: []string{"All"}, want: where{In: []int64{114, 113}}},
		{name: "a group that covers some", policy: &required, user: named(114, 113), groups: []string{"One"}, want: where{In: []int64{113}, KeptOut: []int64{114}}},
		{name: "a group that only adds", policy: &required, groups: []string{"A"}, want: where{In: []int64{115}, Granted: []int64{115}, KeptOut: []int64{113}}},
		{name: "a condition adds nothing beside a group", policy: &required, user: seller, groups: []string{"One"}, want: where{In: []int64{113}}},
		{name: "a member who leaves every group", policy: &required, cur: active(113, 114), want: where{KeptOut: []int64{113, 114}, Withheld: true}},
		{name: "and comes back to where it was", policy: &required, cur: account(member(113, 5, "suspended"), member(114, 5, "suspended")), groups: []string{"All"}, want: where{In: []int64{113, 114}}},
		{name: "also to what was removed", policy: &required, cur: active(113), written: mapping.Written{KeptOut: []int64{114, 200}}, groups: []string{"All"}, want: where{In: []int64{113, 114}}},
		{name: "and what was removed stays away else", policy: &required, cur: active(113), written: mapping.Written{KeptOut: []int64{114}}, groups: []string{"One"},
			want: where{In: []int64{113}, KeptOut: []int64{114}}},
		{name: "a person kept out comes back to where it was, and to no more", policy: &required, cur: account(member(113, 5, "suspended"), member(114, 5, "suspended"), member(115, 5, "suspended")),
			written: mapping.Written{Withheld: true, KeptOut: []int64{114}, Granted: []int64{115}}, groups: []string{"All"}, want: where{In: []int64{114}, Untouched: []int64{113}}},
		{name: "pending, too", policy: &required, cur: invited("revoked", 114), written: mapping.Written{Withheld: true, KeptOut: []int64{114}}, groups: []string{"All"}, want: where{In: []int64{114}}},
		{name: "one of whom nothing is left comes as new", policy: &required, written: mapping.Written{Withheld: true, KeptOut: []int64{114}}, groups: []string{"All"}, want: where{In: []int64{113}}},

		// what was cut short, and the default one
		{name: "what was cut short is given back", policy: adds, cur: account(member(113, 5, "suspended"), member(114, 5, "active")), restore: []int64{113, 200}, want: where{In: []int64{113, 114}}},
		{name: "unless the person is to be inactive", policy: adds, user: &scim.User{UserName: "jay@example.com", Active: new(false)}, cur: account(member(113, 5, "suspended"), member(114, 5, "active")),
			restore: []int64{113}, want: where{In: []int64{114}, Untouched: []int64{113}}},
		{name: "the default one is first", policy: adds, user: home(114, 113, 114), groups: []string{"A"}, want: where{In: []int64{114, 113, 115}, Granted: []int64{115}}},
		{name: "if a rule adds it", policy: adds, user: home(115), groups: []string{"A"}, want: where{In: []int64{115, 113}, Granted: []int64{115}}},
		{name: "and not before", policy: adds, user: home(115), want: where{In: []int64{113}}},
		{name: "if only upstream knows of it", policy: adds, user: home(114), cur: active(113, 114), want: where{In: []int64{114, 113}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.user == nil {
				tt.user = buyer()
			}
			past := mapping.Past{Written: tt.written, Groups: groupsNamed(tt.groups), Restore: tt.restore}
			d, err := tt.policy.DesireOf(tt.user, tt.cur, past)
			if diff := cmp.Diff(tt.want, whereOf(d), equateEmpty); err != nil || diff != "" {
				t.Fatalf("error %v (-want +got):\n%s", err, diff)
			}
			if said := tt.user.Active == nil || *tt.user.Active; d.Active != (said && !tt.want.Withheld) {
				t.Fatalf("active is %v", d.Active)
			}
		})
	}
}

// equateEmpty leaves open whether no organization is nil.
var equateEmpty = cmp.FilterValues(func(a, b []int64) bool { return len(a) == 0 && len(b) == 0 }, cmp.Ignore())

// A person whom nothing lets in is not made, and says so.
func TestWithheldFromTheStart(t *testing.T) {
	p := ruled(toGroup("A", manager))
	p.RequireGroup = true
	d, err := p.Desire(buyer(), mapping.Profile{})
	if err != nil || d.Active || !d.Withheld {
		t.Fatalf("error %v, got %+v", err, d)
	}
	if plan := p.Plan(mapping.Account{}, d, mapping.Situation{}); len(plan.Steps) > 0 {
		t.Fatalf("plans %+v", plan.Steps)
	}
	off := buyer()
	off.Active = new(false)
	if d, err = p.Desire(off, mapping.Profile{}); err != nil || d.Active || d.Withheld {
		t.Fatalf("error %v, got %+v: nothing is withheld from whom the client keeps out", err, d)
	}
}

// The policy is shared by all requests: what one of them makes of it must not
// reach the next.
func TestPolicyIsNotChanged(t *testing.T) {
	p := ruled(toGroup("A", manager, 114, 115))
	backing := []int64{113, 97, 98, 99}
	p.Organizations, p.DefaultOrganizations = []int64{113, 114, 115}, backing[:1]
	past := mapping.Past{Groups: groupsNamed([]string{"A"}), Written: mapping.Written{KeptOut: []int64{114}, Granted: []int64{115}}}
	for _, cur := range []mapping.Account{{}, invited("revoked", 113), account(member(115, 5, "active")), account(member(113, 5, "active"))} {
		d, err := p.DesireOf(buyer(), cur, past)
		if err != nil {
			t.Fatal(err)
		}
		for _, orgs := range [][]int64{d.Organizations, d.Granted, d.KeptOut} {
			for i := range orgs {
				orgs[i] = -1
			}
		}
		p.View(mapping.Known{Managed: true, Desired: buyer(), Written: past.Written, Groups: past.Groups}, cur)
	}
	if diff := cmp.Diff([]int64{113, 97, 98, 99}, backing); diff != "" {
		t.Errorf("default organizations (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int64{114, 115}, p.Rules[0].Organizations); diff != "" {
		t.Errorf("a rule's organizations (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int64{114}, past.Written.KeptOut); diff != "" {
		t.Errorf("what was written (-want +got):\n%s", diff)
	}
}
