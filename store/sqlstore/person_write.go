package sqlstore

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

func (t *tx) InsertPerson(p *store.Person) error {
	if err := storablePerson(p); err != nil {
		return err
	}
	invites, err := joinList(p.InviteIDs)
	if err != nil {
		return fmt.Errorf("sqlstore: invite id %w", err)
	}
	emails, err := joinList(p.AnyEmails)
	if err != nil {
		return fmt.Errorf("sqlstore: e-mail %w", err)
	}
	n, err := t.exec(t.ctx, `INSERT INTO person_ids (tenant, id, person_id) VALUES ($1, $2, $2)
		ON CONFLICT DO NOTHING`, p.Tenant, p.ID)
	if err != nil {
		return wrap(err, "taking an id")
	}
	if n == 0 {
		return t.idTaken("id", p.Tenant, p.ID)
	}
	var seq int64
	ok, err := t.found(`INSERT INTO persons (tenant, id, user_id, invite_ids,
			user_name, folded_user_name, email, folded_email, any_emails, external_id,
			managed, created, listed, active, desired, last_written, last_seen,
			last_written_at, last_seen_at, version, revision, created_at, modified_at, deleted_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, 1, 1, $20, $21, 0)
		ON CONFLICT DO NOTHING RETURNING seq`, []any{
		p.Tenant, p.ID, p.UserID, invites, p.UserName, p.FoldedUserName, p.Email, p.FoldedEmail, emails, p.ExternalID,
		p.Managed, p.Created, p.Listed, p.Active, blob(p.Desired), blob(p.LastWritten), blob(p.LastSeen),
		micros(p.LastWrittenAt), micros(p.LastSeenAt), micros(p.CreatedAt), micros(p.ModifiedAt)}, &seq)
	if err != nil {
		return wrap(err, "inserting a person")
	}
	if !ok {
		// Nothing was inserted, so the id must not stay taken.
		if _, err := t.exec(t.ctx, `DELETE FROM person_ids WHERE tenant = $1 AND id = $2`, p.Tenant, p.ID); err != nil {
			return wrap(err, "giving an id back")
		}
		return t.personTaken(p)
	}
	if err := t.index(emailIndex, p.Tenant, p.ID, nil, p.AnyEmails); err != nil {
		return err
	}
	if err := t.index(inviteIndex, p.Tenant, p.ID, nil, p.InviteIDs); err != nil {
		return err
	}
	t.count(p.Tenant, false, p.Listed)
	oldSeq, oldVersion, oldRevision := p.Seq, p.Version, p.Revision
	t.undo = append(t.undo, func() { p.Seq, p.Version, p.Revision = oldSeq, oldVersion, oldRevision })
	p.Seq, p.Version, p.Revision = seq, 1, 1
	return nil
}

// held is what a change of a person's row must know of it.
type held struct {
	keys            personKeys
	revision        int64
	invites, emails []string
}

// personKeys are the columns of a person that are indexed.
type personKeys struct {
	userID                                  int64
	foldedUserName, foldedEmail, externalID string
	listed, active                          bool
}

// hold locks a living person's row, or returns store.ErrStale when its version
// is not p's.
func (t *tx) hold(p *store.Person) (held, error) {
	var h held
	var version int64
	var invites, emails string
	ok, err := t.found(`SELECT p.version, p.revision, p.user_id, p.folded_user_name, p.folded_email, p.external_id, p.listed, p.active,
			p.invite_ids, p.any_emails
		FROM persons p WHERE p.tenant = $1 AND p.id = $2 AND p.deleted_at = 0{lock}`, []any{p.Tenant, p.ID},
		&version, &h.revision, &h.keys.userID, &h.keys.foldedUserName, &h.keys.foldedEmail, &h.keys.externalID, &h.keys.listed, &h.keys.active,
		&invites, &emails)
	if err != nil {
		return h, wrap(err, "locking a person")
	}
	if !ok || version != p.Version {
		return h, store.ErrStale
	}
	if h.invites, err = splitList(invites); err != nil {
		return h, wrap(err, "reading the invites of %q", p.ID)
	}
	if h.emails, err = splitList(emails); err != nil {
		return h, wrap(err, "reading the e-mails of %q", p.ID)
	}
	return h, nil
}

