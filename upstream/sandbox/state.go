package sandbox

import (
	"slices"
	"strings"
	"time"
)

// state is every record with its indexes. It is guarded by Sandbox.mu and changed by apply alone.
type state struct {
	catalogue *catalogue

	accounts      map[int64]*account
	byEmail       map[string]int64 // folded
	byIdentity    map[identity]int64
	accountViews  []*view
	owners        map[int64]int // organization → accessible holders of a top-weight role
	nextAccountID int64

	invites       map[int64]*invite // by Seq
	inviteSeqs    map[string]int64  // by id
	byPerson      map[string][]int64
	byAccount     map[int64][]int64
	inviteViews   []*view
	nextInviteSeq int64

	accountPast past[*account]
	invitePast  past[*invite]

	ledger []*effect
	outbox []Mail
}

// view is the ids, in order, of the records that are in one of some organizations: what a page is cut from.
type view struct {
	organizations []int64
	ids           []int64
}

// maxViews bounds the number of organization sets that are kept in order; further ones are sorted on demand.
const maxViews = 64

// firstAccountID leaves the low numbers to organizations and roles, so that a mix-up does not pass unnoticed.
const firstAccountID = 1001

func newState(c *catalogue) *state {
	return &state{
		catalogue: c,
		accounts:  map[int64]*account{}, byEmail: map[string]int64{}, byIdentity: map[identity]int64{},
		owners: map[int64]int{}, nextAccountID: firstAccountID,
		invites: map[int64]*invite{}, inviteSeqs: map[string]int64{}, byPerson: map[string][]int64{},
		byAccount: map[int64][]int64{}, nextInviteSeq: 1,
		accountPast: past[*account]{}, invitePast: past[*invite]{},
	}
}

// fold is the key under which addresses are compared.
func fold(email string) string { return strings.ToLower(email) }

func (st *state) account(id int64) *account { return st.accounts[id] }

// accountByEmail returns nil when nobody has the address.
func (st *state) accountByEmail(email string) *account {
	id, ok := st.byEmail[fold(email)]
	if !ok {
		return nil
	}
	return st.accounts[id]
}

func (st *state) invite(id string) *invite {
	seq, ok := st.inviteSeqs[id]
	if !ok {
		return nil
	}
	return st.invites[seq]
}

// pendingInvites lists, oldest first, the invites that the person can accept now: those linked to the account, or,
// with a nil account, those of the address that no account came from yet.
func (st *state) pendingInvites(a *account, email string, now time.Time) []*invite {
	var seqs []int64
	if a != nil {
		seqs = st.byAccount[a.ID]
	} else {
		seqs = st.byPerson[fold(email)]
	}
	var out []*invite
	for _, seq := range seqs {
		if i := st.invites[seq]; i.pending(now) && (a != nil || i.UserID == 0) {
			out = append(out, i)
		}
	}
	return out
}

// taken reports whether another account, or a pending invite without an account, holds the address.
func (st *state) taken(email string, except int64, now time.Time) bool {
	if id, ok := st.byEmail[fold(email)]; ok {
		return id != except
	}
	return len(st.pendingInvites(nil, email, now)) > 0
}

// holders returns the organizations in which the account is an accessible holder of a top-weight role.
func (st *state) holders(a *account) []int64 {
	if a == nil || !a.accessible() {
		return nil
	}
	var out []int64
	for _, m := range a.Memberships {
		role, ok := st.catalogue.role(m.RoleID)
		if ok && m.State == StateActive && role.Weight == st.catalogue.topWeight {
			out = append(out, m.OrganizationID)
		}
	}
	return out
}

// lastOwner returns an organization that the change would leave without an accessible owner, or 0.
func (st *state) lastOwner(before, after *account) int64 {
	kept := st.holders(after)
	for _, organizationID := range st.holders(before) {
		if !slices.Contains(kept, organizationID) && st.owners[organizationID] == 1 {
			return organizationID
		}
	}
	return 0
}

// putAccount replaces the account of that id; a nil after removes it.
func (st *state) putAccount(id int64, after *account, at time.Time) {
	before := st.accounts[id]
	st.accountPast.keep(id, before, at)
	if before != nil {
		delete(st.byEmail, fold(before.Email))
		for _, identity := range before.Identities {
			delete(st.byIdentity, identity)
		}
	}
	for _, organizationID := range st.holders(before) {
		st.owners[organizationID]--
	}
	for _, organizationID := range st.holders(after) {
		st.owners[organizationID]++
	}
	for _, v := range st.accountViews {
		v.update(id, before.in(v.organizations), after.in(v.organizations))
	}
	if after == nil {
		delete(st.accounts, id)
		return
	}
	st.accounts[id] = after
	st.byEmail[fold(after.Email)] = id
	for _, identity := range after.Identities {
		st.byIdentity[identity] = id
	}
	st.nextAccountID = max(st.nextAccountID, id+1)
}

// putInvite adds or replaces an invite. Its address never changes; its account is once set and then changes only
// when the former account is gone.
func (st *state) putInvite(after *invite, at time.Time) {
	before := st.invites[after.Seq]
	st.invitePast.keep(after.Seq, before, at)
	if before == nil {
		st.inviteSeqs[after.ID] = after.Seq
		st.byPerson[fold(after.Email)] = append(st.byPerson[fold(after.Email)], after.Seq)
	}
	if before == nil || before.UserID != after.UserID {
		if before != nil && before.UserID != 0 {
			st.byAccount[before.UserID] = slices.DeleteFunc(st.byAccount[before.UserID], func(seq int64) bool { return seq == after.Seq })
		}
		if after.UserID != 0 {
			list := append(st.byAccount[after.UserID], after.Seq)
			slices.Sort(list)
			st.byAccount[after.UserID] = list
		}
	}
	for _, v := range st.inviteViews {
		v.update(after.Seq, before.in(v.organizations), after.in(v.organizations))
	}
	st.invites[after.Seq] = after
	st.nextInviteSeq = max(st.nextInviteSeq, after.Seq+1)
}

func (v *view) update(id int64, was, is bool) {
	if was == is {
		return
	}
	at, found := slices.BinarySearch(v.ids, id)
	switch {
	case is && !found:
		v.ids = slices.Insert(v.ids, at, id)
	case !is && found:
		v.ids = slices.Delete(v.ids, at, at+1)
	}
}

// accountIDs lists in order the accounts in one of the organizations; the caller must not change or keep the slice.
func (st *state) accountIDs(organizationIDs []int64) []int64 {
	return viewOf(&st.accountViews, st.accounts, organizationIDs, (*account).in)
}

// inviteSeqsOf lists in order of creation the invites to one of the organizations, under the same terms.
func (st *state) inviteSeqsOf(organizationIDs []int64) []int64 {
	return viewOf(&st.inviteViews, st.invites, organizationIDs, (*invite).in)
}

func viewOf[R any](views *[]*view, records map[int64]R, organizationIDs []int64, in func(R, []int64) bool) []int64 {
	organizationIDs = sortedSet(organizationIDs)
	for _, v := range *views {
		if slices.Equal(v.organizations, organizationIDs) {
			return v.ids
		}
	}
	v := &view{organizations: organizationIDs}
	for id, r := range records {
		if in(r, organizationIDs) {
			v.ids = append(v.ids, id)
		}
	}
	slices.Sort(v.ids)
	if len(*views) < maxViews {
		*views = append(*views, v)
	}
	return v.ids
}
