package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/provision"
	"github.com/sharearefund/scim-bridge/provision/tenantconfig"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/store/seal"
	"github.com/sharearefund/scim-bridge/upstream"
)

// TenantOptions are what CheckTenant looks at.
type TenantOptions struct {
	Tenant *store.Tenant
	// All has every tenant of the store.
	All []*store.Tenant
	// Diagnose is provision.Service.Diagnose.
	Diagnose func(ctx context.Context, tenant string) (provision.Diagnosis, error)
}

// NoTenants is the check of a database without tenants.
func NoTenants() Check {
	return Check{Name: Tenant, Look: func(context.Context) []Finding {
		var f findings
		f.add(Notice, "", "scim-bridge tenant apply -f tenant.yaml", "there is no tenant yet")
		return f
	}}
}

// entraRate is what Microsoft Entra ID requires of an endpoint, in requests a
// second (learn.microsoft.com, "Application provisioning requirements").
const entraRate = 25

// CheckTenant checks a tenant's configuration against upstream: whether its
// credential is accepted, and whether what it names exists there.
func CheckTenant(o TenantOptions) Check {
	return Check{Name: Tenant, Tenant: o.Tenant.Slug, Look: func(ctx context.Context) []Finding {
		var f findings
		c, err := tenantconfig.FromStore(o.Tenant, nil)
		if err != nil {
			f.add(Error, "", "apply its tenant.yaml again", "its stored configuration is damaged: every request is 503")
			return f
		}
		f.tenant(ctx, c, o)
		f.domains(c, o.All)
		return f
	}}
}

func (f *findings) tenant(ctx context.Context, c *tenantconfig.Config, o TenantOptions) {
	d, err := o.Diagnose(ctx, c.Slug)
	switch wrong, ok := errors.AsType[*provision.ConfigError](err); {
	case ok && (errors.Is(wrong, seal.ErrUnknownKey) || errors.Is(wrong, seal.ErrCorrupt)):
		f.add(Notice, "", "see the check keys", "not looked at: its upstream secrets cannot be opened")
		return
	case ok:
		f.add(Error, "", cmp.Or(wrong.Remedy, "correct its tenant.yaml and run scim-bridge tenant apply"), "%s: every request is 503", wrong.Detail)
		return
	case err != nil:
		f.refused(c, err)
		return
	}
	may := "upstream does not tell which roles it may give"
	if d.WeightKnown {
		may = fmt.Sprintf("it may give roles up to weight %d", d.Weight)
	}
	f.ok(c.Upstream.BaseURL, "the credential (%s) is accepted; %s", c.Upstream.Credential(), may)
	for _, fault := range d.Faults {
		f.add(Error, "", fault.Remedy+enabled(fault.Detail, d.Providers), "%s: every request is 503", fault.Detail)
	}
	for _, text := range d.Warnings {
		f.add(Warning, "", "correct its tenant.yaml and run scim-bridge tenant apply", "%s", text)
	}
	there := f.organizations(c, d) && len(d.Faults) == 0
	if r := c.Upstream.Rate; r > 0 && r < entraRate {
		f.add(Notice, fmt.Sprintf("upstream.rate: %g", r), "ask for a higher limit at Share A Refund, then raise upstream.rate",
			"Microsoft Entra ID sends up to %d requests a second: a first synchronisation is slowed down to fewer", entraRate)
	}
	if there {
		f.ok("", "roles, identity provider and organizations are there (%d roles, %d organizations)", len(d.Roles), len(c.Organizations))
	}
}

// refused says what to do about an error of upstream.
func (f *findings) refused(c *tenantconfig.Config, err error) {
	subject := c.Upstream.BaseURL
	switch upstream.KindOf(err) {
	case upstream.Unauthorized:
		f.add(Error, subject, "get a valid one at Share A Refund, and run scim-bridge tenant apply with it",
			"the credential (%s) is refused: %s", c.Upstream.Credential(), reason(err))
	case upstream.Forbidden:
		f.add(Error, subject, "have it given the right to list roles and identity providers", "the credential (%s) may not read what it must: %s", c.Upstream.Credential(), reason(err))
	case upstream.RateLimited:
		f.add(Warning, subject, "lower upstream.rate to what the credential is allowed", "too many calls at the moment: %s", reason(err))
	case upstream.Protocol, upstream.NotFound:
		f.add(Error, subject, "correct upstream.base_url and upstream.endpoints in its tenant.yaml and apply it", "what answers is not Share A Refund as it is documented: %s", reason(err))
	default:
		f.add(Error, subject, "see the check upstream; while it does not answer, requests are 503", "cannot be asked: %s", reason(err))
	}
}

