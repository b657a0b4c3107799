package mapping

import "slices"

// Written is what we last put upstream for a person.
type Written struct {
	Profile
	// Roles are those given, by organization.
	Roles []WrittenRole `json:"roles,omitempty"`
	// Granted are the organizations that a rule added.
	Granted []int64 `json:"granted,omitempty"`
	// KeptOut are those that only the lack of a group kept the person out of.
	KeptOut []int64 `json:"kept_out,omitempty"`
	// Organizations are those that gave or offered access, except what a rule
	// added.
	Organizations []int64 `json:"organizations,omitempty"`
	// Withheld says that only the lack of a group kept the person out.
	Withheld bool `json:"withheld,omitzero"`
	// Resent counts how often an expired invite was sent again since the
	// person was last invited.
	Resent int `json:"resent,omitzero"`
}

// WrittenRole is a role given in an organization.
type WrittenRole struct {
	OrganizationID int64 `json:"organization_id"`
	RoleID         int64 `json:"role_id"`
}

// role is the one that was given in an organization; 0 for none.
func (w Written) role(org int64) int64 {
	for _, r := range w.Roles {
		if r.OrganizationID == org {
			return r.RoleID
		}
	}
	return 0
}

// Beyond is what of want w does not tell: the roles that are due and those of
// the organizations that only a rule adds.
func (w Written) Beyond(want Desire) (roles []WrittenRole, granted []int64) {
	for _, due := range want.Roles {
		if !due.Keep && w.role(due.OrganizationID) == 0 {
			roles = append(roles, WrittenRole{due.OrganizationID, due.Role.ID})
		}
	}
	return roles, without(want.Granted, w.Granted)
}

// With is w as if roles and organizations beyond it had been given.
func (w Written) With(roles []WrittenRole, granted []int64) Written {
	next := w
	next.Roles = slices.Clone(w.Roles)
	for _, r := range roles {
		if w.role(r.OrganizationID) == 0 {
			next.Roles = append(next.Roles, r)
		}
	}
	next.Granted = append(slices.Clone(w.Granted), without(granted, w.Granted)...)
	return next
}

// Gave is w after upstream came to hold cur, of which want was due: the roles
// that are as due now are those that we gave, and so is what an invite that
// has not become an account will give. The profile stays as it is.
func (w Written) Gave(want Desire, cur Account) Written {
	next := w
	if next.Withheld = want.Withheld; next.Withheld {
		next.KeptOut = slices.Clone(want.KeptOut)
	}
	if !want.Active {
		return next
	}
	next.Roles = nil
	for _, r := range w.Roles {
		if _, member := cur.membership(r.OrganizationID); member || cur.invitedTo(r.OrganizationID) {
			next.Roles = append(next.Roles, r)
		}
	}
	for _, org := range want.Organizations {
		due := want.due(org)
		if due.Keep {
			continue
		}
		role := due.Role.ID
		switch m, member := cur.membership(org); {
		case member && m.RoleID == role:
		case cur.UserID == 0 && cur.invitedTo(org):
			role = want.lowest(want.Organizations).ID
		default:
			continue
		}
		next.Roles = slices.DeleteFunc(next.Roles, func(r WrittenRole) bool { return r.OrganizationID == org })
		next.Roles = append(next.Roles, WrittenRole{org, role})
	}
	next.Granted, next.KeptOut = slices.Clone(want.Granted), slices.Clone(want.KeptOut)
	next.Organizations = without(cur.AccessIn(want.Organizations), want.Granted)
	return next
}
