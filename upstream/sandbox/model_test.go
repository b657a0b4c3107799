package sandbox

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestLedgerTellsEverything makes random calls and checks after each one that the ledger has an entry if and only if
// something changed, that the entries alone rebuild the state, and that the rules of the platform hold.
func TestLedgerTellsEverything(t *testing.T) {
	for _, mode := range []InviteMode{Immediate, Deferred} {
		t.Run(string(mode), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				w := newWorld(t, Options{Invites: mode, Clients: administrators})
				m := &machine{world: w, rt: rt, accounts: map[int64]Account{}, invites: map[string]Invite{}}
				for _, a := range w.State().Accounts {
					m.accounts[a.ID] = a
				}
				m.before = w.State()
				rt.Repeat(map[string]func(*rapid.T){
					"invite_users":    m.inviteUsers,
					"create_user":     m.createUser,
					"set_role":        m.setRole,
					"deactivate_user": func(*rapid.T) { m.organizationsCall("deactivate") },
					"activate_user":   func(*rapid.T) { m.organizationsCall("activate") },
					"update_user":     m.updateUser,
					"remove_user":     m.removeUser,
					"reset_password":  m.resetPassword,
					"update_invite":   m.updateInvite,
					"revoke_invite":   m.revokeInvite,
					"resend_invite":   func(*rapid.T) { m.call("POST", invitePath(m.inviteID())+"/resend", "") },
					"accept_invite":   m.acceptInvite,
					"clock":           m.passTime,
					"":                m.check,
				})
				if err := w.Close(); err != nil {
					rt.Fatal(err)
				}
			})
		})
	}
}

// machine is a random caller and what it learnt from the ledger.
type machine struct {
	*world
	rt       *rapid.T
	before   State
	mails    int
	entries  int
	last     reply
	accounts map[int64]Account
	invites  map[string]Invite
}

var people = []string{"a@example.com", "B@example.com", "b@example.com", "c@example.com", "owner113@sharearefund.example", "owner200@sharearefund.example"}

func (m *machine) credential() string {
	return rapid.SampledFrom([]string{acme, acme, globex, "sak_root"}).Draw(m.rt, "credential")
}

func (m *machine) email() string { return rapid.SampledFrom(people).Draw(m.rt, "email") }

func (m *machine) role() int64 { return rapid.Int64Range(1, 5).Draw(m.rt, "role") }

func (m *machine) organizations() string {
	ids := rapid.SliceOfNDistinct(rapid.SampledFrom([]int64{113, 114, 200}), 1, 3, rapid.ID[int64]).Draw(m.rt, "organizations")
	return strings.Join(strings.Fields(fmt.Sprint(ids)), ",")
}

func (m *machine) organization() string {
	return itoa(rapid.SampledFrom([]int64{113, 114, 200}).Draw(m.rt, "organization"))
}

func (m *machine) user() string {
	var ids []int64
	for _, a := range m.before.Accounts {
		ids = append(ids, a.ID)
	}
	return "/users/" + itoa(rapid.SampledFrom(ids).Draw(m.rt, "user"))
}

func (m *machine) inviteID() string {
	if len(m.before.Invites) == 0 {
		m.rt.Skip("no invite yet")
	}
	return m.before.Invites[rapid.IntRange(0, len(m.before.Invites)-1).Draw(m.rt, "invite")].ID
}

func (m *machine) call(method, path, body string) {
	m.last = m.do(m.credential(), method, path, body)
	m.rt.Logf("%s %s %s → %d %s", method, path, body, m.last.status, m.last.text)
}

func (m *machine) inviteUsers(*rapid.T) {
	m.call("POST", "/platform/invites", fmt.Sprintf(`{"Users":[{"Email":%q,"RoleId":%d},{"Email":%q,"RoleId":%d}],"OrganizationIds":%s}`,
		m.email(), m.role(), m.email(), m.role(), m.organizations()))
}

func (m *machine) createUser(*rapid.T) {
	m.call("POST", "/users", fmt.Sprintf(`{"email":%q}`, m.email()))
}

func (m *machine) setRole(*rapid.T) {
	m.call("PUT", m.user()+"/role", fmt.Sprintf(`{"organization_id":%s,"role_id":%d}`, m.organization(), m.role()))
}

func (m *machine) organizationsCall(name string) {
	m.call("POST", m.user()+"/"+name, fmt.Sprintf(`{"organization_ids":%s}`, m.organizations()))
}

func (m *machine) updateUser(*rapid.T) {
	m.call("PUT", m.user(), fmt.Sprintf(`{"email":%q,"first_name":%q}`, m.email(), rapid.SampledFrom([]string{"A", "B"}).Draw(m.rt, "name")))
}

