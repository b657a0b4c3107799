package credentials

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream"
)

// Auto is the client kind that is recognised from traffic.
const Auto = "auto"

// CheckClient reports whether name is a client kind, and if not, which there
// are.
func CheckClient(name string) error {
	if name == Auto {
		return nil
	}
	_, err := scim.ParseDialect(name)
	return err
}

// Request asks for a credential.
type Request struct {
	// Tenant is the slug of an existing tenant.
	Tenant string
	// Name is for people; "" is the date of creation.
	Name string
	// Client is Auto, "" for Auto, or the name of a scim.Dialect.
	Client string
	// Expires is when the token ends; zero is never.
	Expires time.Time
	// Actor stands in the event, such as "cli".
	Actor string
	// Token is the secret itself, which only a Service with AllowShort
	// accepts; "" makes one.
	Token upstream.Secret
}

// Create makes a credential and returns its token, which is nowhere else and
// cannot be shown again. The error names what is wrong with the request, or
// comes from the store.
func (s *Service) Create(ctx context.Context, r Request) (upstream.Secret, *store.Credential, error) {
	now := s.now()
	if r.Client == "" {
		r.Client = Auto
	}
	if r.Name = strings.TrimSpace(r.Name); r.Name == "" {
		r.Name = "created " + now.UTC().Format(time.DateOnly)
	}
	token := string(r.Token)
	if token == "" {
		token = newToken()
	}
	switch err := CheckClient(r.Client); {
	case err != nil:
		return "", nil, err
	case len(r.Name) > 200 || strings.ContainsFunc(r.Name, func(c rune) bool { return c < ' ' || c == 0x7f }):
		return "", nil, fmt.Errorf("name %q: use at most 200 bytes of plain text", r.Name)
	case !r.Expires.IsZero() && !r.Expires.After(now):
		return "", nil, fmt.Errorf("expiry %s: lies in the past; it is %s now", r.Expires.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case s.checkToken(token) != nil:
		return "", nil, s.checkToken(token)
	}
	hash := hashOf(token)
	c := &store.Credential{
		ID: newID(), Tenant: r.Tenant, Name: r.Name, Kind: "bearer", Client: r.Client,
		Hash: hash[:], Hint: hintOf(token), CreatedAt: now, ExpiresAt: r.Expires,
	}
	err := s.store.Update(ctx, func(tx store.Tx) error {
		if _, err := tx.Tenant(ctx, r.Tenant); err != nil {
			if errors.Is(err, store.ErrNotFound) {
				return noTenant(r.Tenant)
			}
			return err
		}
		if err := tx.PutCredential(c); err != nil {
			return err
		}
		return tx.AppendEvent(event(now, r.Actor, "credential.create", c))
	})
	if err != nil {
		return "", nil, err
	}
	return upstream.Secret(token), c, nil
}

func noTenant(slug string) error {
	return fmt.Errorf("tenant %q does not exist: see `scim-bridge tenant list`", slug)
}

// Revoke ends a credential: within five seconds every replica refuses its
// token. Revoking a revoked one changes nothing. The error is
// store.ErrNotFound when the tenant has no such credential.
func (s *Service) Revoke(ctx context.Context, tenant, id, actor string) error {
	now := s.now()
	return s.store.Update(ctx, func(tx store.Tx) error {
		all, err := tx.Credentials(ctx, tenant)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(c *store.Credential) bool { return c.ID == id })
		if i < 0 {
			return fmt.Errorf("tenant %q has no token %q: %w", tenant, id, store.ErrNotFound)
		}
		c := *all[i]
		if !c.RevokedAt.IsZero() {
			return nil
		}
		c.RevokedAt = now
		if err := tx.PutCredential(&c); err != nil {
			return err
		}
		return tx.AppendEvent(event(now, actor, "credential.revoke", &c))
	})
}

// List gives a tenant's credentials, the revoked ones included, oldest first.
func (s *Service) List(ctx context.Context, tenant string) ([]*store.Credential, error) {
	all, err := s.store.Credentials(ctx, tenant)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b *store.Credential) int {
		if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all, nil
}

func event(now time.Time, actor, action string, c *store.Credential) *store.Event {
	data, _ := json.Marshal(struct { // strings and times always encode
		Name    string    `json:"name"`
		Client  string    `json:"client"`
		Hint    string    `json:"hint,omitempty"`
		Expires time.Time `json:"expires,omitzero"`
	}{c.Name, c.Client, c.Hint, c.ExpiresAt})
	return &store.Event{
		At: now, Tenant: c.Tenant, Actor: actor, Action: action, ResourceType: "Credential", ResourceID: c.ID,
		Outcome: store.OutcomeOK, Data: data,
	}
}
