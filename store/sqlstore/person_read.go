package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sharearefund/scim-bridge/store"
)

// reader implements store.Reader. The one in a tx reads what the transaction
// itself has written.
type reader struct {
	d *dialect
	q querier
	// inTx is set inside a transaction.
	inTx bool
}

const personColumns = `p.tenant, p.id, p.seq, p.user_id, p.invite_ids,
	p.user_name, p.folded_user_name, p.email, p.folded_email, p.any_emails, p.external_id,
	p.managed, p.created, p.listed, p.active, p.desired, p.last_written, p.last_seen,
	p.last_written_at, p.last_seen_at, p.version, p.revision, p.created_at, p.modified_at, p.deleted_at`

const (
	personByID = `SELECT ` + personColumns + ` FROM person_ids i
		JOIN persons p ON p.tenant = i.tenant AND p.id = i.person_id
		WHERE i.tenant = $1 AND i.id = $2 AND p.deleted_at = 0`
	tombstoneByID = `SELECT ` + personColumns + ` FROM person_ids i
		JOIN persons p ON p.tenant = i.tenant AND p.id = i.person_id
		WHERE i.tenant = $1 AND i.id = $2 AND p.deleted_at <> 0`
	personsByID = `SELECT ` + personColumns + ` FROM persons p
		WHERE p.tenant = $1 AND p.id {in $2} AND p.deleted_at = 0`
	personByUserName = `SELECT ` + personColumns + ` FROM persons p
		WHERE p.tenant = $1 AND p.folded_user_name = $2 AND p.deleted_at = 0 AND p.folded_user_name <> ''`
	personByEmail = `SELECT ` + personColumns + ` FROM persons p
		WHERE p.tenant = $1 AND p.folded_email = $2 AND p.deleted_at = 0 AND p.folded_email <> ''`
	personByUserID = `SELECT ` + personColumns + ` FROM persons p
		WHERE p.tenant = $1 AND p.user_id = $2 AND p.deleted_at = 0 AND p.user_id <> 0`
	personByInviteID = `SELECT ` + personColumns + ` FROM person_invites i
		JOIN persons p ON p.tenant = i.tenant AND p.id = i.person_id
		WHERE i.tenant = $1 AND i.invite_id = $2 AND p.deleted_at = 0
		ORDER BY p.seq DESC LIMIT 1`
	personsByAnyEmail = `SELECT ` + personColumns + ` FROM person_emails e
		JOIN persons p ON p.tenant = e.tenant AND p.id = e.person_id
		WHERE e.tenant = $1 AND e.email = $2 AND p.deleted_at = 0 ORDER BY p.seq`
	personsByExternalID = `SELECT ` + personColumns + ` FROM persons p
		WHERE p.tenant = $1 AND p.external_id = $2 AND p.deleted_at = 0 AND p.external_id <> ''
		ORDER BY p.seq`
	tombstonesByUpstream = `SELECT ` + personColumns + ` FROM persons p
		WHERE p.seq IN (
			SELECT u.seq FROM persons u
				WHERE u.tenant = $1 AND u.user_id = $2 AND u.deleted_at <> 0 AND u.user_id <> 0
			UNION
			SELECT v.seq FROM person_invites i JOIN persons v ON v.tenant = i.tenant AND v.id = i.person_id
				WHERE i.tenant = $1 AND i.invite_id = $3 AND v.deleted_at <> 0)
		ORDER BY p.deleted_at DESC, p.seq DESC`
	personsWindow   = `SELECT ` + personColumns + windowOf
	personsOffset   = `SELECT ` + personColumns + offsetOf
	revisionsWindow = `SELECT p.seq, p.revision` + windowOf
	revisionsOffset = `SELECT p.seq, p.revision` + offsetOf

	windowOf = ` FROM persons p
		WHERE p.tenant = $1 AND p.seq > $2 AND p.deleted_at = 0 AND p.listed
		ORDER BY p.seq LIMIT $3`
	// The offset is walked in the index alone.
	offsetOf = ` FROM persons p
		WHERE p.tenant = $1 AND p.deleted_at = 0 AND p.listed AND p.seq >= (
			SELECT o.seq FROM persons o
			WHERE o.tenant = $1 AND o.seq > $2 AND o.deleted_at = 0 AND o.listed
			ORDER BY o.seq LIMIT 1 OFFSET $4)
		ORDER BY p.seq LIMIT $3`
)

