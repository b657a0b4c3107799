package sandbox

import (
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// walk reads every page and returns the ids in order.
func (w *world) walk(token, path string, query url.Values, size int) (ids []string, total int) {
	w.t.Helper()
	for page := 1; ; page++ {
		query.Set("page", fmt.Sprint(page))
		query.Set("page_size", fmt.Sprint(size))
		var body struct {
			Users                 []platformUser
			Invites               []Invite
			Page, PageSize, Total int
		}
		w.do(token, "GET", path+"?"+query.Encode(), "").is(200, "").into(&body)
		if body.Page != page || body.PageSize != size {
			w.t.Fatalf("page %d of %d: answered page %d of %d", page, size, body.Page, body.PageSize)
		}
		for _, u := range body.Users {
			ids = append(ids, itoa(u.ID))
		}
		for _, i := range body.Invites {
			ids = append(ids, i.ID)
		}
		if n := len(body.Users) + len(body.Invites); n == 0 {
			return ids, body.Total
		}
	}
}

func TestPagesHoldEveryAccountOnce(t *testing.T) {
	w := newWorld(t, Options{Users: 60})
	for i := range 12 {
		w.invite(acme, fmt.Sprintf("new%d@example.com", i), 113+int64(i%2))
	}
	for id := int64(1010); id < 1020; id++ {
		w.do(acme, "POST", "/users/"+itoa(id)+"/deactivate", `{"organization_ids":[113,114]}`).is(200, "")
	}
	state := w.State()
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.IntRange(1, 200).Draw(rt, "size")
		organizations := rapid.SliceOfDistinct(rapid.SampledFrom([]int64{113, 114}), rapid.ID[int64]).Draw(rt, "organizations")
		accountState := rapid.SampledFrom([]string{"", "new", "active", "blocked", "locked"}).Draw(rt, "state")
		query := url.Values{}
		for _, id := range organizations {
			query.Add("organization_id", itoa(id))
		}
		if accountState != "" {
			query.Set("account_state", accountState)
		}
		if len(organizations) == 0 {
			organizations = []int64{113, 114}
		}
		var want []string
		for _, a := range state.Accounts {
			in := slices.ContainsFunc(a.Memberships, func(m Membership) bool { return slices.Contains(organizations, m.OrganizationID) })
			if in && (accountState == "" || a.AccountState == accountState) {
				want = append(want, itoa(a.ID))
			}
		}
		got, total := w.walk(acme, "/platform/users", query, size)
		if !slices.Equal(got, want) || total != len(want) {
			rt.Fatalf("got %v (total %d), want %v", got, total, want)
		}
	})
}

// TestListsFollowChanges compares the maintained order with one built afresh.
func TestListsFollowChanges(t *testing.T) {
	w := newWorld(t, Options{})
	w.walk(acme, "/platform/users", url.Values{}, 100)
	a, b := w.join(acme, "a@example.com", 113), w.invite(acme, "b@example.com", 114)
	gone := w.invite(acme, "c@example.com", 113)
	w.do(acme, "DELETE", invitePath(gone.InviteID), "").is(200, "")
	users, _ := w.walk(acme, "/platform/users", url.Values{}, 2)
	equal(t, "users", users, []string{"1001", "1002", itoa(a.ID), itoa(b.UserID)})
	w.walk(globex, "/platform/users", url.Values{}, 100)
	w.invite(globex, "a@example.com", 200)
	users, _ = w.walk(globex, "/platform/users", url.Values{}, 1)
	equal(t, "globex", users, []string{"1003", itoa(a.ID)})
	w.do(acme, "GET", "/platform/users?organization_id=200", "").is(403, "forbidden")
}

