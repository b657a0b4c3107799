package lint

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/provision"
	"github.com/sharearefund/scim-bridge/store"
)

// stateCases are what is stored, with all that is found of it.
var stateCases = []struct {
	name   string
	tenant []string
	state  func(r *rig)
	want   []string
}{
	{name: "nothing"},
	{name: "a token that was not used for 30 days", want: []string{"token-unused"}, state: func(r *rig) {
		r.credential(store.Credential{ID: "okta", Client: "okta", CreatedAt: start.Add(-2 * month), LastUsedAt: start.Add(-month)})
	}},
	{name: "a token that was used 29 days ago, and an old one that was revoked", state: func(r *rig) {
		r.credential(store.Credential{ID: "okta", Client: "okta", CreatedAt: start.Add(-2 * month), LastUsedAt: start.Add(-29 * day)})
		r.credential(store.Credential{ID: "rfc", Client: "rfc", CreatedAt: start.Add(-2 * month), LastUsedAt: start.Add(-40 * day), RevokedAt: start})
	}},
	{name: "a token that was never used", want: []string{"token-never-used"}, state: func(r *rig) {
		r.credential(store.Credential{ID: "new", Client: "okta", CreatedAt: start.Add(-week)})
	}},
	{name: "a token of yesterday", state: func(r *rig) {
		r.credential(store.Credential{ID: "new", Client: "okta", CreatedAt: start.Add(-day)})
	}},
	{name: "a token that expires", want: []string{"token-expires"}, state: func(r *rig) {
		r.credential(store.Credential{ID: "okta", Client: "okta", CreatedAt: start, LastUsedAt: start, ExpiresAt: start.Add(month)})
	}},
	{name: "a token that expires later", state: func(r *rig) {
		r.credential(store.Credential{ID: "okta", Client: "okta", CreatedAt: start, LastUsedAt: start, ExpiresAt: start.Add(month + time.Second)})
	}},
	{name: "the token in use expired", want: []string{"token-expired"}, state: func(r *rig) {
		for _, kind := range []string{"entra", "onelogin", "jumpcloud", "rfc", "auto"} {
			r.credential(store.Credential{ID: kind, Client: kind, CreatedAt: start.Add(-3 * day), RevokedAt: start})
		}
		r.credential(store.Credential{ID: "okta", Client: "okta", CreatedAt: start.Add(-month), LastUsedAt: start.Add(-2 * day), ExpiresAt: start.Add(-day)})
	}},
	{name: "a token expired after another took its place", state: func(r *rig) {
		r.credential(store.Credential{ID: "old", Client: "okta", CreatedAt: start.Add(-month), LastUsedAt: start.Add(-2 * day), ExpiresAt: start.Add(-day)})
	}},

	{name: "a directory that is old", want: []string{"directory-old"}, state: func(r *rig) {
		r.update(func(tx store.Tx) error {
			return tx.PutDirectory("acme", store.Directory{CompletedAt: start.Add(-10 * time.Minute)})
		})
	}},
	{name: "a directory that is fresh", state: func(r *rig) {
		r.update(func(tx store.Tx) error {
			return tx.PutDirectory("acme", store.Directory{CompletedAt: start.Add(-9 * time.Minute)})
		})
	}},
	{name: "a tenant that cannot be served", want: []string{"tenant-unusable"}, state: func(r *rig) {
		r.unfit = &provision.ConfigError{Tenant: "acme", Detail: "its secrets cannot be opened"}
	}},
	{name: "guards that hold", want: []string{"guard-holds"}, state: func(r *rig) {
		r.guards = []provision.GuardReport{{Guard: "deactivations", Held: 3}, {Guard: "invites"}}
	}},
	{name: "guards that were released", state: func(r *rig) {
		r.guards = []provision.GuardReport{{Guard: "deactivations", Held: 3, OpenUntil: r.now().Add(time.Hour)}}
	}},
	{name: "guards that do not", state: func(r *rig) { r.guards = []provision.GuardReport{{Guard: "deactivations", Used: 3}} }},

	{name: "rules that match nothing", tenant: []string{"rules: [{match: Managers, role: Manager}, {match: {glob: \"Ann*\"}, role: Analyst}]"},
		want: []string{"rule-matches-nothing"}, state: func(r *rig) { r.group("g", "managers") }},
	{name: "rules that match", tenant: []string{"rules: [{match: Managers, role: Manager}, {when: 'title == \"Buyer\"', role: Analyst}]"},
		state: func(r *rig) { r.group("g", "managers") }},
	{name: "rules before any group", tenant: []string{"rules: [{match: Managers, role: Manager}]"}},
	{name: "groups with members that no rule uses", want: []string{"groups-without-rules"}, state: func(r *rig) {
		r.person(store.Person{ID: "ada"})
		r.group("empty", "Empty")
		r.group("full", "Full", "ada")
	}},
	{name: "groups without members", state: func(r *rig) { r.group("empty", "Empty") }},

	{name: "mail that is not held back", tenant: []string{"send_mail: false"}, want: []string{"send-mail-without-provider"}},
	{name: "mail that is held back", tenant: []string{"send_mail: false", "identity_provider: okta"}},
	{name: "accounts that are created", tenant: []string{"send_mail: false", "provisioning: create"}},

	{name: "an invite that expired", want: []string{"invites-expired"}, state: func(r *rig) {
		r.person(store.Person{ID: "ada", Managed: true, Active: true, LastSeen: []byte(`{"invite":{"id":"i","state":"expired"}}`)})
	}},
	{name: "invites that are pending, accepted elsewhere, or nobody's business", state: func(r *rig) {
		r.person(store.Person{ID: "ada", Managed: true, Active: true, UserName: "expired", LastSeen: []byte(`{"first_name":"expired","invite":{"id":"i","state":"pending"}}`)})
		r.person(store.Person{ID: "bo", Managed: true, Active: true, LastSeen: []byte(`{"memberships":[{"organization_id":113,"state":"active"}],"invite":{"id":"i","state":"expired"}}`)})
		r.person(store.Person{ID: "cy", Managed: true, LastSeen: []byte(`{"invite":{"id":"i","state":"expired"}}`)})
		r.person(store.Person{ID: "di", Active: true, LastSeen: []byte(`{"invite":{"id":"i","state":"expired"}}`)})
	}},
}