// enabled lists the identity providers that may be named, where the fault is
// about them and does not say.
func enabled(fault string, all []upstream.IdentityProvider) string {
	if !strings.HasPrefix(fault, "identity_provider:") || strings.Contains(fault, "(have ") {
		return ""
	}
	var names []string
	for _, p := range all {
		if p.Enabled {
			names = append(names, p.Name)
		}
	}
	return " (enabled: " + clip(strings.Join(names, ", ")) + ")"
}

// organizations reports whether all that the tenant names are known to be there.
func (f *findings) organizations(c *tenantconfig.Config, d provision.Diagnosis) bool {
	if d.Unlisted != nil {
		f.add(Notice, "organizations", "let the credential list its organizations", "cannot be listed, so that it is not known whether they exist: %s", reason(d.Unlisted))
		return false
	}
	var have []int64
	for _, o := range d.Organizations {
		have = append(have, o.ID)
	}
	var missing, more []int64
	for _, id := range c.Organizations {
		if !slices.Contains(have, id) {
			missing = append(missing, id)
		}
	}
	for _, id := range have {
		if !slices.Contains(c.Organizations, id) {
			more = append(more, id)
		}
	}
	if len(missing) > 0 {
		f.add(Error, "organizations: "+numbers(missing), "correct organizations in its tenant.yaml and apply it, or have the credential given them",
			"are not among those that the credential manages (have %s)", numbers(have))
	}
	if len(more) > 0 {
		f.add(Notice, "organizations", "use a credential for this tenant's organizations alone", "the credential manages others, too: %s", numbers(more))
	}
	return len(missing) == 0
}

func numbers(ids []int64) string {
	const most = 10
	var texts []string
	for _, id := range ids[:min(len(ids), most)] {
		texts = append(texts, fmt.Sprint(id))
	}
	if len(ids) > most {
		texts = append(texts, "…")
	}
	if len(texts) == 0 {
		return "none"
	}
	return strings.Join(texts, ", ")
}

// mailboxes are domains where anybody gets an address.
var mailboxes = []string{
	"aol.com", "gmail.com", "gmx.com", "gmx.de", "gmx.net", "googlemail.com", "hotmail.com", "icloud.com", "live.com",
	"mail.com", "me.com", "msn.com", "outlook.com", "proton.me", "protonmail.com", "qq.com", "web.de", "yahoo.com", "163.com",
}

// domains looks for addresses whose owner cannot be the tenant alone.
func (f *findings) domains(c *tenantconfig.Config, all []*store.Tenant) {
	if c.Adopt == mapping.AdoptVerifiedDomain && len(c.Domains) == 0 {
		f.add(Notice, "domains", "name the domains whose ownership was verified", "is empty: no account that was there before is taken over")
	}
	for _, d := range c.Domains {
		if slices.Contains(mailboxes, d) {
			f.add(Warning, "domains: "+d, "remove it from domains in its tenant.yaml and apply it", "anybody can get an address there: accounts of strangers may be taken over")
		}
	}
	for _, t := range all {
		other, err := tenantconfig.FromStore(t, nil)
		if err != nil || t.Slug == c.Slug || other.Upstream.BaseURL != c.Upstream.BaseURL {
			continue // its own check says what is wrong with it
		}
		for _, d := range c.Domains {
			if slices.Contains(other.Domains, d) {
				f.add(Warning, "domains: "+d, "leave it to the tenant whose domain it is", "is verified for tenant %s as well: each may take over accounts of the other", t.Slug)
			}
		}
	}
}