func TestListInvites(t *testing.T) {
	w := newWorld(t, Options{})
	one, two := w.invite(acme, "a@example.com", 113), w.invite(acme, "b@example.com", 113, 114)
	w.invite(globex, "a@example.com", 200)
	w.do(acme, "DELETE", invitePath(one.InviteID), "").is(200, "")
	three := w.invite(acme, "A@example.com", 114)
	for _, tc := range []struct {
		query string
		want  []string
	}{
		{"", []string{one.InviteID, two.InviteID, three.InviteID}},
		{"state=pending", []string{two.InviteID, three.InviteID}},
		{"state=revoked", []string{one.InviteID}},
		{"state=accepted", nil},
		{"state=&email=", []string{one.InviteID, two.InviteID, three.InviteID}},
		{"email=a@EXAMPLE.com", []string{one.InviteID, three.InviteID}},
		{"email=a@example.com&state=pending", []string{three.InviteID}},
		{"email=a@example.com&organization_id=113", []string{one.InviteID}},
		{"organization_id=114", []string{two.InviteID, three.InviteID}},
		{"organization_id=113&organization_id=114", []string{one.InviteID, two.InviteID, three.InviteID}},
	} {
		t.Run(tc.query, func(t *testing.T) {
			w.t = t
			query, err := url.ParseQuery(tc.query)
			if err != nil {
				t.Fatal(err)
			}
			got, total := w.walk(acme, "/platform/invites", query, 2)
			equal(t, "ids", got, tc.want)
			equal(t, "total", total, len(tc.want))
		})
	}
	w.t = t
	w.do(acme, "GET", "/platform/invites?organization_id=200", "").is(403, "forbidden")
}

func TestListsOfOrganizations(t *testing.T) {
	w := newWorld(t, Options{})
	var body struct{ Organizations []Organization }
	w.do(globex, "GET", "/platform/organizations", "").is(200, "").into(&body)
	equal(t, "organizations", body.Organizations, []Organization{{200, "Globex Parcel"}})
}

func TestStaleReads(t *testing.T) {
	w := newWorld(t, Options{})
	old := w.join(acme, "old@example.com", 113)
	w.clock.advance(time.Minute)
	r := w.invite(acme, "new@example.com", 113)
	w.do(acme, "PUT", userPath(old), `{"first_name":"Changed","email":"changed@example.com"}`).is(200, "")
	if err := w.SetFaults([]Rule{{Operation: "*", StaleMS: 5000}}); err != nil {
		t.Fatal(err)
	}
	look := func() []any {
		var users struct{ Total int }
		var invites struct{ Total int }
		w.do(acme, "GET", "/platform/users", "").is(200, "").into(&users)
		w.do(acme, "GET", "/platform/invites", "").is(200, "").into(&invites)
		return []any{
			w.do(acme, "GET", "/users/"+itoa(r.UserID), "").status,
			w.do(acme, "GET", "/users/email/new@example.com", "").status,
			w.do(acme, "GET", invitePath(r.InviteID), "").status,
			w.do(acme, "GET", "/users/email/old@example.com", "").status,
			w.do(acme, "GET", "/users/email/changed@example.com", "").status,
			w.do(acme, "GET", userPath(old), "").account().FirstName,
			users.Total, invites.Total,
		}
	}
	equal(t, "at once", look(), []any{404, 404, 404, 200, 404, "", 3, 1})
	equal(t, "writes are not stale", w.invite(acme, "new@example.com", 113).Status, "already_invited")
	w.clock.advance(4999 * time.Millisecond)
	equal(t, "shortly before", look(), []any{404, 404, 404, 200, 404, "", 3, 1})
	w.clock.advance(time.Millisecond)
	equal(t, "in time", look(), []any{200, 200, 200, 404, 200, "Changed", 4, 2})
	w.do(acme, "DELETE", invitePath(r.InviteID), "").is(200, "")
	equal(t, "what is gone still shows", w.do(acme, "GET", "/users/"+itoa(r.UserID), "").status, 200)
	equal(t, "pending still", w.do(acme, "GET", invitePath(r.InviteID), "").invite().State, "pending")
}
