package sandbox

import (
	"slices"
	"time"
)

// effect is what one call did to one person: the ledger's entry, the journal's record and the change itself.
type effect struct {
	Seq           int64
	At            time.Time
	Operation     string
	Credential    string
	UserID        int64
	InviteID      string
	Email         string
	Organizations []int64
	Account       *account  `json:",omitempty"` // what it is now; with Removed, or untouched, nil
	Removed       bool      `json:",omitempty"`
	Invites       []*invite `json:",omitempty"` // what those that changed are now
	Mails         []Mail    `json:",omitempty"`

	before        *account
	invitesBefore []*invite // beside Invites; nil for a new one
}

// apply carries the effect out and remembers what was before. It is the only way in which the state changes.
func (st *state) apply(e *effect) {
	if e.Account != nil || e.Removed {
		e.before = st.accounts[e.UserID]
		st.putAccount(e.UserID, e.Account, e.At)
	}
	for _, i := range e.Invites {
		e.invitesBefore = append(e.invitesBefore, st.invites[i.Seq])
		st.putInvite(i, e.At)
	}
	st.outbox = append(st.outbox, e.Mails...)
	st.ledger = append(st.ledger, e)
}

// tx is a call's way to change the state. It stages the changes to one person until commit makes an effect of them;
// what is staged when the call is refused is forgotten. Staging what changes nothing stages nothing, so that an
// effect exists if and only if something changed or a mail left.
type tx struct {
	*state
	now        time.Time
	operation  string
	credential string
	staged     effect
	effects    []*effect
	bypass     bool // an edit behind the API's back: the last owner may go
}

// putAccount stages the account. It is refused when an organization would lose its last owner.
func (t *tx) putAccount(after *account) error {
	before := t.accounts[after.ID]
	if before.same(after) {
		return nil
	}
	if id := t.lastOwner(before, after); id != 0 && !t.bypass {
		return lastOwner(id)
	}
	after.UpdatedAt = t.now
	if before != nil && before.UpdatedAt.After(t.now) {
		after.UpdatedAt = before.UpdatedAt
	}
	t.staged.Account, t.staged.UserID = after, after.ID
	return nil
}

// removeAccount stages the end of the account and of what could still be accepted on its behalf.
func (t *tx) removeAccount(before *account) error {
	if id := t.lastOwner(before, nil); id != 0 && !t.bypass {
		return lastOwner(id)
	}
	t.staged.Account, t.staged.Removed, t.staged.UserID = nil, true, before.ID
	for _, i := range t.pendingInvites(before, "", t.now) {
		n := t.stagedInvite(i).clone()
		n.State = StateRevoked
		t.putInvite(n)
	}
	return nil
}

// putInvite stages the invite.
func (t *tx) putInvite(after *invite) {
	if t.invites[after.Seq].same(after) {
		return
	}
	for k, i := range t.staged.Invites {
		if i.Seq == after.Seq {
			t.staged.Invites[k] = after
			return
		}
	}
	t.staged.Invites = append(t.staged.Invites, after)
}

// stagedInvite is the invite as this change leaves it so far.
func (t *tx) stagedInvite(i *invite) *invite {
	for _, s := range t.staged.Invites {
		if s.Seq == i.Seq {
			return s
		}
	}
	return i
}

func (t *tx) mail(kind, to string, organizationIDs []int64) {
	t.staged.Mails = append(t.staged.Mails, Mail{At: t.now, Kind: kind, To: to, OrganizationIDs: nonNil(slices.Clone(organizationIDs))})
}

// commit turns what is staged into an effect on the organizations, if anything is.
func (t *tx) commit(organizationIDs []int64) {
	e := t.staged
	t.staged = effect{}
	if e.Account == nil && !e.Removed && len(e.Invites) == 0 && len(e.Mails) == 0 {
		return
	}
	e.Seq = int64(len(t.ledger)) + 1
	e.At, e.Operation, e.Credential = t.now, t.operation, t.credential
	e.Organizations = nonNil(slices.Clone(organizationIDs))
	switch {
	case e.Account != nil:
		e.Email = e.Account.Email
	case e.Removed:
		e.Email = t.accounts[e.UserID].Email
	case len(e.Invites) > 0:
		e.Email, e.UserID = e.Invites[0].Email, e.Invites[0].UserID
	default:
		e.Email = e.Mails[0].To
		if a := t.state.accountByEmail(e.Email); a != nil {
			e.UserID = a.ID
		}
	}
	if len(e.Invites) > 0 {
		e.InviteID = e.Invites[0].ID
	}
	t.apply(&e)
	t.effects = append(t.effects, &e)
}

func nonNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
