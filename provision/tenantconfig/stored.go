package tenantconfig

import (
	"encoding/json"
	"fmt"

	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream"
)

// sealed is the plaintext of store.Tenant.Secrets.
type sealed struct {
	ClientSecret string `json:"client_secret,omitempty"`
	APIKey       string `json:"api_key,omitempty"`
}

// ToStore is the tenant's row, with Version 0: its configuration in the clear
// and its secrets as seal makes them of a plaintext and of the slug, which
// they are bound to.
func (c *Config) ToStore(seal func(plain, aad []byte) ([]byte, error)) (*store.Tenant, error) {
	spec, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("tenant %q: %w", c.Slug, err)
	}
	plain, err := json.Marshal(sealed{string(c.Upstream.ClientSecret), string(c.Upstream.APIKey)})
	if err != nil {
		return nil, fmt.Errorf("tenant %q: %w", c.Slug, err)
	}
	secrets, err := seal(plain, []byte(c.Slug))
	if err != nil {
		return nil, fmt.Errorf("tenant %q: sealing the upstream secrets: %w", c.Slug, err)
	}
	return &store.Tenant{
		Slug: c.Slug, Name: c.Name, BaseURL: c.Upstream.BaseURL, Organizations: c.Organizations,
		Spec: spec, Secrets: secrets,
	}, nil
}

// FromStore reads a row back. open reverses the seal that ToStore was given;
// nil leaves the secrets out, for showing a tenant without the key.
func FromStore(t *store.Tenant, open func(sealed, aad []byte) ([]byte, error)) (*Config, error) {
	c := defaults()
	if err := json.Unmarshal(t.Spec, &c); err != nil {
		return nil, fmt.Errorf("tenant %q: its stored configuration is damaged: %w; apply its tenant.yaml again", t.Slug, err)
	}
	if c.Slug != t.Slug {
		return nil, fmt.Errorf("tenant %q: its stored configuration is that of %q; apply its tenant.yaml again", t.Slug, c.Slug)
	}
	if open == nil {
		return &c, nil
	}
	plain, err := open(t.Secrets, []byte(t.Slug))
	if err != nil {
		return nil, fmt.Errorf("tenant %q: its upstream secrets cannot be opened: %w; give the server the key that sealed them, or apply its tenant.yaml again", t.Slug, err)
	}
	var s sealed
	if err := json.Unmarshal(plain, &s); err != nil {
		return nil, fmt.Errorf("tenant %q: its upstream secrets are damaged; apply its tenant.yaml again", t.Slug)
	}
	c.Upstream.ClientSecret, c.Upstream.APIKey = upstream.Secret(s.ClientSecret), upstream.Secret(s.APIKey)
	return &c, nil
}
