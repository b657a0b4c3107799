package play

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate/idp"
)

// pending is the state of a membership that somebody is invited to who has no
// account yet.
const pending = "pending"

// legend says what states mean that are not active.
var legend = []struct{ state, text string }{
	{"invited", "invited: the account is there; access comes when its owner accepts the invite"},
	{pending, "pending: there is no account yet; the invite carries the role (the lowest one where organizations differ: what is above it follows once the invite is accepted)"},
	{"suspended", "suspended: the membership was taken away and can come back with this role"},
}

// outcome prints the roles that people hold upstream, as the sandbox's state
// has them.
func (s *session) outcome(ctx context.Context, all []idp.Person) error {
	if err := s.settle(ctx); err != nil {
		return err
	}
	w, err := s.look(ctx, all)
	if err != nil {
		return err
	}
	s.print.scene("the roles that people hold upstream as a result")
	rows, states := w.table(all, s.memberOf)
	s.print.table(rows)
	for _, l := range legend {
		if states[l.state] {
			s.print.note(l.text)
		}
	}
	return nil
}

// table has a row for everybody, the greatest weight first, under a row of
// headings, and a column for each organization that somebody is in. states are
// those that occur.
func (w *world) table(all []idp.Person, memberOf map[string]string) (rows [][]string, states map[string]bool) {
	type line struct {
		cells  []string
		weight int
	}
	orgs := w.inhabited()
	head := []string{"person", "group"}
	for _, o := range orgs {
		head = append(head, fmt.Sprintf("%d %s", o.ID, o.Name))
	}
	states = map[string]bool{}
	var lines []line
	for _, p := range all {
		l := line{cells: []string{p.Mail, cmp.Or(memberOf[p.Mail], "–")}}
		for _, o := range orgs {
			m, ok := w.holding(p.Mail, o.ID)
			if !ok {
				l.cells = append(l.cells, "–")
				continue
			}
			r := w.role(m.RoleID)
			l.cells = append(l.cells, r.Name+", "+m.State)
			l.weight = max(l.weight, r.Weight)
			states[m.State] = true
		}
		lines = append(lines, l)
	}
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(b.weight, a.weight) })
	rows = append(rows, head)
	for _, l := range lines {
		rows = append(rows, l.cells)
	}
	return rows, states
}

// inhabited lists the organizations that any of the people is in.
func (w *world) inhabited() []organization {
	var in []organization
	for _, o := range w.organizations {
		somebody := false
		for mail := range w.accounts {
			_, ok := w.holding(mail, o.ID)
			somebody = somebody || ok
		}
		for mail := range w.invites {
			_, ok := w.holding(mail, o.ID)
			somebody = somebody || ok
		}
		if somebody {
			in = append(in, o)
		}
	}
	return in
}

// holding is what a person holds in an organization, or is to hold by a
// pending invite.
func (w *world) holding(mail string, organization int64) (membership, bool) {
	for _, m := range w.accounts[mail].Memberships {
		if m.OrganizationID == organization {
			return m, true
		}
	}
	if i := w.invites[mail]; slices.Contains(i.OrganizationIDs, organization) {
		return membership{organization, i.RoleID, pending}, true
	}
	return membership{}, false
}

// role is the role with the id, named by it where upstream has none.
func (w *world) role(id int64) role {
	if i := slices.IndexFunc(w.roles, func(r role) bool { return r.ID == id }); i >= 0 {
		return w.roles[i]
	}
	return role{ID: id, Name: fmt.Sprintf("role %d", id)}
}

// table prints rows in columns; the first row are headings.
func (p *printer) table(rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, row := range rows {
		var cells, rule []string
		for i, cell := range row {
			cells, rule = append(cells, pad(cell, widths[i])), append(rule, strings.Repeat("─", widths[i]))
		}
		p.line("   %s", clip(strings.TrimRight(strings.Join(cells, "  "), " "), p.width-3))
		if n == 0 {
			p.line("   %s", clip(strings.Join(rule, "  "), p.width-3))
		}
	}
}