func TestState(t *testing.T) {
	fires := map[string]bool{}
	for _, tt := range stateCases {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, tt.tenant...)
			if tt.state != nil {
				tt.state(r)
			}
			if diff := cmp.Diff(append([]string{}, tt.want...), r.codes()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
		for _, code := range tt.want {
			fires[code] = true
		}
	}
	for _, r := range stateRules {
		if !fires[r.Code] {
			t.Errorf("nothing makes %s fire", r.Code)
		}
	}
}

func TestStateSaysWhatItIsAbout(t *testing.T) {
	r := newRig(t, "rules: [{match: A, role: Manager}, {match: B, role: Manager}, {match: C, role: Manager}]")
	r.group("g", "b")
	f := r.the("rule-matches-nothing")
	if f.About() != "rules[0], rules[2]" || f.Subjects != 2 {
		t.Errorf("%+v: %s", f, f.About())
	}
	// Several kinds of client have tokens: none is told where to click.
	if f.Client != "" || f.Remedy != ruleIdle.Remedy {
		t.Errorf("for %q: %s", f.Client, f.Remedy)
	}
	for _, kind := range []string{"entra", "onelogin", "jumpcloud", "rfc", "auto"} {
		r.credential(store.Credential{ID: kind, Client: kind, RevokedAt: start})
	}
	if f := r.the("rule-matches-nothing"); f.Client != "okta" || f.Remedy != ruleIdle.Where["okta"] {
		t.Errorf("for %q: %s", f.Client, f.Remedy)
	}
}

func TestReportsOfNobody(t *testing.T) {
	if _, err := newRig(t).Reports(t.Context(), "globex"); err == nil {
		t.Fatal("reports of a tenant that does not exist")
	}
}