// rekey changes the indexed columns of a row that hold has locked. They change
// seldom, and SQLite rewrites the index of every column that a statement sets.
func (t *tx) rekey(p *store.Person, old, now personKeys) error {
	if old == now {
		return nil
	}
	_, taken, err := t.try(`UPDATE persons SET user_id = $3, folded_user_name = $4, folded_email = $5,
			external_id = $6, listed = $7, active = $8
		WHERE tenant = $1 AND id = $2`,
		p.Tenant, p.ID, now.userID, now.foldedUserName, now.foldedEmail, now.externalID, now.listed, now.active)
	if err != nil {
		return wrap(err, "changing a person's keys")
	}
	if taken {
		return t.personTaken(p)
	}
	t.count(p.Tenant, old.listed, now.listed)
	return nil
}

func (t *tx) UpdatePerson(p *store.Person) error {
	if err := storablePerson(p); err != nil {
		return err
	}
	invites, err := joinList(p.InviteIDs)
	if err != nil {
		return fmt.Errorf("sqlstore: invite id %w", err)
	}
	emails, err := joinList(p.AnyEmails)
	if err != nil {
		return fmt.Errorf("sqlstore: e-mail %w", err)
	}
	old, err := t.hold(p)
	if err != nil {
		return err
	}
	if err := t.rekey(p, old.keys, personKeys{p.UserID, p.FoldedUserName, p.FoldedEmail, p.ExternalID, p.Listed, p.Active}); err != nil {
		return err
	}
	_, err = t.exec(t.ctx, `UPDATE persons SET invite_ids = $3, user_name = $4, email = $5, any_emails = $6,
			managed = $7, created = $8, desired = $9, last_written = $10, last_seen = $11,
			last_written_at = $12, last_seen_at = $13, created_at = $14, modified_at = $15, version = version + 1, revision = revision + 1
		WHERE tenant = $1 AND id = $2`,
		p.Tenant, p.ID, invites, p.UserName, p.Email, emails,
		p.Managed, p.Created, blob(p.Desired), blob(p.LastWritten), blob(p.LastSeen),
		micros(p.LastWrittenAt), micros(p.LastSeenAt), micros(p.CreatedAt), micros(p.ModifiedAt))
	if err != nil {
		return wrap(err, "updating a person")
	}
	if err := t.index(emailIndex, p.Tenant, p.ID, old.emails, p.AnyEmails); err != nil {
		return err
	}
	if err := t.index(inviteIndex, p.Tenant, p.ID, old.invites, p.InviteIDs); err != nil {
		return err
	}
	revision := p.Revision
	t.undo = append(t.undo, func() { p.Version, p.Revision = p.Version-1, revision })
	p.Version, p.Revision = p.Version+1, old.revision+1
	return nil
}

func (t *tx) SeePerson(p *store.Person) error {
	invites, err := joinList(p.InviteIDs)
	if err != nil {
		return fmt.Errorf("sqlstore: invite id %w", err)
	}
	old, err := t.hold(p)
	if err != nil {
		return err
	}
	keys := old.keys
	keys.userID, keys.listed, keys.active = p.UserID, p.Listed, p.Active
	if err := t.rekey(p, old.keys, keys); err != nil {
		return err
	}
	_, err = t.exec(t.ctx, `UPDATE persons SET invite_ids = $3, last_seen = $4, last_seen_at = $5, revision = revision + 1
		WHERE tenant = $1 AND id = $2`, p.Tenant, p.ID, invites, blob(p.LastSeen), micros(p.LastSeenAt))
	if err != nil {
		return wrap(err, "noting what upstream shows of a person")
	}
	if err := t.index(inviteIndex, p.Tenant, p.ID, old.invites, p.InviteIDs); err != nil {
		return err
	}
	revision := p.Revision
	t.undo = append(t.undo, func() { p.Revision = revision })
	p.Revision = old.revision + 1
	return nil
}

func (t *tx) DeletePerson(p *store.Person, at time.Time) error {
	if at.IsZero() {
		return errors.New("sqlstore: a person is deleted at some time: at is zero")
	}
	old, err := t.hold(p)
	if err != nil {
		return err
	}
	_, err = t.exec(t.ctx, `UPDATE persons SET
			user_name = '', folded_user_name = '', email = '', folded_email = '', any_emails = '', external_id = '',
			managed = FALSE, created = FALSE, listed = FALSE, active = FALSE, desired = NULL, last_written = NULL, last_seen = NULL,
			last_written_at = 0, last_seen_at = 0, modified_at = $3, deleted_at = $3, version = version + 1
		WHERE tenant = $1 AND id = $2`, p.Tenant, p.ID, micros(at))
	if err != nil {
		return wrap(err, "deleting a person")
	}
	if err := t.index(emailIndex, p.Tenant, p.ID, old.emails, nil); err != nil {
		return err
	}
	for _, table := range []string{"group_members", "role_work"} {
		if _, err := t.exec(t.ctx, `DELETE FROM `+table+` WHERE tenant = $1 AND person_id = $2`, p.Tenant, p.ID); err != nil {
			return wrap(err, "deleting the %s of a person", table)
		}
	}
	t.count(p.Tenant, old.keys.listed, false)
	return nil
}

