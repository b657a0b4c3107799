package mapping_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/mapping"
)

func gave(org, role int64) mapping.WrittenRole {
	return mapping.WrittenRole{OrganizationID: org, RoleID: role}
}

func TestKeep(t *testing.T) {
	rules := []mapping.Rule{toGroup("A", manager)}
	ours, elsewhere := mapping.Written{Roles: []mapping.WrittenRole{gave(113, 4)}}, mapping.Written{Roles: []mapping.WrittenRole{gave(114, 4)}}
	for _, tt := range []struct {
		name    string
		rules   []mapping.Rule
		ceiling mapping.Role
		cur     mapping.Account
		written mapping.Written
		groups  []string
		want    bool
	}{
		{name: "nobody yet", cur: mapping.Account{}},
		{name: "held before us, and nothing is said", cur: account(member(113, 2, "active")), want: true},
		{name: "as is a lesser one", cur: account(member(113, 5, "active")), want: true},
		{name: "written elsewhere", cur: account(member(113, 2, "active")), written: elsewhere, want: true},
		{name: "written by us", cur: account(member(113, 2, "active")), written: ours},
		{name: "said by a group", cur: account(member(113, 2, "active")), groups: []string{"A"}},
		{name: "said by a group, below the ceiling", ceiling: admin, cur: account(member(113, 2, "active")), groups: []string{"A"}},
		{name: "said by a group, above the ceiling", ceiling: manager, cur: account(member(113, 2, "active")), groups: []string{"A"}, want: true},
		{name: "above the ceiling, written by us", ceiling: manager, cur: account(member(113, 2, "active")), written: ours, groups: []string{"A"}},
		{name: "a role that nobody lists is above every ceiling", ceiling: owner, cur: account(member(113, 99, "active")), groups: []string{"A"}, want: true},
		{name: "suspended", cur: account(member(113, 2, "suspended"))},
		{name: "offered, with an account", cur: account(member(113, 2, "invited"))},
		{name: "offered, above the ceiling", ceiling: manager, cur: account(member(113, 2, "invited"))},
		{name: "offered, without an account", cur: carrying(admin, invited("pending", 113))},
		{name: "held by others", cur: account(member(200, 2, "active"))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := ruled(rules...)
			p.Organizations, p.Ceiling = []int64{113}, tt.ceiling
			d, err := p.DesireOf(buyer(), tt.cur, mapping.Past{Written: tt.written, Groups: groupsNamed(tt.groups)})
			if err != nil || len(d.Roles) != 1 || d.Roles[0].Keep != tt.want {
				t.Fatalf("error %v, got %+v, want kept %v", err, d.Roles, tt.want)
			}
		})
	}
}

func TestGave(t *testing.T) {
	profile := mapping.Profile{Email: "jay@example.com"}
	was := mapping.Written{Profile: profile, Roles: []mapping.WrittenRole{gave(113, 4)}, Granted: []int64{114}, KeptOut: []int64{115}, Resent: 2}
	with := func(granted, keptOut []int64, roles ...mapping.WrittenRole) mapping.Written {
		return mapping.Written{Profile: profile, Roles: roles, Granted: granted, KeptOut: keptOut, Resent: 2}
	}
	for _, tt := range []struct {
		name    string
		written mapping.Written
		want    mapping.Desire
		cur     mapping.Account
		after   mapping.Written
	}{
		{name: "inactive changes nothing", written: was, want: due(inactive), cur: account(member(113, 5, "suspended")), after: was},
		{name: "inactive is not kept out", written: mapping.Written{Withheld: true}, want: due(inactive), cur: account(member(113, 5, "suspended"))},
		{name: "kept out", written: was,
			want: due(func(d *mapping.Desire) { inactive(d); d.Withheld, d.KeptOut = true, []int64{113} }), cur: account(member(113, 4, "suspended")),
			after: func() mapping.Written {
				w := with([]int64{114}, []int64{113}, gave(113, 4))
				w.Withheld = true
				return w
			}()},
		{name: "let in", written: mapping.Written{Withheld: true, KeptOut: []int64{113}}, want: due(dueRoles(dueIn(113, viewer))), cur: account(member(113, 5, "active")),
			after: mapping.Written{Roles: []mapping.WrittenRole{gave(113, 5)}}},
		{name: "what is as due", want: due(dueRoles(dueIn(113, manager), dueIn(114, viewer))), cur: account(member(113, 3, "active"), member(114, 5, "invited")),
			after: mapping.Written{Roles: []mapping.WrittenRole{gave(113, 3), gave(114, 5)}}},
		{name: "in place of what was given before", written: was, want: due(dueRoles(dueIn(113, manager))), cur: account(member(113, 3, "active")), after: with(nil, nil, gave(113, 3))},
		{name: "what is not as due stays as it was", written: was, want: due(dueRoles(dueIn(113, manager))), cur: account(member(113, 5, "active")), after: with(nil, nil, gave(113, 4))},
		{name: "what was not given and is not as due", want: due(dueRoles(dueIn(113, manager))), cur: account(member(113, 5, "active"))},
		{name: "what is kept was not given, though it be as due", want: due(dueRoles(kept(113, viewer))), cur: account(member(113, 5, "active"))},
		{name: "without rules", written: was, want: due(in(113)), cur: account(member(113, 3, "active")), after: with(nil, nil, gave(113, 4))},
		{name: "left", written: was, want: due(dueRoles(dueIn(114, viewer))), cur: account(member(114, 5, "active")), after: with(nil, nil, gave(114, 5))},
		{name: "suspended is not left", written: was, want: due(func(d *mapping.Desire) { dueRoles(dueIn(114, viewer))(d); d.Untouched = []int64{113} }),
			cur: account(member(113, 4, "suspended"), member(114, 5, "active")), after: with(nil, nil, gave(113, 4), gave(114, 5))},
		{name: "what rules add and what no group gives", written: was,
			want: due(func(d *mapping.Desire) {
				dueRoles(dueIn(113, viewer))(d)
				d.Granted, d.KeptOut = []int64{113}, []int64{114}
			}),
			cur: account(member(113, 5, "active")), after: with([]int64{113}, []int64{114}, gave(113, 5))},
		{name: "an invite will give the lowest", want: due(dueRoles(dueIn(113, manager), dueIn(114, analyst))), cur: carrying(analyst, invited("pending", 113, 114)),
			after: mapping.Written{Roles: []mapping.WrittenRole{gave(113, 4), gave(114, 4)}}},
		{name: "an expired one too", want: due(dueRoles(dueIn(113, manager))), cur: carrying(manager, invited("expired", 113)), after: mapping.Written{Roles: []mapping.WrittenRole{gave(113, 3)}}},
		{name: "a withdrawn one does not", written: was, want: due(dueRoles(dueIn(113, manager))), cur: carrying(manager, invited("revoked", 113)), after: with(nil, nil)},
		{name: "what an invite will give stays given without rules", written: was, want: due(in(113)), cur: invited("pending", 113), after: with(nil, nil, gave(113, 4))},
		{name: "an invite without rules", want: due(in(113)), cur: invited("pending", 113)},
		{name: "what others hold", want: due(dueRoles(dueIn(113, manager))), cur: account(member(200, 3, "active"))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			before := clone(t, tt.written)
			got := tt.written.Gave(tt.want, tt.cur)
			got.Organizations = nil // TestGaveOrganizations
			if diff := cmp.Diff(tt.after, got); diff != "" {
				t.Fatalf("-want +got:\n%s", diff)
			}
			if diff := cmp.Diff(before, tt.written); diff != "" {
				t.Fatalf("what was written before was changed:\n%s", diff)
			}
		})
	}
}

