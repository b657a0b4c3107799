package sandbox

import "fmt"

// seeds is what the service starts with: an owner per organization and the extra accounts that were asked for.
func (s *Sandbox) seeds() *state {
	st := newState(s.catalogue)
	now := s.now()
	add := func(a accountFields, memberships ...membership) {
		a.ID = st.nextAccountID
		a.State, a.Accepted = StateActive, true
		a.IdentityProvider = 1
		a.CreatedAt, a.UpdatedAt = now, now
		a.DefaultOrganization = memberships[0].OrganizationID
		st.putAccount(a.ID, &account{accountFields: a, Memberships: memberships}, now)
	}
	for _, o := range s.catalogue.organizations {
		add(accountFields{
			Email: fmt.Sprintf("owner%d@sharearefund.example", o.ID), FirstName: "Owner", LastName: o.Name, CountryID: "CA",
		}, membership{o.ID, 1, StateActive, true})
	}
	freight, retail := membership{113, 5, StateActive, true}, membership{114, 5, StateActive, true}
	spread := [][]membership{{freight}, {retail}, {freight, retail}}
	for i := range s.opts.Users {
		n := fmt.Sprintf("%05d", i+1)
		add(accountFields{
			Email: "person" + n + "@example.com", FirstName: "Person", LastName: n, CountryID: "CA",
		}, spread[i%len(spread)]...)
	}
	st.accountPast = past[*account]{} // the seeds were always there
	return st
}
