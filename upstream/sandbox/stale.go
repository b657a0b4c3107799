package sandbox

import (
	"slices"
	"time"
)

// pastWindow is how long replaced records are kept for stale reads; a rule may not ask for more.
const pastWindow = 10 * time.Minute

// past keeps the former versions of records, so that a read can be answered as of some moments ago.
type past[R any] map[int64][]version[R]

type version[R any] struct {
	record     R // nil: there was none
	replacedAt time.Time
}

// keep remembers what the record was until now and forgets what is older than the window.
func (p past[R]) keep(id int64, before R, at time.Time) {
	versions := p[id]
	old := 0
	for old < len(versions) && at.Sub(versions[old].replacedAt) > pastWindow {
		old++
	}
	p[id] = append(slices.Clip(versions[old:]), version[R]{before, at})
}

// at returns the record as it was at that moment, given what it is now.
func (p past[R]) at(id int64, now R, moment time.Time) R {
	for _, v := range p[id] {
		if v.replacedAt.After(moment) {
			return v.record
		}
	}
	return now
}

// reader is the state as a call sees it: as it is, or as it was at a moment that a fault rule chose.
type reader struct {
	*state
	asOf time.Time // zero: now
}

func (r reader) account(id int64) *account {
	if r.asOf.IsZero() {
		return r.state.account(id)
	}
	return r.accountPast.at(id, r.accounts[id], r.asOf)
}

func (r reader) accountByEmail(email string) *account {
	if r.asOf.IsZero() {
		return r.state.accountByEmail(email)
	}
	for _, id := range allIDs(r.accounts, r.accountPast) {
		if a := r.account(id); a != nil && fold(a.Email) == fold(email) {
			return a
		}
	}
	return nil
}

func (r reader) invite(id string) *invite {
	i := r.state.invite(id)
	if r.asOf.IsZero() || i == nil {
		return i
	}
	return r.invitePast.at(i.Seq, i, r.asOf)
}

// accountList lists the accounts in one of the organizations by id.
func (r reader) accountList(organizationIDs []int64) list[*account] {
	if r.asOf.IsZero() {
		return list[*account]{r.accountIDs(organizationIDs), r.state.account}
	}
	ids := allIDs(r.accounts, r.accountPast)
	ids = slices.DeleteFunc(ids, func(id int64) bool { return !r.account(id).in(organizationIDs) })
	return list[*account]{ids, r.account}
}

// inviteList lists the invites to one of the organizations in order of creation.
func (r reader) inviteList(organizationIDs []int64) list[*invite] {
	bySeq := func(seq int64) *invite { return r.invites[seq] }
	if r.asOf.IsZero() {
		return list[*invite]{r.inviteSeqsOf(organizationIDs), bySeq}
	}
	bySeq = func(seq int64) *invite { return r.invitePast.at(seq, r.invites[seq], r.asOf) }
	seqs := allIDs(r.invites, r.invitePast)
	seqs = slices.DeleteFunc(seqs, func(seq int64) bool { return !bySeq(seq).in(organizationIDs) })
	return list[*invite]{seqs, bySeq}
}

// list is records in order, looked up only when they are needed.
type list[R any] struct {
	ids []int64
	get func(int64) R
}

func allIDs[R any](records map[int64]R, former past[R]) []int64 {
	ids := make([]int64, 0, len(records))
	for id := range records {
		ids = append(ids, id)
	}
	for id := range former {
		if _, ok := records[id]; !ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}
