package store

import (
	"context"
	"time"
)

// Finding is something that the traffic of a provisioning client showed, which
// its administrator may want to correct. A tenant, credential, code and subject
// have one. It holds no personal data.
type Finding struct {
	// Credential is the id of the credential whose traffic it was.
	Tenant, Credential string
	// Code names what was found.
	Code string
	// Subject is what it was found of: the id of a person or of a group, an
	// attribute of a schema, a pseudonym by the operator's key; "" where the
	// traffic as a whole shows it, or what may not be kept.
	Subject string
	// FirstSeen and LastSeen are zero when it was settled before it was seen.
	FirstSeen, LastSeen time.Time
	// SettledAt is when the contrary was last seen; zero: never. A finding
	// that was not seen since is over.
	SettledAt time.Time
	// Count is how often it was seen since it began.
	Count int64
}

// Open reports whether f was seen after the contrary was.
func (f *Finding) Open() bool { return f.LastSeen.After(f.SettledAt) }

// Findings keeps what traffic showed. It is written behind the requests and
// best effort: nothing else depends on it.
type Findings interface {
	// Findings lists a tenant's, those that are over included, in the byte
	// order of Code, Credential and Subject.
	Findings(ctx context.Context, tenant string) ([]*Finding, error)
	// MergeFindings adds what was seen, or settled, to what is kept: the
	// earliest FirstSeen, the latest LastSeen and SettledAt, the sum of Count. A
	// finding that is over and is seen again begins anew. So the order in which
	// several processes merge does not decide what is open. Tenant is that of
	// all; of one that does not exist nothing is kept. An error keeps nothing.
	MergeFindings(ctx context.Context, tenant string, seen []Finding) error
	// PruneFindings forgets what was neither seen nor settled since the first
	// time, and what is over and was settled before the second.
	PruneFindings(ctx context.Context, unseen, settled time.Time) error
}
