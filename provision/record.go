package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
)

// record is a person's row with its JSON columns read.
type record struct {
	row     *store.Person
	seen    mapping.Account
	written mapping.Written
	// groups are those that the person is in; they are read apart from the row.
	groups []mapping.Group
	// unsettled says that an attempt of ours was cut short, so that seen may
	// be older than what upstream shows.
	unsettled bool
	// ripened says that written changed with what was seen.
	ripened bool
	// accepted says that what was seen shows that the person accepted.
	accepted bool
}

func readRecord(p *store.Person) (*record, error) {
	r := &record{row: p}
	if len(p.LastSeen) > 0 {
		if err := json.Unmarshal(p.LastSeen, &r.seen); err != nil {
			return nil, fmt.Errorf("person %s: last_seen: %w", p.ID, err)
		}
	}
	if len(p.LastWritten) > 0 {
		if err := json.Unmarshal(p.LastWritten, &r.written); err != nil {
			return nil, fmt.Errorf("person %s: last_written: %w", p.ID, err)
		}
	}
	return r, nil
}

// desired is what the client said; nil for an unmanaged person.
func (r *record) desired(codec *scim.Codec[scim.User]) (*scim.User, error) {
	if !r.row.Managed || len(r.row.Desired) == 0 {
		return nil, nil
	}
	u, err := codec.Load(r.row.Desired)
	if err != nil {
		return nil, fmt.Errorf("person %s: desired: %w", r.row.ID, err)
	}
	return u, nil
}

// ripen is for the first look at somebody whom an invite made ours: what the
// invite answered did not tell a new account from one that other organizations
// held before. Of such a one nothing was written, so that what the client said
// was not applied, rather than changed by somebody since.
func (r *record) ripen(acc mapping.Account) error {
	p := r.row
	invited := p.Managed && p.Created && r.seen.UpdatedAt.IsZero() && acc.UserID != 0 && len(p.InviteIDs) > 0
	if !invited || slices.Contains(p.InviteIDs, acc.CameFrom) || acc.Profile() == r.written.Profile {
		return nil
	}
	r.written.Profile = acc.Profile()
	written, err := json.Marshal(r.written)
	if err != nil {
		return err
	}
	p.LastWritten, r.ripened = written, true
	return nil
}

// see notes what upstream shows. The names by which a person is found follow
// upstream where it is the authority: everywhere for an unmanaged person, in
// the address that somebody changed there for a managed one.
func (r *record) see(acc mapping.Account, at time.Time) error {
	if err := r.ripen(acc); err != nil {
		return err
	}
	text, err := json.Marshal(acc)
	if err != nil {
		return err
	}
	p := r.row
	r.accepted = p.Managed && mapping.Accepted(r.seen, acc)
	r.seen = acc
	p.LastSeen, p.LastSeenAt = text, at
	p.Listed, p.Active = acc.Exists() || p.Managed, acc.Live()
	if acc.UserID != 0 {
		p.UserID = acc.UserID
	}
	if acc.Invite != nil {
		addInvite(p, acc.Invite.ID)
	}
	folded := scim.Fold(acc.Email)
	switch {
	case !p.Managed:
		p.UserName, p.FoldedUserName = acc.Email, folded
		p.Email, p.FoldedEmail = acc.Email, folded
		p.AnyEmails = []string{folded}
	case folded != "" && folded != p.FoldedEmail && folded != scim.Fold(r.written.Email):
		old := p.FoldedEmail
		p.Email, p.FoldedEmail = acc.Email, folded
		p.AnyEmails = slices.DeleteFunc(slices.Clone(p.AnyEmails), func(e string) bool { return e == old || e == folded })
		p.AnyEmails = append(p.AnyEmails, folded)
	}
	return nil
}

// put stores what see noted; before is the row as it was read. Where another
// person goes by the new names, the old ones stay. Who accepted is looked at
// once more: roles may be due that an invite could not carry, or nothing may be
// due any more.
func (r *record) put(ctx context.Context, tx store.Tx, before *store.Person) error {
	p := r.row
	err := r.putRow(ctx, tx, before)
	if r.accepted && (err == nil || errors.Is(err, store.ErrStale)) {
		work := store.RoleWork{Tenant: p.Tenant, PersonID: p.ID, Removal: true, RunAt: p.LastSeenAt, CreatedAt: p.LastSeenAt}
		if err := tx.PutRoleWork([]store.RoleWork{work}); err != nil {
			return err
		}
	}
	return err
}

func (r *record) putRow(ctx context.Context, tx store.Tx, before *store.Person) error {
	p := r.row
	if p.FoldedUserName == before.FoldedUserName && slices.Equal(p.AnyEmails, before.AnyEmails) && !r.ripened {
		return tx.SeePerson(p)
	}
	for _, find := range []func() (*store.Person, error){
		func() (*store.Person, error) { return tx.PersonByUserName(ctx, p.Tenant, p.FoldedUserName) },
		func() (*store.Person, error) { return tx.PersonByEmail(ctx, p.Tenant, p.FoldedEmail) },
	} {
		other, err := find()
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err == nil && other.ID != p.ID {
			p.UserName, p.FoldedUserName = before.UserName, before.FoldedUserName
			p.Email, p.FoldedEmail, p.AnyEmails = before.Email, before.FoldedEmail, before.AnyEmails
			return tx.SeePerson(p)
		}
	}
	return tx.UpdatePerson(p)
}

// addInvite makes id the current invite of p.
func addInvite(p *store.Person, id string) {
	if i := slices.Index(p.InviteIDs, id); i >= 0 {
		p.InviteIDs = slices.Delete(p.InviteIDs, i, i+1)
	}
	p.InviteIDs = append(p.InviteIDs, id)
}

// currentInvite is the person's latest invite, or "".
func currentInvite(p *store.Person) string {
	if len(p.InviteIDs) == 0 {
		return ""
	}
	return p.InviteIDs[len(p.InviteIDs)-1]
}

// gave notes what upstream holds after we gave the person what it is due.
func (r *record) gave(want mapping.Desire, acc mapping.Account, at time.Time) error {
	if err := r.write(r.written.Gave(want, acc)); err != nil {
		return err
	}
	p := r.row
	p.LastWrittenAt, p.ModifiedAt = at, at
	p.UserID = acc.UserID
	return r.see(acc, at)
}

// write makes the record tell what we wrote last.
func (r *record) write(w mapping.Written) error {
	text, err := json.Marshal(w)
	if err != nil {
		return err
	}
	r.written, r.row.LastWritten = w, text
	return nil
}

// say notes what the client said, what is due by it and what upstream then
// holds.
func (r *record) say(codec *scim.Codec[scim.User], u *scim.User, email string, want mapping.Desire, acc mapping.Account, at time.Time) error {
	p := r.row
	p.Managed = true
	p.Desired = codec.AppendFull(nil, u)
	p.UserName, p.FoldedUserName = u.UserName, scim.Fold(u.UserName)
	p.Email, p.FoldedEmail = email, scim.Fold(email)
	p.AnyEmails = allEmails(u, p.FoldedEmail)
	p.ExternalID = u.ExternalID
	r.written.Profile = acc.Profile()
	return r.gave(want, acc, at)
}

func allEmails(u *scim.User, folded string) []string {
	var all []string
	if folded != "" {
		all = append(all, folded)
	}
	for _, e := range u.Emails {
		if f := scim.Fold(e.Value); f != "" && !slices.Contains(all, f) {
			all = append(all, f)
		}
	}
	return all
}
