package mapping

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sharearefund/scim-bridge/scim"
)

// Adoption says whether an account that was there before us may be taken over
// by a provisioning client's first write.
type Adoption string

const (
	// AdoptNever leaves it to `scim-bridge person adopt`.
	AdoptNever Adoption = "never"
	// AdoptVerifiedDomain allows it for addresses in the tenant's verified
	// domains.
	AdoptVerifiedDomain Adoption = "verified_domain"
)

// Role is a role as upstream lists it.
type Role struct {
	ID     int64
	Name   string
	Weight int
}

// Policy is what a tenant decided, with names resolved to upstream's ids. It
// is never changed after it was made and is safe for concurrent use.
type Policy struct {
	// Organizations are those that the tenant manages; the first is the
	// default one. Never empty.
	Organizations []int64
	// Domains are the tenant's verified e-mail domains, folded.
	Domains []string
	// DefaultOrganizations are those that a person joins unless the client or
	// a rule says otherwise. nil: all.
	DefaultOrganizations []int64
	// DefaultRole is given to whoever no rule gives another.
	DefaultRole Role
	// Rules give roles, in order.
	Rules []Rule
	// RolesAttribute lets the attribute roles of a User name roles to give.
	RolesAttribute bool
	// Ceiling is the role of the greatest weight that a provisioning client may
	// grant.
	Ceiling Role
	// RequireGroup keeps out whoever is in no group that a rule matches.
	RequireGroup bool
	// Protected accounts are never touched.
	Protected Protection
	// Roles are all of upstream's.
	Roles []Role
	// IdentityProviderID is named by invites; 0 names none.
	IdentityProviderID int64
	// IdentityProviders are those that upstream has enabled; nil: not known,
	// and any may be named.
	IdentityProviders []int64
	// CreateAccounts makes accounts at once (create_user) where the default
	// sends invites.
	CreateAccounts bool
	// SendMail lets upstream mail the invite.
	SendMail bool
	Adopt    Adoption
	// ResetPasswords passes a client's password on for accounts that we
	// created and that no other organization holds.
	ResetPasswords bool
}

func (p *Policy) role(id int64) (Role, bool) {
	i := slices.IndexFunc(p.Roles, func(r Role) bool { return r.ID == id })
	if i < 0 {
		return Role{}, false
	}
	return p.Roles[i], true
}

// weight of a role that upstream does not list is the greatest: nobody is
// given or left with what we cannot judge.
func (p *Policy) weight(id int64) int {
	if r, ok := p.role(id); ok {
		return r.Weight
	}
	return int(^uint(0) >> 1)
}

// Lower is the role of the lower weight; 0 is none.
func (p *Policy) Lower(a, b int64) int64 {
	if a == 0 || b != 0 && p.weight(b) < p.weight(a) {
		return b
	}
	return a
}

// Heavier is that of two roles, by id, which has the greater weight.
func (p *Policy) Heavier(a, b int64) int64 {
	if p.weight(a) < p.weight(b) {
		return b
	}
	return a
}

// Owns reports whether an address is in one of the verified domains.
func (p *Policy) Owns(email string) bool {
	_, domain, ok := strings.Cut(scim.Fold(email), "@")
	return ok && slices.Contains(p.Domains, domain)
}

// MayAdopt reports whether a client's first write may adopt the account, and
// if not, why, in words for an administrator.
func (p *Policy) MayAdopt(a Account) (bool, string) {
	switch {
	case p.Adopt != AdoptVerifiedDomain:
		return false, "this tenant's policy leaves accounts that exist already to an operator"
	case len(a.HeldIn(p.Organizations)) == 0:
		return false, fmt.Sprintf("it belongs to none of this tenant's organizations (%s)", joinIDs(p.Organizations))
	case !p.Owns(a.Email):
		return false, fmt.Sprintf("its address %q is not in a verified domain of this tenant (%s)", a.Email, strings.Join(p.Domains, ", "))
	}
	return true, ""
}
