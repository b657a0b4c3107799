package store

import "time"

// Person is one person of one tenant. Times are stored to the microsecond,
// in UTC; a zero time is "never".
type Person struct {
	Tenant string
	// ID is the SCIM id: assigned once, never reused.
	ID string
	// Seq orders persons for lists; it never changes.
	Seq int64
	// UserID is the upstream account; 0 while none is known.
	UserID int64
	// InviteIDs are this person's upstream invites, the current one last.
	InviteIDs []string

	// UserName is as sent; FoldedUserName is what uniqueness is judged by.
	UserName, FoldedUserName string
	// Email is the address that upstream knows the person by; FoldedEmail
	// is unique among a tenant's living persons, "" (no address yet) is not.
	Email, FoldedEmail string
	// AnyEmails are all the person's addresses, folded, without repeats.
	AnyEmails  []string
	ExternalID string

	// Managed is false for an account that nobody provisioned through us.
	Managed bool
	// Created says that we made the upstream account or invite.
	Created bool
	// Listed is false once upstream no longer has the person.
	Listed bool
	// Active says that upstream, when last seen, gave or offered the person
	// access.
	Active bool

	// Desired is what the client said, as the resource's JSON; empty while
	// not managed. LastWritten is what we last put upstream, LastSeen what
	// upstream last showed; both are JSON of the mapping package.
	Desired, LastWritten, LastSeen []byte
	// LastWrittenAt and LastSeenAt say when.
	LastWrittenAt, LastSeenAt time.Time

	// Version counts the changes of this row, from 1.
	Version int64
	// Revision counts the writes of this row, those of SeePerson included:
	// while it stays, nothing of the row changed. The store assigns it.
	Revision              int64
	CreatedAt, ModifiedAt time.Time
	// DeletedAt is zero for the living.
	DeletedAt time.Time
}

// Revision says how often a person's row was written.
type Revision struct{ Seq, Revision int64 }

// Group is one group of one tenant. Its members are rows of their own: a
// change of a group costs what it changes.
type Group struct {
	Tenant string
	// ID is the SCIM id: assigned once, never reused.
	ID string
	// Seq orders groups for lists; it never changes.
	Seq int64
	// DisplayName is as sent; FoldedName is unique among a tenant's living
	// groups.
	DisplayName, FoldedName string
	ExternalID              string
	// Version counts the changes of the group and of its members, from 1.
	Version               int64
	CreatedAt, ModifiedAt time.Time
	// DeletedAt is zero for the living.
	DeletedAt time.Time
}

// GroupsMark tells a state of a tenant's groups from every other one: a group
// that is made has a larger Seq, one that is deleted lessens Count, and every
// other change of a group adds to Versions.
type GroupsMark struct{ Count, Versions, LastSeq int64 }

// GroupRef is what is known of a group beside its members.
type GroupRef struct{ ID, DisplayName, ExternalID string }

// Member is one person's place in a group.
type Member struct {
	// PersonID is the person's SCIM id, never an alias.
	PersonID string
	// UserName is the person's.
	UserName string
}

// RoleWork says that a person's roles have to be put right upstream because a
// group changed. It is there until somebody did so.
type RoleWork struct {
	Tenant, GroupID, PersonID string
	// Seq grows whenever the work is put, also again. The store assigns it.
	// Who reads a tenant's work finds all with a smaller Seq committed.
	Seq int64
	// Removal says that the person is to lose something: the request that
	// caused it is not acknowledged before.
	Removal bool
	// Attempts counts those that failed, Error is the last one's.
	Attempts int
	Error    string
	// RunAt is when it is due again.
	RunAt, CreatedAt time.Time
}

// RoleWorkQuery selects role work; zero fields do not restrict.
type RoleWorkQuery struct {
	GroupID   string
	PersonIDs []string
	// Removals leaves grants out.
	Removals bool
	// DueBy leaves out what is due later.
	DueBy time.Time
	// Limit 0 means 1000.
	Limit int
}

