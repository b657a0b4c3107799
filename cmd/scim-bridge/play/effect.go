package play

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// effect is an entry of the sandbox's ledger, as much as is shown of it.
type effect struct {
	Seq             int64          `json:"seq"`
	Operation       string         `json:"operation"`
	UserID          *int64         `json:"user_id"`
	Email           string         `json:"email"`
	OrganizationIDs []int64        `json:"organization_ids"`
	Before          *record        `json:"before"`
	After           *record        `json:"after"`
	Invites         []inviteChange `json:"invites"`
}

type inviteChange struct {
	Before *invite `json:"before"`
	After  *invite `json:"after"`
}

// record is an account, or an invite where there is no account yet.
type record struct {
	FirstName   string       `json:"first_name"`
	LastName    string       `json:"last_name"`
	Email       string       `json:"email"`
	State       string       `json:"account_state"`
	Memberships []membership `json:"memberships"`
}

type membership struct {
	OrganizationID int64  `json:"organization_id"`
	RoleID         int64  `json:"role_id"`
	State          string `json:"state"`
}

type invite struct {
	Email           string  `json:"Email"`
	FirstName       string  `json:"FirstName"`
	LastName        string  `json:"LastName"`
	RoleID          int64   `json:"RoleId"`
	OrganizationIDs []int64 `json:"OrganizationIds"`
	State           string  `json:"State"`
}

// merge makes one effect of the roles that a person is given, which arrive one
// organization at a time.
func merge(all []effect) []effect {
	var out []effect
	at := map[string]int{} // by person, the effect in out
	for _, e := range all {
		i, seen := at[e.Email]
		switch {
		case e.Operation != "set_role":
			delete(at, e.Email)
		case seen:
			out[i].After = e.After
			continue
		default:
			at[e.Email] = len(out)
		}
		out = append(out, e)
	}
	return out
}

// changes says in words what an effect did. role names a role.
func (e *effect) changes(role func(int64) string) []string {
	var out []string
	before, after := e.Before, e.After
	switch {
	case after == nil:
		out = append(out, "account removed")
	case (before == nil || before.State == "") && after.State != "":
		out = append(out, fmt.Sprintf("account %s", after.State))
	case before != nil && before.State != after.State:
		out = append(out, fmt.Sprintf("account %s → %s", before.State, after.State))
	}
	if before != nil && after != nil && before.State != "" && after.State != "" {
		if a, b := before.FirstName+" "+before.LastName, after.FirstName+" "+after.LastName; a != b {
			out = append(out, fmt.Sprintf("name %s → %s", a, b))
		}
		if before.Email != after.Email {
			out = append(out, fmt.Sprintf("e-mail %s → %s", before.Email, after.Email))
		}
	}
	state := membership.state
	held := after.by(state)
	if joined := held != "" && held != before.by(state); joined {
		out = append(out, after.by(func(m membership) string { return m.State + " as " + role(m.RoleID) }))
	} else {
		out = append(out, after.regraded(before, role)...)
	}
	for _, i := range e.Invites {
		out = append(out, i.changes(held != "", role)...)
	}
	if len(out) == 0 {
		out = append(out, "done")
	}
	return out
}

// changes says what became of an invite. Of a new one it says nothing where
// the memberships that it offers are shown.
func (i inviteChange) changes(shown bool, role func(int64) string) []string {
	before, after := i.Before, i.After
	switch {
	case after == nil:
		return []string{"invite removed"}
	case before == nil && shown:
		return nil
	case before == nil:
		return []string{fmt.Sprintf("invite to %s %s as %s", listed(after.OrganizationIDs), after.State, role(after.RoleID))}
	}
	var out []string
	if before.State != after.State {
		out = append(out, fmt.Sprintf("invite %s → %s", before.State, after.State))
	}
	if before.RoleID != after.RoleID && !shown {
		out = append(out, fmt.Sprintf("invite as %s → %s", role(before.RoleID), role(after.RoleID)))
	}
	if before.FirstName+before.LastName != after.FirstName+after.LastName {
		out = append(out, fmt.Sprintf("invite's name %s %s", after.FirstName, after.LastName))
	}
	return out
}

func (m membership) state() string { return m.State }

// by lists a record's organizations by what is said of its memberships: "113
// and 114 active".
func (r *record) by(what func(membership) string) string {
	if r == nil {
		return ""
	}
	in := map[string][]int64{}
	for _, m := range r.Memberships {
		in[what(m)] = append(in[what(m)], m.OrganizationID)
	}
	var parts []string
	for _, said := range slices.Sorted(maps.Keys(in)) {
		parts = append(parts, listed(in[said])+" "+said)
	}
	return strings.Join(parts, ", ")
}

// regraded says which roles r has otherwise than before: "Viewer → Manager in
// 113 and 114".
func (r *record) regraded(before *record, role func(int64) string) []string {
	if r == nil || before == nil {
		return nil
	}
	in := map[string][]int64{}
	for _, m := range r.Memberships {
		i := slices.IndexFunc(before.Memberships, func(was membership) bool { return was.OrganizationID == m.OrganizationID })
		if i >= 0 && before.Memberships[i].RoleID != m.RoleID {
			step := role(before.Memberships[i].RoleID) + " → " + role(m.RoleID)
			in[step] = append(in[step], m.OrganizationID)
		}
	}
	var out []string
	for _, step := range slices.Sorted(maps.Keys(in)) {
		out = append(out, step+" in "+listed(in[step]))
	}
	return out
}

func listed(ids []int64) string {
	var parts []string
	for _, id := range ids {
		parts = append(parts, fmt.Sprint(id))
	}
	return strings.Join(parts, " and ")
}
