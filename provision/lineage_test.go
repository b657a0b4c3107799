package provision

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/upstream"
)

func TestDerivedIDs(t *testing.T) {
	at := func(second int) time.Time { return time.Unix(int64(second), 0) }
	account := func(state string, made int) mapping.Account {
		return mapping.Account{UserID: 7, State: state, CreatedAt: at(made), Invite: &mapping.Invite{ID: "b"}}
	}
	invite := func(id string, userID int64, made int) *upstream.Invite {
		return &upstream.Invite{ID: id, UserID: userID, CreatedAt: at(made)}
	}
	user := func(id int64) string { return derivedID("acme", id, "") }
	invited := func(id string) string { return derivedID("acme", 0, id) }
	for _, tt := range []struct {
		name string
		acc  mapping.Account
		past []*upstream.Invite
		want []string
	}{
		{"nothing upstream", mapping.Account{}, nil, nil},
		{"account alone", mapping.Account{UserID: 7}, nil, []string{user(7)}},
		{"invite that nobody could read", account("active", 1), nil, []string{user(7), invited("b")}},
		{"pending", mapping.Account{Invite: &mapping.Invite{ID: "b"}}, nil, []string{invited("b")}},
		{"account made with its invite", account("active", 1), []*upstream.Invite{invite("b", 7, 1)}, []string{user(7), invited("b")}},
		{"account made by accepting", account("active", 2), []*upstream.Invite{invite("b", 7, 1)}, []string{invited("b"), user(7)}},
		{"account older than its invite", account("active", 1), []*upstream.Invite{invite("b", 7, 2)}, []string{user(7), invited("b")}},
		{"account that never accepted", account("new", 2), []*upstream.Invite{invite("b", 7, 1)}, []string{user(7), invited("b")}},
		{
			"renamed before accepting", account("active", 3), []*upstream.Invite{invite("a", 0, 1), invite("b", 7, 2)},
			[]string{invited("a"), user(7), invited("b")},
		},
		{
			"renamed while new", account("active", 2), []*upstream.Invite{invite("a", 6, 1), invite("b", 7, 2)},
			[]string{user(6), user(7), invited("a"), invited("b")},
		},
		{
			"renamed and pending", mapping.Account{Invite: &mapping.Invite{ID: "b"}},
			[]*upstream.Invite{invite("a", 0, 1), invite("b", 0, 1)}, []string{invited("a"), invited("b")},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, derivedIDs("acme", tt.acc, tt.past)); diff != "" {
				t.Errorf("ids (-want +got):\n%s", diff)
			}
		})
	}
}

// What ended under an externalId leads to one living person at most, and to
// none who was invited before.
func TestLineage(t *testing.T) {
	l := newLineage()
	pol := &mapping.Policy{Domains: []string{"example.com"}}
	for _, i := range []upstream.Invite{
		{ID: "a", State: "revoked", OtherID: "x", Email: "a@example.com", CreatedAt: time.Unix(1, 0)},
		{ID: "b", State: "accepted", OtherID: "x", Email: "b@example.com", CreatedAt: time.Unix(2, 0), UserID: 1},
		{ID: "c", State: "pending", OtherID: "x", Email: "c@example.com", CreatedAt: time.Unix(3, 0)},
		{ID: "d", State: "revoked", OtherID: "x", Email: "d@example.com", CreatedAt: time.Unix(4, 0)},
		{ID: "e", State: "revoked", OtherID: "y", Email: "e@elsewhere.example", CreatedAt: time.Unix(5, 0)},
		{ID: "f", State: "revoked", OtherID: "y", Email: "f@example.com", CreatedAt: time.Unix(7, 0)},
		{ID: "g", State: "expired", OtherID: "y", Email: "g@example.com", CreatedAt: time.Unix(6, 0)},
		{ID: "h", State: "revoked", OtherID: "z", Email: "h@example.com", CreatedAt: time.Unix(8, 0), UserID: 2},
		{ID: "i", State: "revoked", Email: "i@example.com", CreatedAt: time.Unix(9, 0)},
		{ID: "j", State: "revoked", OtherID: "w", Email: "j@example.com", CreatedAt: time.Unix(10, 0)},
	} {
		l.add(&i, pol)
	}
	alive := map[int64]string{1: "x", 3: "w"}
	one := mapping.Account{UserID: 1, OtherID: "x", Invite: &mapping.Invite{ID: "b"}}
	two := mapping.Account{OtherID: "x", Invite: &mapping.Invite{ID: "c"}}
	for _, tt := range []struct {
		acc  mapping.Account
		want []string
	}{
		{one, []string{"a", "b"}},
		{two, []string{"c"}},
		{mapping.Account{UserID: 3, OtherID: "w"}, nil},
	} {
		if diff := cmp.Diff(tt.want, inviteIDs(l.of(tt.acc, alive))); diff != "" {
			t.Errorf("invites of account %d (-want +got):\n%s", tt.acc.UserID, diff)
		}
	}
	var ended [][]string
	for _, past := range l.ended(alive) {
		ended = append(ended, inviteIDs(past))
	}
	if diff := cmp.Diff([][]string{{"g", "f"}}, ended); diff != "" {
		t.Errorf("people of whom only invites are left (-want +got):\n%s", diff)
	}
}
