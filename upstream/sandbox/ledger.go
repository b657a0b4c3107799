package sandbox

import (
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Mail is a message that the service sent; organization ids are empty for a password reset.
type Mail struct {
	At              time.Time `json:"at"`
	Kind            string    `json:"kind"` // "invite" or "password_reset"
	To              string    `json:"to"`
	OrganizationIDs []int64   `json:"organization_ids"`
}

// Entry is a line of the ledger: what one call did to one person. In JSON, "before" and "after" are the account's
// record, or that of the first invite when the effect touched no account.
type Entry struct {
	Seq             int64 // from 1, without gaps
	At              time.Time
	Operation       string
	Credential      string // "" for the side door
	UserID          *int64
	InviteID        *string
	Email           string
	OrganizationIDs []int64 // concerned by the effect
	Before, After   *Account
	Invites         []InviteChange
}

// InviteChange is an invite before and after an effect; Before is nil for a new one.
type InviteChange struct {
	Before *Invite `json:"before"`
	After  *Invite `json:"after"`
}

type entryJSON struct {
	Seq             int64          `json:"seq"`
	At              time.Time      `json:"at"`
	Operation       string         `json:"operation"`
	Credential      string         `json:"credential"`
	UserID          *int64         `json:"user_id"`
	InviteID        *string        `json:"invite_id"`
	Email           string         `json:"email"`
	OrganizationIDs []int64        `json:"organization_ids"`
	Before          jsontext.Value `json:"before"`
	After           jsontext.Value `json:"after"`
	Invites         []InviteChange `json:"invites"`
}

// MarshalJSON writes the form that GET /_sandbox/ledger answers.
func (e Entry) MarshalJSON() ([]byte, error) {
	var before, after any = e.Before, e.After
	if e.Before == nil && e.After == nil && len(e.Invites) > 0 {
		before, after = e.Invites[0].Before, e.Invites[0].After
	}
	out := entryJSON{
		Seq: e.Seq, At: e.At, Operation: e.Operation, Credential: e.Credential, UserID: e.UserID, InviteID: e.InviteID,
		Email: e.Email, OrganizationIDs: nonNil(e.OrganizationIDs), Invites: nonNil(e.Invites),
	}
	var err error
	if out.Before, err = json.Marshal(before); err != nil {
		return nil, err
	}
	if out.After, err = json.Marshal(after); err != nil {
		return nil, err
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (e *Entry) UnmarshalJSON(b []byte) error {
	var in entryJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*e = Entry{
		Seq: in.Seq, At: in.At, Operation: in.Operation, Credential: in.Credential, UserID: in.UserID, InviteID: in.InviteID,
		Email: in.Email, OrganizationIDs: in.OrganizationIDs, Invites: in.Invites,
	}
	for _, side := range []struct {
		from jsontext.Value
		to   **Account
	}{{in.Before, &e.Before}, {in.After, &e.After}} {
		var kind struct {
			State *string `json:"account_state"`
		}
		if err := json.Unmarshal(side.from, &kind); err != nil {
			return err
		}
		if kind.State == nil {
			continue // null, or an invite, which Invites holds
		}
		if err := json.Unmarshal(side.from, side.to); err != nil {
			return err
		}
	}
	return nil
}

// entry shows the effect. Invites are shown as they were at its time.
func (e *effect) entry(c *catalogue) Entry {
	out := Entry{
		Seq: e.Seq, At: e.At, Operation: e.Operation, Credential: e.Credential, UserID: orNull(e.UserID),
		InviteID: orNull(e.InviteID), Email: e.Email, OrganizationIDs: slices.Clone(e.Organizations),
		Before: e.before.record(c), After: e.Account.record(c), Invites: []InviteChange{},
	}
	for k, i := range e.Invites {
		out.Invites = append(out.Invites, InviteChange{e.invitesBefore[k].record(e.At), i.record(e.At)})
	}
	return out
}

// Ledger returns every effect so far, oldest first. The caller owns the result.
func (s *Sandbox) Ledger() []Entry { return s.ledgerAfter(0) }

func (s *Sandbox) ledgerAfter(seq int64) []Entry {
	s.mu.Lock()
	effects := s.state.ledger // append-only: what is there does not change
	s.mu.Unlock()
	from := min(max(seq, 0), int64(len(effects)))
	out := make([]Entry, 0, int64(len(effects))-from)
	for _, e := range effects[from:] {
		out = append(out, e.entry(s.catalogue))
	}
	return out
}

// Outbox returns every mail sent so far, oldest first. The caller owns the result.
func (s *Sandbox) Outbox() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.state.outbox)
}

// State is everything that the service holds. Accounts are ordered by id, invites by creation.
type State struct {
	Accounts          []Account          `json:"accounts"`
	Invites           []Invite           `json:"invites"`
	Organizations     []Organization     `json:"organizations"`
	Roles             []PlatformRole     `json:"roles"`
	IdentityProviders []IdentityProvider `json:"identity_providers"`
}

// State returns a copy of everything that the service holds now.
func (s *Sandbox) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	out := State{
		Accounts: []Account{}, Invites: []Invite{},
		Organizations: slices.Clone(s.catalogue.organizations), Roles: slices.Clone(s.catalogue.roles),
		IdentityProviders: slices.Clone(s.catalogue.identityProviders),
	}
	for _, id := range allIDs(s.state.accounts, nil) {
		out.Accounts = append(out.Accounts, *s.state.accounts[id].record(s.catalogue))
	}
	for _, seq := range allIDs(s.state.invites, nil) {
		out.Invites = append(out.Invites, *s.state.invites[seq].record(now))
	}
	return out
}

// Account returns the account with the address, compared without case, or nil.
func (s State) Account(email string) *Account {
	for i := range s.Accounts {
		if fold(s.Accounts[i].Email) == fold(email) {
			return &s.Accounts[i]
		}
	}
	return nil
}

// InvitesOf returns the invites to the address, compared without case, oldest first.
func (s State) InvitesOf(email string) []Invite {
	var out []Invite
	for _, i := range s.Invites {
		if fold(i.Email) == fold(email) {
			out = append(out, i)
		}
	}
	return out
}
