package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream"
)

// PersonReport is everything the bridge knows of one person, for an operator.
type PersonReport struct {
	Tenant     string    `json:"tenant"`
	ID         string    `json:"id"`
	UserName   string    `json:"user_name"`
	Email      string    `json:"email"`
	ExternalID string    `json:"external_id,omitempty"`
	Managed    bool      `json:"managed"`
	Created    bool      `json:"created_by_bridge"`
	UserID     int64     `json:"user_id,omitempty"`
	InviteIDs  []string  `json:"invite_ids,omitempty"`
	Active     bool      `json:"active"`
	Version    int64     `json:"version"`
	CreatedAt  time.Time `json:"created_at"`
	ModifiedAt time.Time `json:"modified_at"`
	SeenAt     time.Time `json:"seen_at"`
	// Desired is the User that the client said last, as SCIM JSON, to compare
	// with Upstream; nil for a person whom no client manages.
	Desired  json.RawMessage `json:"desired,omitempty"`
	Upstream mapping.Account `json:"upstream"`
	// Groups are the person's groups, Roles what it holds in each organization
	// of the tenant and why.
	Groups     []mapping.Group `json:"groups,omitempty"`
	Roles      []RoleReport    `json:"roles,omitempty"`
	NotApplied []string        `json:"not_applied,omitempty"`
	// Withheld says why somebody who is to be active has no access; "" where that
	// is not so.
	Withheld string `json:"withheld,omitempty"`
	// Adoptable says whether a client's first write may take the account
	// over; AdoptableWhy says why not.
	Adoptable    bool   `json:"adoptable"`
	AdoptableWhy string `json:"adoptable_why,omitempty"`
}

// RoleReport is a role that a person holds, or is offered.
type RoleReport struct {
	OrganizationID int64  `json:"organization_id"`
	Role           string `json:"role"`
	State          string `json:"state"`
	Because        string `json:"because"`
}

// findPerson finds a living person by SCIM id, user name, e-mail address or
// upstream user id.
func (s *Service) findPerson(ctx context.Context, tenant, ref string) (*store.Person, error) {
	tries := []func() (*store.Person, error){
		func() (*store.Person, error) { return s.store.Person(ctx, tenant, ref) },
		func() (*store.Person, error) { return s.store.PersonByUserName(ctx, tenant, scim.Fold(ref)) },
		func() (*store.Person, error) { return s.store.PersonByEmail(ctx, tenant, scim.Fold(ref)) },
	}
	if n, err := strconv.ParseInt(ref, 10, 64); err == nil && n > 0 {
		tries = append(tries, func() (*store.Person, error) { return s.store.PersonByUserID(ctx, tenant, n) })
	}
	for _, try := range tries {
		p, err := try()
		if err == nil || !errors.Is(err, store.ErrNotFound) {
			return p, err
		}
	}
	if strings.Contains(ref, "@") {
		w, err := s.spaces.get(ctx, tenant)
		if err != nil {
			return nil, err
		}
		rows, err := s.findUpstream(ctx, w, ref)
		if err != nil {
			return nil, err
		}
		if len(rows) > 0 {
			return rows[0], nil
		}
	}
	return nil, &noPersonError{tenant, ref}
}

// noPersonError is a store.ErrNotFound in the words of an operator.
type noPersonError struct{ tenant, ref string }

func (e *noPersonError) Error() string {
	return fmt.Sprintf("tenant %q has no person %q (looked for a SCIM id, userName, e-mail address and upstream user id)", e.tenant, e.ref)
}

func (*noPersonError) Is(target error) bool { return target == store.ErrNotFound }

// ShowPerson reports on one person with a fresh look at upstream.
func (s *Service) ShowPerson(ctx context.Context, tenant, ref string) (*PersonReport, error) {
	w, pol, err := s.enter(ctx, tenant)
	if err != nil {
		return nil, err
	}
	p, err := s.findPerson(ctx, tenant, ref)
	if err != nil {
		return nil, err
	}
	r, err := readRecord(p)
	if err != nil {
		return nil, err
	}
	acc, err := s.observe(ctx, w, r, nil)
	if errors.Is(err, errGone) {
		acc = mapping.Account{}
	} else if err != nil {
		return nil, err
	}
	if err := s.withGroups(ctx, r); err != nil {
		return nil, err
	}
	return s.report(pol, r, acc)
}

