package scim

import (
	"context"
	"iter"
)

// Group is a Group resource (RFC 7643 §4.2) as a client sends it. As in User a
// zero value means that an attribute is unassigned; Members is nil when a body
// does not mention them, and empty when it says that there are none.
type Group struct {
	Schemas    []string `scim:"schemas"`
	ID         string   `scim:"id"`
	ExternalID string   `scim:"externalId"`
	Meta       Meta     `scim:"meta"`

	DisplayName string   `scim:"displayName"`
	Members     []Member `scim:"members"`
}

// Member is an entry of a group's members. Only users can be one: nested
// groups are refused.
type Member struct {
	Value   string `scim:"value"`
	Ref     string `scim:"$ref"`
	Type    string `scim:"type"`
	Display string `scim:"display"`
}

// GroupView is a group as a handler shows it. Its members are not in it: there
// may be too many to hold.
type GroupView struct {
	// Group has ID, Meta (with Location and Version) and no Members.
	Group Group
	// Members yields the members in a stable order, each with Value, Type and
	// Display; it may be called once, while the request's context lasts. An
	// error ends it. nil: there are none to show.
	Members iter.Seq2[Member, error]
}

// GroupHandler serves Group resources. Errors are as in UserHandler, and
// implementations are safe for concurrent use. Where the query's projection
// does not show members, handlers must not read them.
type GroupHandler interface {
	// CreateGroup is POST (RFC 7644 §3.3). The handler takes g over.
	CreateGroup(ctx context.Context, c Caller, g *Group, members bool) (*GroupView, error)
	// GetGroup is GET by id (RFC 7644 §3.4.1); members says that they are asked for.
	GetGroup(ctx context.Context, c Caller, id string, members bool) (*GroupView, error)
	// ListGroups is GET with a query (RFC 7644 §3.4.2).
	ListGroups(ctx context.Context, c Caller, q Query) (*Page[GroupView], error)
	// ReplaceGroup is PUT (RFC 7644 §3.5.1). Members that are nil stay.
	ReplaceGroup(ctx context.Context, c Caller, id string, g *Group, pre Preconditions, members bool) (*GroupView, error)
	// PatchGroup is PATCH (RFC 7644 §3.5.2).
	PatchGroup(ctx context.Context, c Caller, id string, p *GroupPatch, pre Preconditions, members bool) (*GroupView, error)
	// DeleteGroup is DELETE (RFC 7644 §3.6).
	DeleteGroup(ctx context.Context, c Caller, id string, pre Preconditions) error
}

// GroupPatch is a PATCH of a group, read and validated (RFC 7644 §3.5.2): what
// it changes, not what it leads to. It is immutable.
type GroupPatch struct {
	// DisplayName and ExternalID are what the attributes are to be at the end;
	// nil: as they are. An empty ExternalID clears it.
	DisplayName, ExternalID *string
	// Members are the changes of members, in order.
	Members []MemberChange
	// Skipped lists what was left out, as in Patch.
	Skipped []Note
}

// Empty reports whether p has nothing to apply.
func (p *GroupPatch) Empty() bool {
	return p.DisplayName == nil && p.ExternalID == nil && len(p.Members) == 0
}

// MemberOp is what a MemberChange does.
type MemberOp uint8

const (
	// MemberAdd adds Values; who is a member stays one.
	MemberAdd MemberOp = iota
	// MemberRemove removes Values, and who matches Filter; who is not a member
	// does not matter.
	MemberRemove
	// MemberReplace makes Values the only members; none empties the group.
	MemberReplace
)

// MemberChange is one change of a group's members.
type MemberChange struct {
	Op MemberOp
	// Values are ids as sent, without repeats.
	Values []string
	// Filter selects the members to remove, where that cannot be said by
	// Values; nil otherwise. It is to be matched against a Group that has one
	// member alone.
	Filter *Filter
}
