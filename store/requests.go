package store

import (
	"context"
	"time"
)

// RequestLog keeps the requests of provisioning clients, beside the events of
// what they changed. It is best effort: rows may be missing, and nothing else
// depends on them. The values of a request are not in it, only pseudonyms.
type RequestLog interface {
	// AppendRequests stores rows in one transaction and assigns their Seq, in
	// their order. Rows of a tenant that does not exist (any more) are left
	// out, with Seq 0.
	AppendRequests(ctx context.Context, rows []*Request) error
	// Requests lists in the order of Seq, or newest first when q.Newest. It
	// shows no row before all with a smaller Seq are there.
	Requests(ctx context.Context, q RequestQuery) ([]*Request, error)
	// PruneRequests deletes up to limit of a tenant's oldest rows: those up to
	// the last that was received before the given time, and those that are not
	// among the newest keep. It returns how many; limit of them mean that there
	// may be more. It does so in small transactions. Unless the time is zero,
	// which is before all, every row of the tenant is read for it.
	PruneRequests(ctx context.Context, tenant string, before time.Time, keep, limit int) (int, error)
}

// Request is one request of a provisioning client, or one operation of a bulk
// request. It holds no name, address, token or other value that the client
// sent: pseudonyms stand for them.
type Request struct {
	Seq int64
	// At is when the request was received.
	At     time.Time
	Tenant string
	// Credential is a credential's id.
	Credential string
	// Dialect is the name of the client's dialect, such as "okta".
	Dialect string
	Method  string
	// Route is the pattern of the route, or "unmatched".
	Route string
	// Action is what was asked for, in the words of events where they have one:
	// "user.create", "user.find".
	Action string
	// Bulk counts the operations of a bulk request from 1; 0: a whole request.
	Bulk int
	// ResourceType is "User", "Group" and so on; empty where there is none.
	ResourceType string
	// ResourceID is the SCIM id, or a pseudonym of what stood in its place;
	// empty for lists and for failed creates.
	ResourceID string
	// Names are the pseudonyms of the names that the body and the filter
	// mention. They hold no space.
	Names []string
	// Filter is the filter with pseudonyms for its values.
	Filter string
	Status int
	// Type is the scimType of a refusal, Detail its detail without values.
	Type, Detail string
	// Calls is how many calls to Share A Refund were attempted.
	Calls     int
	Duration  time.Duration
	RequestID string
	// EntraFlag: the address has Entra's aadOptscim062020.
	EntraFlag bool
	// Aborted: the answer was begun with Status and could not be finished.
	Aborted bool
}

// Failed reports a request that was refused, failed or not answered in full.
func (r *Request) Failed() bool { return r.Status >= 400 || r.Aborted }

// RequestQuery selects requests; zero fields do not restrict.
type RequestQuery struct {
	Tenant, RequestID string
	// Subjects selects rows whose ResourceID, or one of whose Names, is among
	// them. It needs a Tenant: pseudonyms are those of one.
	Subjects []string
	// After returns those with a larger Seq.
	After  int64
	Failed bool
	// Newest orders from the newest.
	Newest bool
	// Limit 0 means 100.
	Limit int
}