func (m *machine) removeUser(*rapid.T) {
	m.call("DELETE", m.user()+"?organization_id="+m.organization(), "")
}

func (m *machine) resetPassword(*rapid.T) { m.call("POST", m.user()+"/password_reset", `{}`) }

func (m *machine) updateInvite(*rapid.T) {
	m.call("PUT", invitePath(m.inviteID()), fmt.Sprintf(`{"RoleId":%d,"OrganizationIds":%s,"FirstName":"I"}`, m.role(), m.organizations()))
}

func (m *machine) revokeInvite(*rapid.T) {
	path := invitePath(m.inviteID())
	if rapid.Bool().Draw(m.rt, "one") {
		path += "?organization_id=" + m.organization()
	}
	m.call("DELETE", path, "")
}

func (m *machine) acceptInvite(*rapid.T) {
	m.call("POST", invitePath(m.inviteID())+"/accept", fmt.Sprintf(`{"IdentityProviderId":2,"Subject":%q}`, m.email()))
}

func (m *machine) passTime(*rapid.T) {
	m.clock.advance(time.Duration(rapid.IntRange(1, 5*24).Draw(m.rt, "hours")) * time.Hour)
	m.before = m.State() // invites expire without an effect
	m.last = reply{}
}

// check runs after every action.
func (m *machine) check(*rapid.T) {
	state, ledger, mails := m.State(), m.Ledger(), len(m.Outbox())
	changed := !reflect.DeepEqual(state, m.before) || mails != m.mails
	added := ledger[m.entries:]
	if changed != (len(added) > 0) {
		m.rt.Fatalf("changed: %v, entries: %+v\n%s", changed, added, cmp.Diff(m.before, state))
	}
	if m.last.status >= 400 && changed {
		m.rt.Fatalf("a refused call changed the state")
	}
	for _, e := range added {
		m.replay(e)
	}
	m.before, m.entries, m.mails = state, len(ledger), mails
	m.compare(state)
	m.rules(state)
}

// replay carries the entry out on what the ledger said so far.
func (m *machine) replay(e Entry) {
	if e.Before != nil {
		if diff := cmp.Diff(m.accounts[e.Before.ID], *e.Before); diff != "" {
			m.rt.Fatalf("entry %d: before is not what the ledger said:\n%s", e.Seq, diff)
		}
		if e.After == nil {
			delete(m.accounts, e.Before.ID)
		}
	}
	if e.After != nil {
		m.accounts[e.After.ID] = *e.After
	}
	for _, i := range e.Invites {
		m.invites[i.After.ID] = timeless(*i.After)
	}
	managed := map[string][]int64{"acme": {113, 114}, "globex": {200}, "root": {113, 114, 200}}[e.Credential]
	if e.Operation == "accept_invite" || e.Before == nil || e.After == nil {
		return // acceptance joins what others invited to
	}
	for _, id := range []int64{113, 114, 200} {
		if !slices.Contains(managed, id) && e.Before.Membership(id) != e.After.Membership(id) {
			m.rt.Fatalf("%s changed a membership in organization %d: %+v", e.Credential, id, e)
		}
	}
}

// compare checks that the ledger alone rebuilds the state.
func (m *machine) compare(state State) {
	accounts := map[int64]Account{}
	for _, a := range state.Accounts {
		accounts[a.ID] = a
	}
	if diff := cmp.Diff(m.accounts, accounts); diff != "" {
		m.rt.Fatalf("accounts (-ledger +state):\n%s", diff)
	}
	invites := map[string]Invite{}
	for _, i := range state.Invites {
		invites[i.ID] = timeless(i)
	}
	if diff := cmp.Diff(m.invites, invites); diff != "" {
		m.rt.Fatalf("invites (-ledger +state):\n%s", diff)
	}
}

// timeless is the invite without what the clock does to it, which leaves no entry.
func timeless(i Invite) Invite {
	if i.State == StateExpired {
		i.State = StatePending
	}
	return i
}