func (t *tx) AddAlias(tenant, alias, id string) error {
	if !storable(alias) {
		return unstorable("alias", alias)
	}
	var person string
	ok, err := t.found(`SELECT person_id FROM person_ids WHERE tenant = $1 AND id = $2`, []any{tenant, id}, &person)
	if err != nil {
		return wrap(err, "resolving an id")
	}
	if !ok {
		return store.ErrNotFound
	}
	n, err := t.exec(t.ctx, `INSERT INTO person_ids (tenant, id, person_id) VALUES ($1, $2, $3)
		ON CONFLICT DO NOTHING`, tenant, alias, person)
	if err != nil {
		return wrap(err, "adding an alias")
	}
	if n == 1 {
		return nil
	}
	err = t.idTaken("alias", tenant, alias)
	if c, ok := errors.AsType[*store.ConflictError](err); ok && c.Owner == person {
		return nil
	}
	return err
}

// idTaken finds out whose an id is.
func (t *tx) idTaken(field, tenant, id string) error {
	var owner string
	ok, err := t.found(`SELECT person_id FROM person_ids WHERE tenant = $1 AND id = $2`, []any{tenant, id}, &owner)
	if err != nil {
		return wrap(err, "looking for the owner of an id")
	}
	if !ok {
		return errAgain
	}
	return &store.ConflictError{Field: field, Value: id, Owner: owner}
}

// personTaken finds out which value of p another person has.
func (t *tx) personTaken(p *store.Person) error {
	for _, c := range []struct {
		field, column string
		unset         bool
		value         any
		text          string
	}{
		{"userName", "folded_user_name", p.FoldedUserName == "", p.FoldedUserName, p.FoldedUserName},
		{"email", "folded_email", p.FoldedEmail == "", p.FoldedEmail, p.FoldedEmail},
		{"userID", "user_id", p.UserID == 0, p.UserID, strconv.FormatInt(p.UserID, 10)},
	} {
		if c.unset {
			continue
		}
		var owner string
		ok, err := t.found(`SELECT id FROM persons WHERE tenant = $1 AND `+c.column+` = $2 AND deleted_at = 0 AND id <> $3`,
			[]any{p.Tenant, c.value, p.ID}, &owner)
		if err != nil {
			return wrap(err, "looking for the owner of a value")
		}
		if ok {
			return &store.ConflictError{Field: c.field, Value: c.text, Owner: owner}
		}
	}
	return errAgain
}

// A personIndex is a table by which persons are found through one of many values.
type personIndex struct{ insert, remove string }

var (
	emailIndex = personIndex{
		`INSERT INTO person_emails (tenant, email, person_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
		`DELETE FROM person_emails WHERE tenant = $1 AND email = $2 AND person_id = $3`,
	}
	inviteIndex = personIndex{
		`INSERT INTO person_invites (tenant, invite_id, person_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
		`DELETE FROM person_invites WHERE tenant = $1 AND invite_id = $2 AND person_id = $3`,
	}
)

// index writes the difference between a person's old and new values.
func (t *tx) index(x personIndex, tenant, id string, old, now []string) error {
	for _, v := range old {
		if !slices.Contains(now, v) {
			if _, err := t.exec(t.ctx, x.remove, tenant, v, id); err != nil {
				return wrap(err, "indexing a person")
			}
		}
	}
	for _, v := range now {
		if !slices.Contains(old, v) {
			if _, err := t.exec(t.ctx, x.insert, tenant, v, id); err != nil {
				return wrap(err, "indexing a person")
			}
		}
	}
	return nil
}

// storablePerson refuses what PostgreSQL would answer with an error that looks
// as if the database were at fault.
func storablePerson(p *store.Person) error {
	for _, f := range []struct{ field, value string }{
		{"tenant", p.Tenant}, {"id", p.ID}, {"user name", p.UserName}, {"folded user name", p.FoldedUserName},
		{"e-mail", p.Email}, {"folded e-mail", p.FoldedEmail}, {"external id", p.ExternalID},
	} {
		if !storable(f.value) {
			return unstorable(f.field, f.value)
		}
	}
	return nil
}

// unstorable refuses a text.
func unstorable(what, value string) error {
	return fmt.Errorf("sqlstore: %s %q cannot be stored: it is not UTF-8 or holds a zero byte", what, value)
}
