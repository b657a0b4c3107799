package sqlstore

import (
	"context"
	"database/sql"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sharearefund/scim-bridge/store"
)

const tenantColumns = `slug, name, base_url, spec, secrets, version, created_at, updated_at`

func (r *reader) Tenant(ctx context.Context, slug string) (*store.Tenant, error) {
	if !storable(slug) {
		return nil, store.ErrNotFound
	}
	t, err := first(ctx, r, scanTenant, "reading a tenant",
		`SELECT `+tenantColumns+` FROM tenants WHERE slug = $1`, slug)
	if err != nil {
		return nil, err
	}
	if t.Organizations, err = r.organizations(ctx, slug); err != nil {
		return nil, wrap(err, "reading the organizations of %q", slug)
	}
	return t, nil
}

func (r *reader) Tenants(ctx context.Context) ([]*store.Tenant, error) {
	all, err := list(ctx, r, scanTenant, "reading tenants", `SELECT `+tenantColumns+` FROM tenants ORDER BY slug`)
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		if t.Organizations, err = r.organizations(ctx, t.Slug); err != nil {
			return nil, wrap(err, "reading the organizations of %q", t.Slug)
		}
	}
	return all, nil
}

func scanTenant(rows *sql.Rows) (*store.Tenant, error) {
	t := new(store.Tenant)
	var created, updated int64
	err := rows.Scan(&t.Slug, &t.Name, &t.BaseURL, &t.Spec, &t.Secrets, &t.Version, &created, &updated)
	t.CreatedAt, t.UpdatedAt = moment(created), moment(updated)
	return t, err
}

func (r *reader) organizations(ctx context.Context, slug string) ([]int64, error) {
	rows, err := r.query(ctx, `SELECT organization_id FROM tenant_organizations WHERE tenant = $1 ORDER BY position`, slug)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		list = append(list, id)
	}
	return list, rows.Err()
}

func (t *tx) PutTenant(n *store.Tenant) error {
	claim := claimOf(n.BaseURL)
	// Looked for first, so that a conflict changes nothing; those that come
	// in between are met by the insert below.
	for _, id := range n.Organizations {
		if err := t.claimed(claim, id, n.Slug); err != nil {
			return err
		}
	}
	if err := t.putTenantRow(n); err != nil {
		return err
	}
	if _, err := t.exec(t.ctx, `DELETE FROM tenant_organizations WHERE tenant = $1`, n.Slug); err != nil {
		return wrap(err, "replacing the organizations of %q", n.Slug)
	}
	for i, id := range n.Organizations {
		if slices.Contains(n.Organizations[:i], id) {
			continue
		}
		added, err := t.exec(t.ctx, `INSERT INTO tenant_organizations (claim, organization_id, tenant, position)
			VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, claim, id, n.Slug, i)
		if err != nil {
			return wrap(err, "adding organization %d to %q", id, n.Slug)
		}
		if added == 0 {
			// Another transaction claimed it since: start over and find it.
			return errAgain
		}
	}
	t.undo = append(t.undo, func() { n.Version-- })
	n.Version++
	return t.grow()
}

// putTenantRow inserts or replaces the tenant's own row.
func (t *tx) putTenantRow(n *store.Tenant) error {
	if n.Version == 0 {
		added, err := t.exec(t.ctx, `INSERT INTO tenants (slug, name, base_url, spec, secrets, version, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, 1, $6, $7) ON CONFLICT DO NOTHING`,
			n.Slug, n.Name, n.BaseURL, blob(n.Spec), blob(n.Secrets), micros(n.CreatedAt), micros(n.UpdatedAt))
		if err != nil {
			return wrap(err, "adding tenant %q", n.Slug)
		}
		if added == 0 {
			return &store.ConflictError{Field: "slug", Value: n.Slug, Owner: n.Slug}
		}
		return nil
	}
	changed, err := t.exec(t.ctx, `UPDATE tenants SET name = $3, base_url = $4, spec = $5, secrets = $6,
			created_at = $7, updated_at = $8, version = version + 1
		WHERE slug = $1 AND version = $2`, n.Slug, n.Version, n.Name, n.BaseURL, blob(n.Spec), blob(n.Secrets),
		micros(n.CreatedAt), micros(n.UpdatedAt))
	if err != nil {
		return wrap(err, "changing tenant %q", n.Slug)
	}
	if changed == 0 {
		return store.ErrStale
	}
	return nil
}

// claimed returns a *store.ConflictError when a tenant other than slug has the organization.
func (t *tx) claimed(claim string, id int64, slug string) error {
	var owner string
	ok, err := t.found(`SELECT tenant FROM tenant_organizations
		WHERE claim = $1 AND organization_id = $2 AND tenant <> $3`, []any{claim, id, slug}, &owner)
	if err != nil {
		return wrap(err, "looking for the owner of organization %d", id)
	}
	if ok {
		return &store.ConflictError{Field: "organization", Value: strconv.FormatInt(id, 10), Owner: owner}
	}
	return nil
}

// claimOf is one form for all the ways to write an upstream's address, so that
// a trailing slash or a capital letter does not claim an organization twice.
func claimOf(base string) string {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return base
	}
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Hostname())
	port := u.Port()
	if port != "" && !(scheme == "https" && port == "443") && !(scheme == "http" && port == "80") {
		host = net.JoinHostPort(host, port)
	}
	return scheme + "://" + host + strings.TrimRight(u.EscapedPath(), "/")
}

// tenantTables are the tables whose rows go with their tenant. Events stay.
var tenantTables = []string{
	"person_emails", "person_invites", "person_ids", "persons", "person_counts", "intents", "leases", "jobs",
	"directories", "group_members", "groups", "role_work", "role_work_given", "guard_entries", "guards", "firsts",
	"credentials", "tenant_organizations", "findings", "requests", "request_subjects",
}

func (t *tx) DeleteTenant(slug string) error {
	n, err := t.exec(t.ctx, `DELETE FROM tenants WHERE slug = $1`, slug)
	if err != nil {
		return wrap(err, "deleting tenant %q", slug)
	}
	if n == 0 {
		return store.ErrNotFound
	}
	for _, table := range tenantTables {
		if _, err := t.exec(t.ctx, `DELETE FROM `+table+` WHERE tenant = $1`, slug); err != nil {
			return wrap(err, "deleting the %s of tenant %q", table, slug)
		}
	}
	delete(t.counts, slug)
	return t.grow()
}

// grow says that a tenant or a credential changed.
func (t *tx) grow() error {
	_, err := t.exec(t.ctx, `UPDATE generation SET value = value + 1 WHERE id = 1`)
	return wrap(err, "counting a change of configuration")
}

func (r *reader) Generation(ctx context.Context) (int64, error) {
	var n int64
	err := r.one(ctx, `SELECT value FROM generation WHERE id = 1`, nil, &n)
	return n, wrap(err, "reading the generation")
}