// rules checks what holds on the platform at any time.
func (m *machine) rules(state State) {
	emails := map[string]bool{}
	owners := map[int64]int{}
	for _, a := range state.Accounts {
		if emails[fold(a.Email)] {
			m.rt.Fatalf("two accounts with the address %q", a.Email)
		}
		emails[fold(a.Email)] = true
		active := 0
		for _, ms := range a.Memberships {
			if ms.State == StateActive {
				active++
				if ms.RoleID == 1 && a.Accessible {
					owners[ms.OrganizationID]++
				}
			}
		}
		if a.Accessible != (a.AccountState == StateActive && active > 0) {
			m.rt.Fatalf("accessible: %+v", a)
		}
		if a.AccountState == StateNew && active > 0 {
			m.rt.Fatalf("a member who never accepted: %+v", a)
		}
		if len(a.Memberships) > 0 && a.Role == nil {
			m.rt.Fatalf("no role: %+v", a)
		}
	}
	for _, o := range state.Organizations {
		if owners[o.ID] == 0 {
			m.rt.Fatalf("organization %d has no owner", o.ID)
		}
	}
	pending := map[string]bool{}
	for _, i := range state.Invites {
		if i.State != StatePending {
			continue
		}
		if i.UserID == nil && emails[fold(i.Email)] {
			m.rt.Fatalf("a pending invite without the account that has its address: %+v", i)
		}
		if i.UserID != nil && m.accounts[*i.UserID].ID == 0 {
			m.rt.Fatalf("a pending invite of an account that is gone: %+v", i)
		}
		for _, id := range i.OrganizationIDs {
			key := fold(i.Email) + " " + itoa(id)
			if i.UserID != nil {
				key = itoa(*i.UserID) + " " + itoa(id) // whose address may be another one by now
			}
			if pending[key] {
				m.rt.Fatalf("two pending invites of %q to organization %d", i.Email, id)
			}
			pending[key] = true
			if i.UserID != nil {
				a := m.accounts[*i.UserID]
				if a.Membership(id).State != StateInvited {
					m.rt.Fatalf("a pending invite to organization %d beside %+v", id, a)
				}
			}
		}
	}
	for token, ids := range map[string][]int64{acme: {113, 114}, globex: {200}} {
		var want []string
		for _, a := range state.Accounts {
			if slices.ContainsFunc(a.Memberships, func(ms Membership) bool { return slices.Contains(ids, ms.OrganizationID) }) {
				want = append(want, itoa(a.ID))
			}
		}
		if got, total := m.walk(token, "/platform/users", url.Values{}, 3); !slices.Equal(got, want) || total != len(want) {
			m.rt.Fatalf("%s lists %v (%d), want %v", token, got, total, want)
		}
	}
}

func TestConcurrentInvitesOfOnePerson(t *testing.T) {
	for _, mode := range []InviteMode{Immediate, Deferred} {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(t, Options{Invites: mode})
			const callers = 64
			start := make(chan struct{})
			statuses := make([]result, callers)
			var wg sync.WaitGroup
			for i := range callers {
				wg.Go(func() {
					<-start
					email := "jamie@example.com"
					if i%2 == 0 {
						email = "JAMIE@Example.com"
					}
					statuses[i] = w.invite(acme, email, 113)
				})
			}
			close(start)
			wg.Wait()
			invited := 0
			for _, r := range statuses {
				if r.Status == "invited" {
					invited++
				}
				if r.InviteID != statuses[0].InviteID {
					t.Errorf("invite %q beside %q", r.InviteID, statuses[0].InviteID)
				}
			}
			equal(t, "invited", invited, 1)
			equal(t, "entries", len(w.Ledger()), 1)
			equal(t, "mails", len(w.Outbox()), 1)
			equal(t, "invites", len(w.State().Invites), 1)
		})
	}
}

func TestConcurrentUse(t *testing.T) {
	w := newWorld(t, Options{Users: 50, Control: true})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 20 {
				path := "/users/" + itoa(int64(1004+(i*7+n)%50))
				w.do(acme, "PUT", path, fmt.Sprintf(`{"first_name":"%d-%d"}`, i, n))
				w.do(acme, "GET", path, "")
				w.do(acme, "GET", "/platform/users?page_size=5", "")
				w.invite(acme, fmt.Sprintf("new%d@example.com", n), 113)
				w.Ledger()
				w.State()
				if err := w.SetFaults([]Rule{{Operation: "get_user", StaleMS: 10}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	equal(t, "accounts", len(w.State().Accounts), 3+50+20)
}

func BenchmarkGetUser(b *testing.B) {
	w := newWorld(b, Options{Users: 20000})
	w.handler = w.Handler()
	for b.Loop() {
		w.do(acme, "GET", "/users/15000", "").is(200, "")
	}
}

func BenchmarkInviteOne(b *testing.B) {
	w := newWorld(b, Options{Users: 20000})
	w.handler = w.Handler()
	for i := 0; b.Loop(); i++ {
		w.invite(acme, fmt.Sprintf("new%d@example.com", i), 113, 114)
	}
}

func BenchmarkListPage(b *testing.B) {
	w := newWorld(b, Options{Users: 20000})
	w.handler = w.Handler()
	for b.Loop() {
		w.do(acme, "GET", "/platform/users?page=150&page_size=100", "").is(200, "")
	}
}