func TestGaveOrganizations(t *testing.T) {
	was := mapping.Written{Organizations: []int64{114}}
	for _, tt := range []struct {
		name string
		want mapping.Desire
		cur  mapping.Account
		orgs []int64
	}{
		{name: "what is held and offered", want: due(in(113, 114)), cur: account(member(113, 3, "active"), member(114, 3, "invited")), orgs: []int64{113, 114}},
		{name: "not what is suspended", want: due(in(113, 114)), cur: account(member(113, 3, "active"), member(114, 3, "suspended")), orgs: []int64{113}},
		{name: "not what others hold", want: due(in(113, 114)), cur: account(member(113, 3, "active"), member(200, 3, "active")), orgs: []int64{113}},
		{name: "not what a rule adds", want: due(func(d *mapping.Desire) { d.Granted = []int64{114} }), cur: account(member(113, 3, "active"), member(114, 3, "active")), orgs: []int64{113}},
		{name: "inactive: as it was", want: due(func(d *mapping.Desire) { d.Active = false }), cur: account(member(113, 3, "suspended")), orgs: []int64{114}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.orgs, was.Gave(tt.want, tt.cur).Organizations); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// clone copies w through the form that it is stored in.
func clone(t *testing.T, w mapping.Written) mapping.Written {
	t.Helper()
	stored, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	var c mapping.Written
	if err := json.Unmarshal(stored, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// Persons that were stored before roles were given are read as such.
func TestWrittenStored(t *testing.T) {
	full := mapping.Written{
		Profile: mapping.Profile{Email: "jay@example.com", FirstName: "Jay", LastName: "Jackson", CountryID: "CA"},
		Roles:   []mapping.WrittenRole{gave(113, 4)}, Granted: []int64{114}, KeptOut: []int64{115}, Withheld: true, Resent: 1,
	}
	if diff := cmp.Diff(full, clone(t, full)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	profile, err := json.Marshal(full.Profile)
	if err != nil {
		t.Fatal(err)
	}
	var old mapping.Written
	if err := json.Unmarshal(profile, &old); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(mapping.Written{Profile: full.Profile}, old); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// What an invite gave is governed once it is accepted, though nobody looked
// while it was pending.
func TestGivenByInviteIsGoverned(t *testing.T) {
	p := ruled(toGroup("A", manager))
	p.Organizations = []int64{113}
	pending := carrying(manager, invited("pending", 113))
	want, err := p.DesireOf(buyer(), pending, mapping.Past{Groups: groupsNamed([]string{"A"})})
	if err != nil {
		t.Fatal(err)
	}
	written := mapping.Written{}.Gave(want, pending)
	accepted := carrying(manager, withInvite(account(member(113, 3, "active")), "accepted", 113))
	if want, err = p.DesireOf(buyer(), accepted, mapping.Past{Written: written}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]mapping.Step{grant(113, viewer)}, p.Plan(accepted, want, mapping.Situation{}).Steps); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
}
