package mapping_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
)

var ours = []int64{113, 114, 115}

const foreign = 200

var roles = []mapping.Role{{ID: 2, Name: "Administrator", Weight: 80}, {ID: 3, Name: "Manager", Weight: 50}, {ID: 5, Name: "Viewer", Weight: 10}}

func weight(id int64) int {
	for _, r := range roles {
		if r.ID == id {
			return r.Weight
		}
	}
	return 0
}

func drawPolicy(t *rapid.T) *mapping.Policy {
	return &mapping.Policy{
		Organizations: ours, Roles: roles, DefaultRole: rapid.SampledFrom(roles).Draw(t, "default role"),
		SendMail: rapid.Bool().Draw(t, "send mail"), CreateAccounts: rapid.Bool().Draw(t, "create accounts"),
		IdentityProviderID: rapid.SampledFrom([]int64{0, 2}).Draw(t, "identity provider"),
	}
}

func drawUser(t *rapid.T) *scim.User {
	u := &scim.User{
		UserName: rapid.SampledFrom([]string{"jay@example.com", "jay@example.org"}).Draw(t, "user name"),
		Name:     &scim.Name{GivenName: rapid.SampledFrom([]string{"", "Jay", "Jamie"}).Draw(t, "given name"), FamilyName: "Jackson"},
	}
	if rapid.Bool().Draw(t, "says active") {
		active := rapid.Bool().Draw(t, "active")
		u.Active = &active
	}
	e := &mapping.UserExtension{CountryCode: rapid.SampledFrom([]string{"", "CA", "FR"}).Draw(t, "country")}
	for _, org := range ours {
		if rapid.Bool().Draw(t, fmt.Sprint("wants ", org)) {
			e.OrganizationIDs = append(e.OrganizationIDs, org)
		}
	}
	u.Extensions = []any{e}
	return u
}

// world is one person's life under random changes from both sides.
type world struct {
	*model
	policy  *mapping.Policy
	written mapping.Profile
}

// settle does what a request does: it decides, then takes step after step
// with planning in between, and checks what must hold at each.
func (w *world) settle(t *rapid.T, want mapping.Desire, s mapping.Situation) {
	p, mails := w.policy, w.mails
	start := w.observe()
	shared, away := start.SharedBeyond(ours), w.foreignMembers()
	gave := false
	for n := 0; ; n++ {
		cur := w.observe()
		plan := p.Plan(cur, want, s)
		if len(plan.Steps) == 0 {
			break
		}
		if n == 20 {
			t.Fatalf("20 steps did not lead to what is due; next %+v for %+v", plan.Steps, cur)
		}
		step := plan.Steps[0]
		if !want.Active && n == 0 && len(start.AccessIn(ours)) > 0 && !takes(step, cur) {
			t.Fatalf("I3: the first step of a deactivation is %+v", step)
		}
		for _, org := range step.Organizations {
			if !slices.Contains(ours, org) {
				t.Fatalf("I5: %+v names an organization of another tenant", step)
			}
		}
		checkOrder(t, plan.Steps, cur)
		if gave && (takes(step, cur) || lowers(step, cur)) {
			t.Fatalf("%+v takes access away after access was given", step)
		}
		gave = gave || gives(step, cur)
		if slices.Contains(step.Fields, "email") && (shared || s.EmailFixed) {
			t.Fatalf("%+v changes an address that is not ours to change", step)
		}
		refused, err := w.take(step, want, p.SendMail)
		if err != nil {
			t.Fatalf("step %d, %+v, of plan %+v for %+v: %v", n, step, plan.Steps, cur, err)
		}
		s.EmailRefused = s.EmailRefused || refused
		w.deactivated(t, want, n)
		if diff := cmp.Diff(away, w.foreignMembers()); diff != "" {
			t.Fatalf("I17: %+v changed memberships of another tenant (-before +after):\n%s", step, diff)
		}
	}
	w.settled(t, want, start)
	if sent := w.mails - mails; sent > 1 || sent > 0 && !want.Active {
		t.Fatalf("I2: %d mails were sent", sent)
	}
	if !p.SendMail && want.IdentityProviderID != 0 && w.mails > mails {
		t.Fatal("a mail was sent where the tenant wants none")
	}
	w.written = w.observe().Profile()
}

// deactivated checks that one step is enough to take all access away.
func (w *world) deactivated(t *rapid.T, want mapping.Desire, n int) {
	if in := w.observe().AccessIn(ours); !want.Active && len(in) > 0 {
		t.Fatalf("I3: access in %v is left after step %d of a deactivation", in, n)
	}
}

func (w *world) foreignMembers() []string {
	var all []string
	if w.acc == nil {
		return nil
	}
	for _, m := range w.acc.members {
		if !slices.Contains(ours, m.org) {
			all = append(all, fmt.Sprint(m))
		}
	}
	return all
}

