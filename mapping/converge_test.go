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

// world is one person's life under random changes from both sides.
type world struct {
	*model
	policy  *mapping.Policy
	groups  []mapping.Group
	written mapping.Written
}

// settle does what a request does once it has decided: it takes step after step
// with planning in between, checks what must hold at each, and returns the
// situation at the end.
func (w *world) settle(t *rapid.T, want mapping.Desire, s mapping.Situation) mapping.Situation {
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
		held := w.grants()
		refused, err := w.take(step, want, p.SendMail)
		if err != nil {
			t.Fatalf("step %d, %+v, of plan %+v for %+v: %v", n, step, plan.Steps, cur, err)
		}
		w.gaveWhatIsDue(t, step, want, cur, held)
		s.EmailRefused = s.EmailRefused || refused
		w.deactivated(t, want, n)
		if diff := cmp.Diff(away, w.foreignMembers()); diff != "" {
			t.Fatalf("I17: %+v changed memberships of another tenant (-before +after):\n%s", step, diff)
		}
	}
	w.settled(t, want, start, s)
	if sent := w.mails - mails; sent > 1 || sent > 0 && !want.Active {
		t.Fatalf("I2: %d mails were sent", sent)
	}
	if !p.SendMail && want.IdentityProviderID != 0 && w.mails > mails {
		t.Fatal("a mail was sent where the tenant wants none")
	}
	w.written = w.written.Gave(want, w.observe())
	w.written.Profile = w.observe().Profile()
	return s
}

// deactivated checks that one step is enough to take all access away.
func (w *world) deactivated(t *rapid.T, want mapping.Desire, n int) {
	if in := w.observe().AccessIn(ours); !want.Active && len(in) > 0 {
		t.Fatalf("I3: access in %v is left after step %d of a deactivation", in, n)
	}
}

func (w *world) foreignMembers() []string {
	var all []string
	for _, i := range w.invites {
		if i.pending() && i.shared() {
			all = append(all, i.id)
		}
	}
	if w.acc != nil && w.acc.member(foreign) != nil {
		all = append(all, fmt.Sprint(*w.acc.member(foreign)))
	}
	return all
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
	switch rapid.SampledFrom([]string{"accept", "accept", "expire", "rename", "suspend", "remove", "regrade", "lock", "elsewhere", "none"}).Draw(t, "event") {
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
	case "regrade":
		if m := member(); m != nil {
			m.role = rapid.SampledFrom([]int64{owner.ID, admin.ID, viewer.ID, unlisted}).Draw(t, "regraded to")
		}
	case "lock":
		if w.acc != nil && w.acc.state == mapping.AccountActive {
			w.acc.state = mapping.AccountLocked
		}
	case "elsewhere":
		w.elsewhere()
	}
}

func drawModel(t *rapid.T) *model {
	return &model{
		immediate: rapid.Bool().Draw(t, "immediate"), resendRestores: rapid.Bool().Draw(t, "resend restores"),
		merging: rapid.SampledFrom([]string{"keeps", "takes", "lowers"}).Draw(t, "merging"),
	}
}

// Plans, taken step by step and planned again after each, lead from any state
// that a person can get into to what any request makes due.
func TestPlansConverge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{
			model:  drawModel(t),
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
	w.groups = drawGroups(t)
	u := drawUser(t)
	w.provision(t, u, rapid.Bool().Draw(t, "e-mail fixed"))
}

// provision does what a request does that says u.
func (w *world) provision(t *rapid.T, u *scim.User, emailFixed bool) {
	cur := w.observe()
	before := cur.Clone()
	past := mapping.Past{Written: w.written, Groups: w.groups}
	want, err := w.policy.DesireOf(u, cur, past)
	if err != nil {
		t.Fatal(err)
	}
	s := mapping.Situation{EmailFixed: cur.UserID != 0 && emailFixed, ResendExpired: rapid.Bool().Draw(t, "resend expired")}
	w.policy.Plan(cur, want, s)
	if diff := cmp.Diff(before, cur); diff != "" {
		t.Fatalf("planning changed its input (-before +after):\n%s", diff)
	}
	w.again(t, u, w.settle(t, want, s))
}

// again checks that nothing is left to do when what u led to is sent back as it
// is read.
func (w *world) again(t *rapid.T, u *scim.User, s mapping.Situation) {
	cur := w.observe()
	view := w.policy.View(mapping.Known{ID: "x", Managed: true, Desired: u, Written: w.written, Groups: w.groups}, cur)
	want, err := w.policy.DesireOf(view, cur, mapping.Past{Written: w.written, Groups: w.groups})
	if err != nil {
		t.Fatal(err)
	}
	if plan := w.policy.Plan(cur, want, s); len(plan.Steps) > 0 {
		t.Fatalf("I17: sending back what was read leads to %+v for %+v, of whom %+v is due and %+v was written", plan.Steps, cur, want, w.written)
	}
}

// echo sends back what a read showed of somebody whom nobody provisioned:
// nothing but what was cut short before may come of it, unless rules say
// otherwise.
func (w *world) echo(t *rapid.T) {
	cur := w.observe()
	if !cur.Exists() {
		return
	}
	p := *w.policy
	p.Rules, p.RolesAttribute, p.RequireGroup = nil, false, false
	w = &world{model: w.model, policy: &p}
	view := p.View(mapping.Known{ID: "x"}, cur)
	want, err := p.DesireOf(mapping.Replacement(view, view), cur, mapping.Past{Written: mapping.Written{Profile: cur.Profile()}})
	if err != nil {
		t.Fatal(err)
	}
	mails := w.mails
	for _, s := range p.Plan(cur, want, mapping.Situation{}).Steps {
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
	w.written = mapping.Written{}
	if w.acc == nil {
		w.known = "" // whoever comes next is another person to us
	}
	if diff := cmp.Diff(away, w.foreignMembers()); diff != "" {
		t.Fatalf("I17: removal changed memberships of another tenant:\n%s", diff)
	}
	if len(away) == 0 && w.acc != nil {
		t.Fatalf("the account outlived its last membership: %+v", w.acc)
	}
}