// GuardUse says how far a limit on dangerous changes is used up.
type GuardUse struct {
	// Used counts the subjects that passed in the window, Held those that were
	// held in it and have not passed since.
	Used, Held int
	// HeldSubjects are the latest of those, at most 100.
	HeldSubjects []string
	// Oldest is when the first subject of the window passed: the next place
	// is free a window later. Zero when none is used.
	Oldest time.Time
	// OpenUntil is until when an operator lifted the limit; zero: never.
	OpenUntil time.Time
}

// Intent says what was about to be done upstream, so that whoever comes after
// a crash can find out whether it was.
type Intent struct {
	Tenant string
	// Key is unique per tenant.
	Key  string
	Kind string
	// PersonID is empty for a create whose id is not known yet.
	PersonID string
	// Payload is the owner's JSON.
	Payload   []byte
	CreatedAt time.Time
}

// Lease is the right to change what its key names.
type Lease struct {
	Tenant, Key, Holder string
	// Token grows with every acquisition of the key.
	Token int64
	// Until is when it ends, by the holder's own clock, rounded towards now.
	Until time.Time
}

// Tenant is one customer workspace.
type Tenant struct {
	// Slug names the tenant for ever.
	Slug string
	Name string
	// BaseURL is the upstream's; with Organizations it claims them.
	BaseURL       string
	Organizations []int64
	// Spec is the tenant's configuration document without secrets.
	Spec []byte
	// Secrets are the sealed upstream secrets.
	Secrets              []byte
	Version              int64
	CreatedAt, UpdatedAt time.Time
}

// Credential is one provisioning client's key. The secret itself is nowhere.
type Credential struct {
	ID, Tenant, Name string
	// Kind is "bearer".
	Kind string
	// Client is the dialect's name or "auto"; Evidence is what was
	// recognised from traffic while it is "auto".
	Client, Evidence string
	// Hash is the SHA-256 of the secret, unique.
	Hash []byte
	// Hint is the start of the secret, enough to recognise it by.
	Hint string
	// ExpiresAt and RevokedAt are zero for never.
	CreatedAt, ExpiresAt, RevokedAt, LastUsedAt time.Time
}

// Directory says how current a tenant's mirror of upstream is.
type Directory struct {
	// StartedAt and CompletedAt belong to the last complete scan.
	StartedAt, CompletedAt time.Time
	// People counts what that scan saw.
	People int
}

// JobState is the life of a job: queued, running, then one of the others.
type JobState string

const (
	JobQueued    JobState = "queued"
	JobRunning   JobState = "running"
	JobDone      JobState = "done"
	JobFailed    JobState = "failed"
	JobCancelled JobState = "cancelled"
)

// Job is durable work that any replica may carry on.
type Job struct {
	ID                   int64
	Tenant, Kind, Key    string
	Args                 []byte
	State                JobState
	Progress, Result     []byte
	Error                string
	Attempts             int
	CancelRequested      bool
	RunAt                time.Time
	Holder               string
	LeaseUntil           time.Time
	CreatedAt, UpdatedAt time.Time
}

// Outcome of an event.
const (
	OutcomeOK     = "ok"
	OutcomeFailed = "failed"
)

// Event is one entry of the audit trail: append-only.
type Event struct {
	Seq    int64
	At     time.Time
	Tenant string
	// Actor is a credential's id, or "cli", or "job:<kind>".
	Actor, RequestID string
	// Action is what was asked for, such as "user.create".
	Action string
	// ResourceID is the SCIM id; it may be empty for a failed create.
	ResourceType, ResourceID string
	Outcome                  string
	// Status is the HTTP status answered; 0 outside requests.
	Status int
	// Detail says in words what happened or why it failed.
	Detail string
	// Data is JSON: what changed, and the upstream steps.
	Data []byte
}

// EventQuery selects events; zero fields do not restrict.
type EventQuery struct {
	Tenant, ResourceID, RequestID string
	// After returns those with a larger Seq.
	After  int64
	Failed bool
	// Newest orders from the newest.
	Newest bool
	// Limit 0 means 100.
	Limit int
}