// settled checks what upstream holds when nothing is left to do.
func (w *world) settled(t *rapid.T, want mapping.Desire, start mapping.Account) {
	end := w.observe()
	if !want.Active {
		for _, i := range w.invites {
			if i.pending() {
				t.Fatalf("I3: invite %+v can be accepted after a deactivation", i)
			}
		}
		return
	}
	if in, due := end.AccessIn(ours), sorted(want.Organizations); !slices.Equal(in, due) {
		t.Fatalf("access is offered in %v, due in %v: %+v", in, due, end)
	}
	stay := want.Untouched
	if start.UserID != end.UserID {
		stay = nil // the person was made anew, for another address
	}
	if held, due := end.HeldIn(ours), sorted(slices.Concat(want.Organizations, stay)); !slices.Equal(held, due) {
		t.Fatalf("held in %v, due in %v", held, due)
	}
	before := start.AccessIn(ours)
	for _, m := range end.Memberships {
		if slices.Contains(want.Organizations, m.OrganizationID) && !slices.Contains(before, m.OrganizationID) && weight(m.RoleID) > want.Role.Weight {
			t.Fatalf("I4: access came back with role %d above %d: %+v", m.RoleID, want.Role.ID, end)
		}
	}
	if end.UserID != 0 && end.State == mapping.AccountBlocked && !end.SharedBeyond(ours) {
		t.Fatalf("an active person is blocked: %+v", end)
	}
	w.canAccept(t, want, start, end)
}

// canAccept checks that whoever was given access and has yet to accept it can.
func (w *world) canAccept(t *rapid.T, want mapping.Desire, start, end mapping.Account) {
	if len(start.AccessIn(ours)) > 0 {
		return // an invite that expired meanwhile stays so: a change of profile sends no mail
	}
	if i := start.Invite; start.UserID != 0 && i != nil && i.State == mapping.InviteExpired && !w.sendable(i, want) {
		return // it must not be sent again, and no new one can be made while the memberships are suspended
	}
	for _, org := range want.Organizations {
		if w.acc != nil && w.acc.member(org).state != mapping.MembershipInvited {
			continue
		}
		if !slices.ContainsFunc(w.invites, func(i *modelInvite) bool { return i.pending() && slices.Contains(i.orgs, org) }) {
			t.Fatalf("nothing to accept in %d: %+v invites %+v", org, end, end.Invite)
		}
	}
}

// sendable reports whether reviving the invite gives nothing that is not due.
func (w *world) sendable(i *mapping.Invite, want mapping.Desire) bool {
	return weight(i.RoleID) <= want.Role.Weight && !slices.ContainsFunc(i.OrganizationIDs, func(org int64) bool {
		return !slices.Contains(want.Organizations, org)
	})
}

func sorted(orgs []int64) []int64 {
	s := slices.Clone(orgs)
	slices.Sort(s)
	return s
}

func takes(s mapping.Step, cur mapping.Account) bool {
	switch s.Kind {
	case mapping.StepDeactivate, mapping.StepRevokeInvite:
		return true
	case mapping.StepRemove:
		return len(cur.AccessIn(s.Organizations)) > 0
	}
	return false
}

func roleIn(cur mapping.Account, org int64) (role int64, access bool) {
	for _, m := range cur.Memberships {
		if m.OrganizationID == org {
			return m.RoleID, m.State != mapping.MembershipSuspended
		}
	}
	return 0, false
}

func lowers(s mapping.Step, cur mapping.Account) bool {
	if s.Kind != mapping.StepSetRole {
		return false
	}
	role, _ := roleIn(cur, s.Organizations[0])
	return weight(s.RoleID) < weight(role)
}

func gives(s mapping.Step, cur mapping.Account) bool {
	switch s.Kind {
	case mapping.StepInvite, mapping.StepActivate, mapping.StepResendInvite, mapping.StepCreate:
		return true
	case mapping.StepSetRole:
		role, access := roleIn(cur, s.Organizations[0])
		return role == 0 || access && weight(s.RoleID) > weight(role)
	}
	return false
}

// checkOrder checks the plan as it is listed, too.
func checkOrder(t *rapid.T, steps []mapping.Step, cur mapping.Account) {
	gave := false
	for _, s := range steps {
		if gave && (s.Kind == mapping.StepDeactivate || s.Kind == mapping.StepRevokeInvite || lowers(s, cur)) {
			t.Fatalf("%+v comes after access is given in %+v", s, steps)
		}
		gave = gave || gives(s, cur)
	}
}