func (s *Service) report(pol *mapping.Policy, r *record, acc mapping.Account) (*PersonReport, error) {
	u, err := s.view(pol, r, acc)
	if err != nil {
		return nil, err
	}
	p := r.row
	rep := &PersonReport{
		Tenant: p.Tenant, ID: p.ID, UserName: u.UserName, Email: p.Email, ExternalID: u.ExternalID, Managed: p.Managed,
		Created: p.Created, UserID: acc.UserID, InviteIDs: p.InviteIDs, Active: *u.Active, Version: p.Version, Groups: r.groups,
		CreatedAt: p.CreatedAt, ModifiedAt: p.ModifiedAt, SeenAt: s.now(), Upstream: acc,
	}
	if e := mapping.Extension(u); e != nil {
		rep.NotApplied = e.NotApplied
		if slices.Contains(e.NotApplied, "active") {
			rep.Withheld = "in no group that gives access, and the tenant has require_group"
		}
		for _, m := range e.Memberships {
			rep.Roles = append(rep.Roles, RoleReport{*m.OrganizationID, m.RoleName, m.State, m.Because})
		}
	}
	if p.Managed && len(p.Desired) > 0 {
		rep.Desired = p.Desired
	}
	if !p.Managed {
		rep.Adoptable, rep.AdoptableWhy = pol.MayAdopt(acc)
	}
	return rep, nil
}

// AdoptPerson hands an account that was there before us over to the tenant's
// provisioning client, whatever the policy says. Nothing changes upstream.
func (s *Service) AdoptPerson(ctx context.Context, tenant, ref, actor string) (*PersonReport, error) {
	p, err := s.findPerson(ctx, tenant, ref)
	if err != nil {
		return nil, err
	}
	if p.Managed {
		return nil, fmt.Errorf("person %s (%s) is managed already: nothing to adopt", p.ID, p.UserName)
	}
	_, err = s.change(ctx, scim.Caller{Tenant: tenant, Credential: actor}, change{
		id: p.ID, action: "user.adopt", force: true, silent: true,
		next: func(view *scim.User) (*scim.User, error) { return view, nil },
	})
	if err != nil {
		return nil, err
	}
	return s.ShowPerson(ctx, tenant, p.ID)
}

// RelinkPerson makes a person stand for another upstream account, after the
// old one was replaced behind our back. The account must belong to the tenant
// and to nobody else there; nothing changes upstream.
func (s *Service) RelinkPerson(ctx context.Context, tenant, ref string, userID int64, actor string) (*PersonReport, error) {
	w, pol, err := s.enter(ctx, tenant)
	if err != nil {
		return nil, err
	}
	p, err := s.findPerson(ctx, tenant, ref)
	if err != nil {
		return nil, err
	}
	cl, err := s.newClaim(ctx, tenant, personKey(p.ID))
	if err != nil {
		return nil, err
	}
	defer cl.release()
	a, err := w.client.GetUser(ctx, userID)
	if isNotFound(err) {
		return nil, fmt.Errorf("upstream account %d does not exist or does not belong to the organizations of tenant %q", userID, tenant)
	}
	if err != nil {
		return nil, err
	}
	acc := accountOf(a, w.organizations, nil, s.now())
	var r *record
	err = cl.update(ctx, []string{personKey(p.ID)}, func(tx store.Tx) error {
		r, err = s.relinkIn(ctx, tx, tenant, p.ID, acc)
		if err != nil {
			return err
		}
		e, err := s.event(scim.Caller{Tenant: tenant, Credential: actor}, "user.relink", p.ID, 0, eventData{UserID: userID})
		if err != nil {
			return err
		}
		return tx.AppendEvent(e)
	})
	if err != nil {
		return nil, err
	}
	s.remap(ctx, p, r.row)
	return s.report(pol, r, acc)
}

func (s *Service) relinkIn(ctx context.Context, tx store.Tx, tenant, id string, acc mapping.Account) (*record, error) {
	p, err := tx.Person(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	other, err := tx.PersonByUserID(ctx, tenant, acc.UserID)
	switch {
	case err == nil && other.ID == p.ID:
		return nil, fmt.Errorf("person %s stands for account %d already", p.ID, acc.UserID)
	case err == nil && other.Managed:
		return nil, fmt.Errorf("account %d belongs to person %s (%s), who is managed too: delete or relink that one first", acc.UserID, other.ID, other.UserName)
	case err == nil:
		if err := tx.DeletePerson(other, s.now()); err != nil {
			return nil, err
		}
	case !errors.Is(err, store.ErrNotFound):
		return nil, err
	}
	r, err := readRecord(p)
	if err != nil {
		return nil, err
	}
	r.seen.Invite, p.InviteIDs = nil, nil // they lead to the old account
	if err := r.see(acc, s.now()); err != nil {
		return nil, err
	}
	p.ModifiedAt = s.now()
	return r, tx.UpdatePerson(p)
}

func isNotFound(err error) bool { return upstream.IsNotFound(err) }

// pendingInvite looks for an invite of the address that waits.
func (s *Service) pendingInvite(ctx context.Context, w *workspace, email string) (mapping.Account, error) {
	q := upstream.ListInvitesQuery{State: upstream.InvitePending, Email: email}
	for i, err := range w.client.ListInvites(ctx, q) {
		if err != nil {
			return mapping.Account{}, err
		}
		if scim.Fold(i.Email) == scim.Fold(email) {
			return inviteOf(i, s.now()), nil
		}
	}
	return mapping.Account{}, nil
}
