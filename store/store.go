// Package store is the durable truth for what upstream cannot hold: tenants,
// credentials, persons and their SCIM ids, groups and their members, tombstones,
// intents, jobs, leases, guards and events. Package store/sqlstore keeps it in SQLite or
// PostgreSQL; package store/storetest is the suite that both pass.
package store

import (
	"context"
	"time"
)

// Store is safe for concurrent use by any number of goroutines; any number of
// processes may open the same database. An error that is none of this
// package's errors means that the database could not answer: nothing is known
// to be wrong with the request.
type Store interface {
	Reader
	Findings
	RequestLog

	// Update runs fn in one transaction: all of it commits durably before
	// Update returns nil, or none of it happens. SQLite groups concurrent
	// Updates into one commit, each in a savepoint of its own, so fn must
	// do no I/O beyond tx and must not block; it may run again after a
	// serialization failure and so must have no other effect; what a Tx
	// assigned to fn's rows (Seq, Version) is taken back with it. An error
	// of fn rolls back and is returned as it is; a panic rolls back and goes
	// on. A ctx that ends stops an Update only before it begins.
	Update(ctx context.Context, fn func(tx Tx) error) error

	// EnqueueJob adds a job, or returns the unfinished one of the same
	// tenant, kind and key.
	EnqueueJob(ctx context.Context, j Job) (*Job, error)
	// ClaimJob leases the oldest due job of one of the kinds: one that is
	// queued, or running with an expired lease. ErrNotFound when there is none.
	ClaimJob(ctx context.Context, holder string, kinds []string, ttl time.Duration) (*Job, error)
	// HeartbeatJob extends the lease and stores the progress (nil: keeps
	// what is there). It reports whether somebody asked to cancel.
	// ErrLeaseLost when another holder has it, or nobody.
	HeartbeatJob(ctx context.Context, id int64, holder string, ttl time.Duration, progress []byte) (cancel bool, err error)
	// FinishJob ends a job in state done, failed or cancelled.
	FinishJob(ctx context.Context, id int64, holder string, state JobState, result []byte, errText string) error
	// RetryJob puts a claimed job back into the queue for runAt, or cancels
	// it when somebody asked for that.
	RetryJob(ctx context.Context, id int64, holder string, runAt time.Time, errText string) error
	// CancelJob cancels a queued job at once and asks a running one to stop.
	CancelJob(ctx context.Context, id int64) error

	// Heartbeat says that the replica lives for ttl and counts the living.
	Heartbeat(ctx context.Context, replica string, ttl time.Duration) (live int, err error)
	// RemoveReplica forgets a replica that stops.
	RemoveReplica(ctx context.Context, replica string) error

	// TouchCredential notes the last use and, when evidence is not empty,
	// the client recognised from traffic. It is best effort and not audited.
	TouchCredential(ctx context.Context, id string, used time.Time, evidence string) error

	// Ping answers nil when the database can commit.
	Ping(ctx context.Context) error
	// Backup writes a consistent copy to path, which must not exist.
	// PostgreSQL answers an error that names pg_dump.
	Backup(ctx context.Context, path string) error
	// Close waits for running Updates and closes the database.
	Close() error
}

