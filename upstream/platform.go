package upstream

import (
	"context"
	"errors"
	"fmt"
)

// ListRoles reads the roles.
func (c *Client) ListRoles(ctx context.Context) ([]Role, error) {
	type role struct {
		ID     int64  `json:"Id"`
		Name   string `json:"Name"`
		Weight int    `json:"Weight"`
	}
	var out []Role
	err := c.do(ctx, request{operation: "list_roles", decode: func(body []byte) error {
		wire, err := decoded[struct{ Roles []role }](body)
		if err != nil {
			return err
		}
		out, err = records("Roles", wire.Roles, func(r role) (Role, bool) { return Role(r), r.ID > 0 && r.Name != "" })
		return err
	}})
	return out, err
}

// ListIdentityProviders reads the ways to sign in, disabled ones included.
func (c *Client) ListIdentityProviders(ctx context.Context) ([]IdentityProvider, error) {
	type provider struct {
		ID      int64  `json:"Id"`
		Name    string `json:"Name"`
		Prefix  string `json:"Prefix"`
		Enabled bool   `json:"Enabled"`
	}
	var out []IdentityProvider
	err := c.do(ctx, request{operation: "list_identity_providers", decode: func(body []byte) error {
		wire, err := decoded[struct{ IdentityProviders []provider }](body)
		if err != nil {
			return err
		}
		out, err = records("IdentityProviders", wire.IdentityProviders, func(p provider) (IdentityProvider, bool) {
			return IdentityProvider(p), p.ID > 0 && p.Name != ""
		})
		return err
	}})
	return out, err
}

// ListOrganizations reads the organizations that the credential may manage.
func (c *Client) ListOrganizations(ctx context.Context) ([]Organization, error) {
	type organization struct {
		ID   int64  `json:"Id"`
		Name string `json:"Name"`
	}
	var out []Organization
	err := c.do(ctx, request{operation: "list_organizations", decode: func(body []byte) error {
		wire, err := decoded[struct{ Organizations []organization }](body)
		if err != nil {
			return err
		}
		out, err = records("Organizations", wire.Organizations, func(o organization) (Organization, bool) {
			return Organization(o), o.ID > 0
		})
		return err
	}})
	return out, err
}

// records converts a list, which must be there and whose entries must be usable.
func records[W, R any](name string, list []W, convert func(W) (R, bool)) ([]R, error) {
	if list == nil {
		return nil, errors.New("the answer has no list " + name)
	}
	out := make([]R, len(list))
	for i, w := range list {
		r, ok := convert(w)
		if !ok {
			return nil, fmt.Errorf("%s[%d] has no id or name", name, i)
		}
		out[i] = r
	}
	return out, nil
}