// disturb is what happens upstream between two requests.
func (w *world) disturb(t *rapid.T) {
	org := rapid.SampledFrom(ours).Draw(t, "organization")
	member := func() *modelMember {
		if w.acc == nil {
			return nil
		}
		return w.acc.member(org)
	}
	switch rapid.SampledFrom([]string{"accept", "accept", "expire", "rename", "suspend", "remove", "raise", "lock", "elsewhere", "none"}).Draw(t, "event") {
	case "accept":
		w.accept()
	case "expire":
		if i := w.invite(w.known); i != nil && i.pending() {
			i.state = mapping.InviteExpired
		}
	case "rename":
		if w.acc != nil {
			w.acc.profile.FirstName = "Renamed"
		}
	case "suspend":
		if m := member(); m != nil {
			w.deactivate([]int64{org})
		}
	case "remove":
		if m := member(); m != nil && len(w.acc.members) > 1 {
			w.deactivate([]int64{org})
			_ = w.remove(org)
		}
	case "raise":
		if m := member(); m != nil {
			m.role = 2
		}
	case "lock":
		if w.acc != nil && w.acc.state == mapping.AccountActive {
			w.acc.state = mapping.AccountLocked
		}
	case "elsewhere":
		w.elsewhere()
	}
}

// Plans, taken step by step and planned again after each, lead from any state
// that a person can get into to what any request makes due.
func TestPlansConverge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{
			model:  &model{immediate: rapid.Bool().Draw(t, "immediate"), resendRestores: rapid.Bool().Draw(t, "resend restores")},
			policy: drawPolicy(t),
		}
		for range rapid.IntRange(1, 8).Draw(t, "requests") {
			switch rapid.IntRange(0, 5).Draw(t, "request") {
			case 0:
				w.removal(t)
			case 1:
				w.echo(t)
			case 2:
				w.policy = drawPolicy(t)
				fallthrough
			default:
				w.request(t)
			}
			w.disturb(t)
		}
	})
}

func (w *world) request(t *rapid.T) {
	u := drawUser(t)
	cur := w.observe()
	before := cur.Clone()
	want, err := w.policy.DesireOf(u, cur, w.written)
	if err != nil {
		t.Fatal(err)
	}
	s := mapping.Situation{EmailFixed: cur.UserID != 0 && rapid.Bool().Draw(t, "e-mail fixed")}
	w.policy.Plan(cur, want, s)
	if diff := cmp.Diff(before, cur); diff != "" {
		t.Fatalf("planning changed its input (-before +after):\n%s", diff)
	}
	w.settle(t, want, s)
}

// echo sends back what a read showed: nothing but what was cut short before
// may come of it.
func (w *world) echo(t *rapid.T) {
	cur := w.observe()
	if !cur.Exists() {
		return
	}
	view := w.policy.View(mapping.Known{ID: "x"}, cur)
	want, err := w.policy.DesireOf(mapping.Replacement(view, view), cur, cur.Profile())
	if err != nil {
		t.Fatal(err)
	}
	mails := w.mails
	for _, s := range w.policy.Plan(cur, want, mapping.Situation{}).Steps {
		mends := s.Kind == mapping.StepInvite || s.Kind == mapping.StepResendInvite || s.Kind == mapping.StepActivate && cur.State == mapping.AccountBlocked
		if mends && len(cur.AccessIn(ours)) > 0 {
			continue // an offer that nobody could accept is mended
		}
		t.Fatalf("I17: echoing what was read leads to %+v for %+v", s, cur)
	}
	w.settle(t, want, mapping.Situation{})
	if w.mails > mails && cur.Invite.State != mapping.InviteRevoked {
		t.Fatalf("echoing what was read sent a mail for %+v", cur)
	}
}

func (w *world) removal(t *rapid.T) {
	away := w.foreignMembers()
	for n := 0; ; n++ {
		cur := w.observe()
		plan := w.policy.PlanRemoval(cur)
		if len(plan.Steps) == 0 {
			break
		}
		if n == 20 {
			t.Fatalf("20 steps did not remove %+v", cur)
		}
		if _, err := w.take(plan.Steps[0], mapping.Desire{}, true); err != nil {
			t.Fatal(err)
		}
		if in := w.observe().AccessIn(ours); len(in) > 0 {
			t.Fatalf("I3: access in %v is left after the first step of a removal", in)
		}
	}
	if held := w.observe().HeldIn(ours); len(held) > 0 {
		t.Fatalf("still held in %v", held)
	}
	if diff := cmp.Diff(away, w.foreignMembers()); diff != "" {
		t.Fatalf("I17: removal changed memberships of another tenant:\n%s", diff)
	}
	if len(away) == 0 && w.acc != nil {
		t.Fatalf("the account outlived its last membership: %+v", w.acc)
	}
}
