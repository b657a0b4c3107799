package invariants

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sharearefund/scim-bridge/store"
)

// mails counts the invite mails to an address.
func (r *rig) mails(to string) int {
	n := 0
	for _, m := range r.sandbox.Outbox() {
		if m.Kind == "invite" && strings.EqualFold(m.To, to) {
			n++
		}
	}
	return n
}

// access lists the organizations in which upstream gives, or offers, the
// address access.
func (r *rig) access(email string) string {
	orgs := []int64{}
	st := r.sandbox.State()
	for _, a := range st.Accounts {
		if strings.EqualFold(a.Email, email) {
			for _, m := range a.Memberships {
				if m.State != "suspended" {
					orgs = append(orgs, m.OrganizationID)
				}
			}
		}
	}
	for _, i := range st.Invites {
		if strings.EqualFold(i.Email, email) && i.State == "pending" {
			orgs = append(orgs, i.OrganizationIDs...)
		}
	}
	slices.Sort(orgs)
	return fmt.Sprint(slices.Compact(orgs))
}

// Everybody of acme has access to these organizations.
const (
	full = "[113 114]"
	none = "[]"
)

// people counts the living records of an address: accounts, and pending
// invites that no account came from.
func (r *rig) people(email string) int {
	n := 0
	st := r.sandbox.State()
	for _, a := range st.Accounts {
		if strings.EqualFold(a.Email, email) {
			n++
		}
	}
	for _, i := range st.Invites {
		if strings.EqualFold(i.Email, email) && i.State == "pending" && i.UserID == nil {
			n++
		}
	}
	return n
}

// profile is what upstream holds of the address: of its account, or else of
// its pending invite.
func (r *rig) profile(email string) string {
	st := r.sandbox.State()
	if a := st.Account(email); a != nil {
		return strings.Join([]string{a.Email, a.FirstName, a.LastName, a.CountryID}, "|")
	}
	for _, i := range st.InvitesOf(email) {
		if i.State == "pending" {
			return strings.Join([]string{i.Email, i.FirstName, i.LastName, i.CountryID}, "|")
		}
	}
	return ""
}

// expect fails the test where upstream holds something else for the address.
func (r *rig) expect(email, access string, mails int) {
	r.t.Helper()
	if got := r.access(email); got != access {
		r.t.Errorf("%s: access to %s upstream, want %s", email, got, access)
	}
	if got := r.mails(email); got != mails {
		r.t.Errorf("%s: %d invite mails, want %d%s", email, got, mails, r.history(email))
	}
}

// history is what happened upstream to an address, for messages.
func (r *rig) history(email string) string {
	var b strings.Builder
	for _, e := range r.sandbox.Ledger() {
		if strings.EqualFold(e.Email, email) {
			fmt.Fprintf(&b, "\n\t%d %s %s %v", e.Seq, e.At.Format("15:04:05.000"), e.Operation, e.OrganizationIDs)
		}
	}
	return b.String()
}

// events are all of them, oldest first.
func (r *rig) events() []*store.Event {
	r.t.Helper()
	var all []*store.Event
	for after := int64(0); ; {
		page, err := r.store.Events(r.t.Context(), store.EventQuery{After: after, Limit: 1000})
		check(r.t, err)
		all = append(all, page...)
		if len(page) < 1000 {
			return all
		}
		after = page[len(page)-1].Seq
	}
}

// verify checks at the end of every test what must hold in all of them.
func (r *rig) verify() {
	r.verifyPeople()
	r.verifyCredentials()
	r.verifyLogs()
}

// verifyPeople: I2, nobody is there twice.
func (r *rig) verifyPeople() {
	seen := map[string]bool{}
	st := r.sandbox.State()
	for _, i := range st.Invites {
		if i.State == "pending" {
			seen[strings.ToLower(i.Email)] = true
		}
	}
	for email := range seen {
		if n := r.people(email); n > 1 {
			r.t.Errorf("%s is upstream %d times (I2)%s", email, n, r.history(email))
		}
	}
}

// verifyCredentials: I5, no credential touched an organization of another.
func (r *rig) verifyCredentials() {
	own := map[string][]int64{"acme": {113, 114}, "globex": {200}}
	for _, e := range r.sandbox.Ledger() {
		for _, org := range e.OrganizationIDs {
			if orgs := own[e.Credential]; orgs != nil && !slices.Contains(orgs, org) {
				r.t.Errorf("credential %s touched organization %d with %s (I5)", e.Credential, org, e.Operation)
			}
		}
	}
}

// verifyLogs: I14, no secret is logged; I15, nothing panicked and no data race
// was found.
func (r *rig) verifyLogs() {
	for _, p := range r.processes {
		logs := p.allLogs()
		for tenant, token := range r.tokens {
			for _, secret := range []string{token, secretOf(tenant)} {
				if strings.Contains(logs, secret) {
					r.t.Errorf("%s logged the secret %q (I14)", p.name, secret)
				}
			}
		}
		for _, bad := range []string{"panic", "WARNING: DATA RACE", "fatal error"} {
			if at := strings.Index(logs, bad); at >= 0 {
				r.t.Errorf("%s logged %q (I15):\n%.3000s", p.name, bad, logs[max(0, at-200):])
			}
		}
	}
}

// lastActive is what the last acknowledged change of a person made of active.
func (r *rig) lastActive(id string) bool {
	r.t.Helper()
	for _, e := range slices.Backward(r.events()) {
		var d struct{ Active *bool }
		if e.ResourceID != id || e.Outcome != store.OutcomeOK || len(e.Data) == 0 {
			continue
		}
		check(r.t, json.Unmarshal(e.Data, &d))
		if d.Active != nil {
			return *d.Active
		}
	}
	r.t.Fatalf("no event says whether %s is active", id)
	return false
}
