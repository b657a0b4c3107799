package requestlog

import (
	"slices"
	"strings"
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

// Entry is a request as it was: with the values that the client sent. It never
// leaves the process.
type Entry struct {
	// At is when the request was received.
	At                 time.Time
	Tenant, Credential string
	// Dialect, Method, Route, Action and ResourceType are words of the bridge,
	// not of the client.
	Dialect, Method, Route, Action string
	ResourceType                   string
	// Bulk counts the operations of a bulk request from 1; 0: a whole request.
	Bulk int
	// ID is the id in the path, or of the resource that was created.
	ID string
	// Name is the userName or displayName in the body.
	Name string
	// Filter is the filter of a query, "" when there is none.
	Filter string
	Status int
	// Type and Detail are the scimType and the detail of a refusal.
	Type, Detail string
	// Calls is how many calls to Share A Refund were attempted.
	Calls     int
	Duration  time.Duration
	RequestID string
	EntraFlag bool
	// Aborted: the answer was begun with Status and could not be finished.
	Aborted bool
}

const (
	// maxName, maxFilter and maxDetail bound what an entry holds of a client's
	// texts while it waits, in bytes. No longer filter is accepted, and a longer
	// name is not logged.
	maxName   = 512
	maxFilter = 4 << 10
	maxDetail = 1 << 10
)

// bound makes an entry small, and free of the request that its texts are parts
// of.
func (e *Entry) bound() {
	e.ID = strings.Clone(e.ID)
	if len(e.Name) > maxName {
		e.Name = ""
	}
	e.Name = strings.Clone(e.Name)
	e.Filter = strings.Clone(e.Filter[:min(len(e.Filter), maxFilter+1)])
	if len(e.Detail) > maxDetail {
		e.Detail = strings.Clone(e.Detail[:maxDetail])
	}
}

// row is what is kept of an entry.
func (m masker) row(e *Entry) *store.Request {
	r := &store.Request{
		At: e.At, Tenant: e.Tenant, Credential: e.Credential, Dialect: e.Dialect, Method: e.Method, Route: e.Route, Action: e.Action,
		Bulk: e.Bulk, ResourceType: e.ResourceType, ResourceID: m.id(e), Status: e.Status, Type: e.Type, Detail: m.detail(e.Detail),
		Calls: e.Calls, Duration: e.Duration, RequestID: e.RequestID, EntraFlag: e.EntraFlag, Aborted: e.Aborted,
	}
	r.Filter, r.Names = m.filter(e.Filter)
	if e.Name != "" {
		r.Names = append([]string{m.of(e.Name)}, r.Names...)
	}
	slices.Sort(r.Names)
	r.Names = slices.Compact(r.Names)
	return r
}

// id is the id of a resource that exists, or may: what else stands in its place
// is a value.
func (m masker) id(e *Entry) string {
	if e.ID == "" || e.Status < 400 || uuidForm.MatchString(e.ID) {
		return e.ID
	}
	return m.of(e.ID)
}
