package invariants

import (
	"strings"
	"testing"

	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// pair are the addresses of a case.
func pair(email string) []string { return []string{email, "with." + email} }

// team is the name of a group that no rule matches.
func team(email string) string { return "Team " + email }

// grouped prepares a group of a case's own, with the persons of the case as
// members or with nobody. Its members have accepted their invites, or nobody
// has.
func grouped(name func(string) string, members, accepted bool) func(*rig, string) string {
	return func(r *rig, email string) string {
		r.t.Helper()
		var ids, in []string
		for _, e := range pair(email) {
			ids = append(ids, invited(r, e))
		}
		if members {
			in = ids
		}
		g := r.b.must(201, "POST", "/Groups", group(name(email), in...)).ID()
		if accepted {
			for i, e := range pair(email) {
				r.accept(e)
				r.b.insistOn(200, "PUT", "/Users/"+ids[i], user(e))
				r.holds(e, "114:2")
			}
		}
		if !members {
			g += " " + strings.Join(ids, " ")
		}
		return g
	}
}

// each is a final check of the persons of a case: what they hold, and that
// each was mailed as often.
func each(want string, mails int) func(*rig, string) {
	return func(r *rig, email string) {
		r.t.Helper()
		for _, e := range pair(email) {
			r.holds(e, want)
			if n := r.mails(e); n != mails {
				r.t.Errorf("%s: %d invite mails, want %d (I2)%s", e, n, mails, r.history(e))
			}
		}
	}
}

// groupDeeds are changes of groups that a process is killed in the middle of.
// lost is what upstream has of persons who lose the role by it, had what those
// have whom it gives one.
func groupDeeds(lost, had string) []deed {
	patchOf := func(body func(email string, ids []string) string) func(email, id string) (string, string, string) {
		return func(email, id string) (string, string, string) {
			g, ids, _ := strings.Cut(id, " ")
			return "PATCH", "/Groups/" + g, body(email, strings.Fields(ids))
		}
	}
	in := grouped(admins, true, true)
	return []deed{
		{
			name: "group removal", prepare: in, on: "/Groups/", final: each(lost, 1),
			send: patchOf(func(string, []string) string { return patch(`{"op":"remove","path":"members"}`) }),
		},
		{
			name: "group deletion", prepare: in, on: "/Groups/", final: each(lost, 1), gone: true,
			send: func(_, id string) (string, string, string) { return "DELETE", "/Groups/" + id, "" },
		},
		{
			name: "group renamed out", prepare: in, on: "/Groups/", final: each(lost, 1),
			send: patchOf(func(email string, _ []string) string { return renameGroup(team(email)) }),
		},
		{
			name: "group renamed in", prepare: grouped(team, true, false), on: "/Groups/", final: each(had, 1),
			send: patchOf(func(email string, _ []string) string { return renameGroup(admins(email)) }),
		},
		{
			name: "group addition", prepare: grouped(admins, false, false), on: "/Groups/", final: each(had, 1),
			send: patchOf(func(_ string, ids []string) string { return addMembers(ids...) }),
		},
	}
}

// TestI10_KilledBetweenTheEffectsOfAGroup kills a process with SIGKILL before
// and after each of the upstream calls of each change of a group. The client
// sends its request again to the other process, or to the killed one after
// its restart.
func TestI10_KilledBetweenTheEffectsOfAGroup(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string][]string{"roles": {}, "access": {requireGroup}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := append([]string{"default_organizations: [114]"}, lines...)
			bothRuled(t, setup{Postgres: true}, lines, func(t *testing.T, r *rig) {
				lost, had := "114:5", "114:2?"
				if name == "access" {
					lost = "114:2!"
				}
				if r.setup.Invites == sandbox.Deferred {
					had = "invite [114]:2"
				}
				killAll(r, groupDeeds(lost, had))
			})
		})
	}
}