// Reader reads committed state (in a Tx: the transaction's own). Returned
// values belong to the caller. A missing row is ErrNotFound; lists are empty,
// never an error, when nothing matches.
type Reader interface {
	// Person finds a living person by SCIM id or by an alias of it.
	Person(ctx context.Context, tenant, id string) (*Person, error)
	// PersonByUserName takes a folded user name.
	PersonByUserName(ctx context.Context, tenant, folded string) (*Person, error)
	// PersonByEmail takes the folded e-mail that upstream knows the person by.
	PersonByEmail(ctx context.Context, tenant, folded string) (*Person, error)
	// PersonsByAnyEmail finds every living person that has this folded
	// address among all of its addresses, by Seq.
	PersonsByAnyEmail(ctx context.Context, tenant, folded string) ([]*Person, error)
	// PersonsByExternalID compares byte for byte, by Seq.
	PersonsByExternalID(ctx context.Context, tenant, externalID string) ([]*Person, error)
	PersonByUserID(ctx context.Context, tenant string, userID int64) (*Person, error)
	PersonByInviteID(ctx context.Context, tenant, inviteID string) (*Person, error)
	// Persons is a window of the listed, living persons by Seq.
	Persons(ctx context.Context, tenant string, w Window) ([]*Person, error)
	// Revisions is the same window without the rows: a cheap way to learn
	// which of them changed.
	Revisions(ctx context.Context, tenant string, w Window) ([]Revision, error)
	// CountPersons counts the listed, living persons.
	CountPersons(ctx context.Context, tenant string) (int, error)
	// Tombstone finds a deleted person by SCIM id or alias; ErrNotFound
	// when there is none.
	Tombstone(ctx context.Context, tenant, id string) (*Person, error)
	// TombstonesByUpstream finds the deleted persons that had this account
	// or invite (userID 0, inviteID "": not asked for), newest first.
	TombstonesByUpstream(ctx context.Context, tenant string, userID int64, inviteID string) ([]*Person, error)

	// PersonsByID finds living persons by SCIM id or alias: the key is the id
	// that was asked for, under several of which a person is the same pointer.
	// Who is not found is not in the map.
	PersonsByID(ctx context.Context, tenant string, ids []string) (map[string]*Person, error)
	// CountActive counts the listed, living persons that are Active. It may
	// cost a look at each of them.
	CountActive(ctx context.Context, tenant string) (int, error)

	// Group finds a living group by SCIM id.
	Group(ctx context.Context, tenant, id string) (*Group, error)
	// GroupByName takes a folded display name.
	GroupByName(ctx context.Context, tenant, folded string) (*Group, error)
	// GroupsByExternalID compares byte for byte, by Seq.
	GroupsByExternalID(ctx context.Context, tenant, externalID string) ([]*Group, error)
	// Groups is a window of the living groups by Seq.
	Groups(ctx context.Context, tenant string, w Window) ([]*Group, error)
	// CountGroups counts the living groups.
	CountGroups(ctx context.Context, tenant string) (int, error)
	// GroupsMark differs whenever a living group or its members changed, except
	// that a deleted person left its groups.
	GroupsMark(ctx context.Context, tenant string) (GroupsMark, error)
	// DeletedGroup finds a group that was deleted and not purged.
	DeletedGroup(ctx context.Context, tenant, id string) (*Group, error)
	// Members lists a group's members after the given person id, in the byte
	// order of PersonID.
	Members(ctx context.Context, tenant, groupID, after string, limit int) ([]Member, error)
	// MembersAmong tells which of the persons are members of the group.
	MembersAmong(ctx context.Context, tenant, groupID string, personIDs []string) (map[string]bool, error)
	// GroupsOf lists the groups of each of the persons, by Seq. Who is in none
	// is not in the map.
	GroupsOf(ctx context.Context, tenant string, personIDs []string) (map[string][]GroupRef, error)
	// RoleWork lists by Seq.
	RoleWork(ctx context.Context, tenant string, q RoleWorkQuery) ([]RoleWork, error)
	// CountRoleWork counts all of a tenant's, and those of them that are removals.
	CountRoleWork(ctx context.Context, tenant string) (all, removals int, err error)

	Intent(ctx context.Context, tenant, key string) (*Intent, error)
	// Intents lists those created before the given time, oldest first.
	Intents(ctx context.Context, tenant string, before time.Time, limit int) ([]*Intent, error)

	Tenant(ctx context.Context, slug string) (*Tenant, error)
	Tenants(ctx context.Context) ([]*Tenant, error)
	CredentialByHash(ctx context.Context, hash []byte) (*Credential, error)
	Credentials(ctx context.Context, tenant string) ([]*Credential, error)
	// Generation grows whenever a tenant or a credential changes.
	Generation(ctx context.Context) (int64, error)

	// Directory says when the tenant's people were last read from upstream;
	// the zero Directory when never.
	Directory(ctx context.Context, tenant string) (Directory, error)

	Job(ctx context.Context, id int64) (*Job, error)
	// Jobs lists newest first; tenant "" means all tenants.
	Jobs(ctx context.Context, tenant string, limit int) ([]*Job, error)

	// Events lists in the order of Seq, or newest first when q.Newest. In
	// the order of Seq it shows no event before all with a smaller Seq are
	// there, so who goes on after the last one seen misses none.
	Events(ctx context.Context, q EventQuery) ([]*Event, error)
	// Guard says how a guard stands in the window that began at since.
	Guard(ctx context.Context, tenant, guard string, since time.Time) (GuardUse, error)
	// First is when something was first noted; zero when never.
	First(ctx context.Context, tenant, what string) (time.Time, error)
}

