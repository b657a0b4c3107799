package mapping

import (
	"hash/fnv"
	"strconv"

	"github.com/sharearefund/scim-bridge/scim"
)

// version is the weak entity tag of u, the view of k: it changes with every
// change of ours, which k.Version counts, and with every change upstream that
// u shows, and with nothing else. Meta is left out, and so is until when an
// invite can be accepted: what makes the invite does not learn that, and a
// version must hold from the answer to a create on.
func version(k Known, u *scim.User) string {
	h := fnv.New64a()
	w := func(parts ...string) {
		h.Write([]byte(strconv.Itoa(len(parts)) + ";"))
		for _, s := range parts {
			h.Write([]byte(strconv.Itoa(len(s)) + ":" + s))
		}
	}
	w(k.ID, strconv.FormatInt(k.Version, 10), strconv.FormatBool(k.Managed), u.UserName)
	if u.Name != nil {
		w(u.Name.GivenName, u.Name.FamilyName)
	}
	for _, e := range u.Emails {
		w("email", e.Value)
	}
	for _, a := range u.Addresses {
		w("country", a.Country)
	}
	e := Extension(u)
	w(e.CountryCode, e.AccountState)
	if i := e.Invite; i != nil {
		w("invite", i.ID, i.State)
	}
	if r := e.EffectiveRole; r != nil {
		w("role", number(r.ID), r.Name, number(r.Weight))
	}
	for _, m := range e.Memberships {
		w("membership", number(m.OrganizationID), number(m.RoleID), m.RoleName, number(m.RoleWeight), m.State)
	}
	w(e.NotApplied...)
	return `W/"` + strconv.FormatUint(h.Sum64(), 36) + `"`
}

func number(n *int64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(*n, 10)
}