func (r *reader) Person(ctx context.Context, tenant, id string) (*store.Person, error) {
	return r.person(ctx, personByID, tenant, id)
}

func (r *reader) PersonByUserName(ctx context.Context, tenant, folded string) (*store.Person, error) {
	return r.person(ctx, personByUserName, tenant, folded)
}

func (r *reader) PersonByEmail(ctx context.Context, tenant, folded string) (*store.Person, error) {
	return r.person(ctx, personByEmail, tenant, folded)
}

func (r *reader) PersonByUserID(ctx context.Context, tenant string, userID int64) (*store.Person, error) {
	return r.person(ctx, personByUserID, tenant, userID)
}

func (r *reader) PersonByInviteID(ctx context.Context, tenant, inviteID string) (*store.Person, error) {
	return r.person(ctx, personByInviteID, tenant, inviteID)
}

func (r *reader) Tombstone(ctx context.Context, tenant, id string) (*store.Person, error) {
	return r.person(ctx, tombstoneByID, tenant, id)
}

func (r *reader) PersonsByAnyEmail(ctx context.Context, tenant, folded string) ([]*store.Person, error) {
	return r.persons(ctx, personsByAnyEmail, tenant, folded)
}

func (r *reader) PersonsByExternalID(ctx context.Context, tenant, externalID string) ([]*store.Person, error) {
	return r.persons(ctx, personsByExternalID, tenant, externalID)
}

func (r *reader) TombstonesByUpstream(ctx context.Context, tenant string, userID int64, inviteID string) ([]*store.Person, error) {
	return r.persons(ctx, tombstonesByUpstream, tenant, userID, inviteID)
}

func (r *reader) Persons(ctx context.Context, tenant string, w store.Window) ([]*store.Person, error) {
	switch {
	case w.Limit <= 0:
		return nil, nil
	case w.Offset <= 0:
		return r.persons(ctx, personsWindow, tenant, w.After, w.Limit)
	default:
		return r.persons(ctx, personsOffset, tenant, w.After, w.Limit, w.Offset)
	}
}

func (r *reader) Revisions(ctx context.Context, tenant string, w store.Window) ([]store.Revision, error) {
	text, args := revisionsWindow, []any{tenant, w.After, w.Limit}
	switch {
	case w.Limit <= 0 || !findable(args):
		return nil, nil
	case w.Offset > 0:
		text, args = revisionsOffset, append(args, w.Offset)
	}
	rows, err := r.query(ctx, text, args...)
	if err != nil {
		return nil, wrap(err, "reading revisions")
	}
	defer rows.Close()
	found := make([]store.Revision, 0, min(w.Limit, 1000))
	for rows.Next() {
		var v store.Revision
		if err := rows.Scan(&v.Seq, &v.Revision); err != nil {
			return nil, wrap(err, "reading revisions")
		}
		found = append(found, v)
	}
	return found, wrap(rows.Err(), "reading revisions")
}

func (r *reader) CountPersons(ctx context.Context, tenant string) (int, error) {
	var n int
	err := r.one(ctx, `SELECT CAST(coalesce(sum(n), 0) AS BIGINT) FROM person_counts WHERE tenant = $1`,
		[]any{tenant}, &n)
	return n, wrap(err, "counting persons")
}

func (r *reader) CountActive(ctx context.Context, tenant string) (int, error) {
	var n int
	err := r.one(ctx, `SELECT count(*) FROM persons WHERE tenant = $1 AND deleted_at = 0 AND listed AND active`,
		[]any{tenant}, &n)
	return n, wrap(err, "counting active persons")
}