// Tx is a transaction. It is valid only inside the function that Update calls
// and is not safe for concurrent use.
type Tx interface {
	Reader

	// InsertPerson stores a new person, assigning Seq and Version 1.
	// *ConflictError when the id, user name, e-mail or user id is taken.
	InsertPerson(p *Person) error
	// UpdatePerson replaces a person's row if its version is still
	// p.Version, which it increments. ErrStale when it is not, or when the
	// person is deleted; *ConflictError when uniqueness forbids it.
	UpdatePerson(p *Person) error
	// SeePerson stores LastSeen, LastSeenAt, UserID, InviteIDs, Listed and
	// Active alone if the version is still p.Version; the version stays: what
	// upstream shows is not a change of ours. ErrStale when it is not,
	// *ConflictError when the user id is taken.
	SeePerson(p *Person) error
	// DeletePerson turns a person into a tombstone without personal data:
	// ids and DeletedAt stay. Its places in groups and its role work go.
	// ErrStale when p.Version is not current.
	DeletePerson(p *Person, at time.Time) error
	// AddAlias makes Person(alias) find the person. *ConflictError when the
	// alias is another person's id or alias; adding it again does nothing.
	// ErrNotFound when id is nobody's.
	AddAlias(tenant, alias, id string) error

	// InsertGroup stores a new group, assigning Seq and Version 1.
	// *ConflictError when the id or the name is taken.
	InsertGroup(g *Group) error
	// LockGroup is Group, and keeps the group and its members from being
	// changed by others until the transaction ends; a member that is deleted
	// leaves all the same.
	LockGroup(tenant, id string) (*Group, error)
	// UpdateGroup stores DisplayName, FoldedName, ExternalID and ModifiedAt
	// if the version is still g.Version, which it increments. ErrStale when
	// it is not, *ConflictError when the name is taken.
	UpdateGroup(g *Group) error
	// DeleteGroup removes the members and keeps the id until PurgeGroup; its
	// role work stays. ErrStale when g.Version is not current.
	DeleteGroup(g *Group, at time.Time) error
	// RestoreGroup lets a deleted group live again, without members, and
	// returns it. ErrNotFound when there is none, *ConflictError when its name
	// is taken meanwhile.
	RestoreGroup(tenant, id string, at time.Time) (*Group, error)
	// PurgeGroup forgets a deleted group; a missing one is no error.
	PurgeGroup(tenant, id string) error
	// AddMembers adds persons, by their own ids, to a group; who is a member
	// stays one, and who is no living person is left out. ErrNotFound when
	// there is no such group.
	AddMembers(tenant, groupID string, personIDs []string) error
	// RemoveMembers removes persons; who is not a member does not matter.
	RemoveMembers(tenant, groupID string, personIDs []string) error

	// PutRoleWork inserts each, or puts it anew with a new Seq, no attempts
	// and due at RunAt: it is a removal if it was or is one, and keeps its
	// CreatedAt. It assigns Seq.
	PutRoleWork(work []RoleWork) error
	// EndRoleWork removes a person's work up to and including a Seq.
	EndRoleWork(tenant, personID string, upTo int64) error
	// DropGrants removes a tenant's work up to and including a Seq, except
	// removals, and says how much that was.
	DropGrants(tenant string, upTo int64) (int, error)
	// DelayRoleWork notes that an attempt at a person's work up to and
	// including a Seq failed, and when it is due again.
	DelayRoleWork(tenant, personID string, upTo int64, runAt time.Time, errText string) error

	// TakeGuard lets subjects pass a guard at the given time, all or none:
	// none when more than limit would have passed since the given time and
	// the guard is not open. Who passed since then passes again without being
	// counted, and who passes is no longer held. Concurrent calls for one
	// guard are judged one after the other.
	TakeGuard(tenant, guard string, subjects []string, at, since time.Time, limit int) (ok bool, err error)
	// HoldGuard notes that subjects were held.
	HoldGuard(tenant, guard string, subjects []string, at time.Time) error
	// OpenGuard lifts a guard's limit until the given time; zero puts it back.
	OpenGuard(tenant, guard string, until time.Time) error
	// NoteFirst notes that something happened, if it was never noted before.
	NoteFirst(tenant, what string, at time.Time) error

	// PutIntent inserts or replaces the intent of its key.
	PutIntent(i *Intent) error
	DeleteIntent(tenant, key string) error

	// AcquireLease takes the lease of a key until ttl from now by the
	// database's clock. *LeaseHeldError while another holder has it; the
	// same holder renews it, with a new Token.
	AcquireLease(tenant, key, holder string, ttl time.Duration) (Lease, error)
	// CheckLease returns ErrLeaseLost unless l is still held with its Token.
	CheckLease(l Lease) error
	// ReleaseLease gives l up; releasing a lost lease does nothing.
	ReleaseLease(l Lease) error

	// AppendEvent assigns Seq.
	AppendEvent(e *Event) error

	// PutTenant inserts (Version 0) or replaces a tenant whose version is
	// still t.Version, and increments it. ErrStale when it is not,
	// *ConflictError when the slug is taken by an insert or an organization
	// belongs to another tenant of the same upstream.
	PutTenant(t *Tenant) error
	// DeleteTenant removes a tenant and everything that belongs to it but
	// its events. ErrNotFound when there is none.
	DeleteTenant(slug string) error
	// PutCredential inserts or replaces by ID. *ConflictError when the hash
	// is taken, or the id by a credential of another tenant.
	PutCredential(c *Credential) error

	PutDirectory(tenant string, d Directory) error
}

// Window selects persons or groups by Seq.
type Window struct {
	// After skips those up to and including this Seq.
	After int64
	// Offset skips that many more.
	Offset int
	// Limit is the most to return; 0 returns none.
	Limit int
}
