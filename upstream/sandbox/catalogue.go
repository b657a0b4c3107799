package sandbox

import (
	"cmp"
	"fmt"
	"slices"
)

// Organization is a workspace of the platform.
type Organization struct {
	ID   int64  `json:"Id"`
	Name string `json:"Name"`
}

// PlatformRole is a role in the form of the User Management API. More weight is more permission.
type PlatformRole struct {
	ID     int64  `json:"Id"`
	Name   string `json:"Name"`
	Weight int    `json:"Weight"`
}

// IdentityProvider is a way to sign in.
type IdentityProvider struct {
	ID      int64  `json:"Id"`
	Name    string `json:"Name"`
	Prefix  string `json:"Prefix"`
	Enabled bool   `json:"Enabled"`
}

// Client is an API credential: it obtains tokens by ID and Secret, or uses APIKey as its bearer token.
type Client struct {
	ID            string
	Secret        string
	APIKey        string  // "": none
	Organizations []int64 // that it manages
	Weight        int     // of its own role: it grants no role of a higher one
}

// catalogue is what the platform offers and never changes: organizations, roles, identity providers and clients.
type catalogue struct {
	organizations     []Organization
	roles             []PlatformRole
	identityProviders []IdentityProvider
	clients           map[string]*credential // by client id
	secrets           map[string]string      // client id → secret
	apiKeys           map[[32]byte]*credential
	topWeight         int
	lowestRole        int64
}

// credential is who calls: a client, or a person (user is not 0) who has no organizations and manages nothing.
type credential struct {
	name          string
	organizations []int64
	weight        int
	user          int64
}

func newCatalogue(extra []Client) (*catalogue, error) {
	c := &catalogue{
		organizations: []Organization{{113, "Acme Freight"}, {114, "Acme Retail"}, {200, "Globex Parcel"}},
		roles: []PlatformRole{
			{1, "Owner", 100}, {2, "Administrator", 80}, {3, "Manager", 50}, {4, "Analyst", 30}, {5, "Viewer", 10},
		},
		identityProviders: []IdentityProvider{
			{1, "Password", "account", true}, {2, "Okta", "okta", true},
			{3, "Microsoft Entra ID", "entra", true}, {4, "Google", "google", false},
		},
		clients: map[string]*credential{}, secrets: map[string]string{}, apiKeys: map[[32]byte]*credential{},
	}
	byWeight := func(a, b PlatformRole) int { return cmp.Compare(a.Weight, b.Weight) }
	c.topWeight = slices.MaxFunc(c.roles, byWeight).Weight
	c.lowestRole = slices.MinFunc(c.roles, byWeight).ID

	clients := append([]Client{
		{ID: "acme", Secret: "acme-secret", APIKey: "sak_acme", Organizations: []int64{113, 114}, Weight: 80},
		{ID: "globex", Secret: "globex-secret", APIKey: "sak_globex", Organizations: []int64{200}, Weight: 80},
	}, extra...)
	for _, client := range clients {
		if err := c.addClient(client); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *catalogue) addClient(client Client) error {
	if client.ID == "" || client.Secret == "" {
		return fmt.Errorf("sandbox: client %q needs an id and a secret", client.ID)
	}
	if _, ok := c.clients[client.ID]; ok {
		return fmt.Errorf("sandbox: client %q exists already: choose another id", client.ID)
	}
	for _, id := range client.Organizations {
		if !slices.ContainsFunc(c.organizations, func(o Organization) bool { return o.ID == id }) {
			return fmt.Errorf("sandbox: client %q: unknown organization %d (have 113, 114, 200)", client.ID, id)
		}
	}
	cred := &credential{name: client.ID, organizations: sortedSet(client.Organizations), weight: client.Weight}
	c.clients[client.ID], c.secrets[client.ID] = cred, client.Secret
	if client.APIKey != "" {
		key := digest(client.APIKey)
		if _, ok := c.apiKeys[key]; ok {
			return fmt.Errorf("sandbox: client %q: its API key belongs to another client", client.ID)
		}
		c.apiKeys[key] = cred
	}
	return nil
}

func (c *catalogue) role(id int64) (PlatformRole, bool) {
	for _, r := range c.roles {
		if r.ID == id {
			return r, true
		}
	}
	return PlatformRole{}, false
}

// lower returns the role of less weight.
func (c *catalogue) lower(a, b int64) int64 {
	x, _ := c.role(a)
	y, _ := c.role(b)
	if y.Weight < x.Weight {
		return b
	}
	return a
}

func (c *catalogue) organization(id int64) bool {
	return slices.ContainsFunc(c.organizations, func(o Organization) bool { return o.ID == id })
}

func (c *catalogue) identityProvider(id int64) (IdentityProvider, bool) {
	for _, p := range c.identityProviders {
		if p.ID == id {
			return p, true
		}
	}
	return IdentityProvider{}, false
}

// grantable refuses a role that is unknown or heavier than the credential's own.
func (c *catalogue) grantable(by *credential, roleID int64, field string) error {
	role, ok := c.role(roleID)
	if !ok {
		return invalidField(field, "unknown role %d: use one that list_roles shows", roleID)
	}
	if role.Weight > by.weight {
		return forbidden("role %d (%s, weight %d) is above this credential's weight %d", role.ID, role.Name, role.Weight, by.weight)
	}
	return nil
}

// enabledProvider refuses an identity provider that is unknown or disabled.
func (c *catalogue) enabledProvider(id int64, field string) error {
	p, ok := c.identityProvider(id)
	if !ok {
		return invalidField(field, "unknown identity provider %d: use one that list_identity_providers shows", id)
	}
	if !p.Enabled {
		return invalidField(field, "identity provider %d (%s) is disabled", id, p.Name)
	}
	return nil
}

// managed refuses organizations that the credential does not manage, unknown ones alike.
func (by *credential) managed(organizationIDs []int64) error {
	for _, id := range organizationIDs {
		if !slices.Contains(by.organizations, id) {
			return forbidden("organization %d is not managed by this credential", id)
		}
	}
	return nil
}

func (s *Sandbox) listRoles(*call) (answer, error) {
	return ok(struct {
		Roles []PlatformRole `json:"Roles"`
	}{s.catalogue.roles})
}

func (s *Sandbox) listIdentityProviders(*call) (answer, error) {
	return ok(struct {
		IdentityProviders []IdentityProvider `json:"IdentityProviders"`
	}{s.catalogue.identityProviders})
}

func (s *Sandbox) listOrganizations(c *call) (answer, error) {
	out := struct {
		Organizations []Organization `json:"Organizations"`
	}{[]Organization{}}
	for _, o := range s.catalogue.organizations {
		if slices.Contains(c.cred.organizations, o.ID) {
			out.Organizations = append(out.Organizations, o)
		}
	}
	return ok(out)
}

func sortedSet(ids []int64) []int64 {
	out := slices.Clone(ids)
	slices.Sort(out)
	return slices.Compact(out)
}

// distinct drops repetitions and keeps the order.
func distinct(ids []int64) []int64 {
	var out []int64
	for _, id := range ids {
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}