func (r *reader) PersonsByID(ctx context.Context, tenant string, ids []string) (map[string]*store.Person, error) {
	found := make(map[string]*store.Person, len(ids))
	asked, err := r.pairs(ctx, "resolving ids", `SELECT id, person_id FROM person_ids WHERE tenant = $1 AND id {in $2}`, tenant, ids)
	if err != nil || len(asked) == 0 {
		return found, err
	}
	own := make([]string, len(asked))
	for i, a := range asked {
		own[i] = a.value
	}
	persons, err := r.persons(ctx, personsByID, tenant, r.d.list(distinct(own)))
	if err != nil {
		return nil, err
	}
	byID := make(map[string]*store.Person, len(persons))
	for _, p := range persons {
		byID[p.ID] = p
	}
	for _, a := range asked {
		if p := byID[a.value]; p != nil {
			found[a.key] = p
		}
	}
	return found, nil
}

// person reads the only row of a statement.
func (r *reader) person(ctx context.Context, text string, args ...any) (*store.Person, error) {
	if !findable(args) {
		return nil, store.ErrNotFound
	}
	return first(ctx, r, scanPerson, "reading a person", text, args...)
}

func (r *reader) persons(ctx context.Context, text string, args ...any) ([]*store.Person, error) {
	if !findable(args) {
		return nil, nil
	}
	return list(ctx, r, scanPerson, "reading persons", text, args...)
}

// findable is false for a text that cannot have been stored: PostgreSQL would
// answer an error, where there is only nothing to find.
func findable(args []any) bool {
	for _, a := range args {
		if s, ok := a.(string); ok && !storable(s) {
			return false
		}
	}
	return true
}

// storable says that both databases can hold the text.
func storable(s string) bool {
	return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

func scanPerson(rows *sql.Rows) (*store.Person, error) {
	p := new(store.Person)
	var invites, emails string
	var writtenAt, seenAt, createdAt, modifiedAt, deletedAt int64
	err := rows.Scan(&p.Tenant, &p.ID, &p.Seq, &p.UserID, &invites,
		&p.UserName, &p.FoldedUserName, &p.Email, &p.FoldedEmail, &emails, &p.ExternalID,
		&p.Managed, &p.Created, &p.Listed, &p.Active, &p.Desired, &p.LastWritten, &p.LastSeen,
		&writtenAt, &seenAt, &p.Version, &p.Revision, &createdAt, &modifiedAt, &deletedAt)
	if err != nil {
		return nil, err
	}
	if p.InviteIDs, err = splitList(invites); err != nil {
		return nil, fmt.Errorf("invite_ids of %q: %w", p.ID, err)
	}
	if p.AnyEmails, err = splitList(emails); err != nil {
		return nil, fmt.Errorf("any_emails of %q: %w", p.ID, err)
	}
	p.LastWrittenAt, p.LastSeenAt = moment(writtenAt), moment(seenAt)
	p.CreatedAt, p.ModifiedAt, p.DeletedAt = moment(createdAt), moment(modifiedAt), moment(deletedAt)
	return p, nil
}

// joinList is a list of texts as one column holds it: JSON, or nothing.
func joinList(list []string) (string, error) {
	if len(list) == 0 {
		return "", nil
	}
	for _, s := range list {
		if !storable(s) {
			return "", fmt.Errorf("%q cannot be stored: it is not UTF-8 or holds a zero byte", s)
		}
	}
	b, err := json.Marshal(list)
	return string(b), err
}

func splitList(s string) ([]string, error) {
	if s == "" {
		return nil, nil
	}
	if inner, ok := strings.CutPrefix(s, `["`); ok && strings.IndexByte(s, '\\') < 0 {
		// Without a backslash there is no quote inside a text.
		return strings.Split(strings.TrimSuffix(inner, `"]`), `","`), nil
	}
	var list []string
	err := json.Unmarshal([]byte(s), &list)
	return list, err
}
