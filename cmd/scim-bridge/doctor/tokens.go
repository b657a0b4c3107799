package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/sharearefund/scim-bridge/store"
)

// TokensOptions are what CheckTokens looks at.
type TokensOptions struct {
	Tenant string
	Store  store.Reader
	// Now is the clock. nil: time.Now.
	Now func() time.Time
}

const (
	// expiring is how long before its end a token is a Warning.
	expiring = 30 * 24 * time.Hour
	// unusedAfter is how long a token may wait for its first use.
	unusedAfter = 24 * time.Hour
)

// CheckTokens checks that a tenant's clients can authenticate, and go on to.
func CheckTokens(o TokensOptions) Check {
	if o.Now == nil {
		o.Now = time.Now
	}
	return Check{Name: Tokens, Tenant: o.Tenant, Look: func(ctx context.Context) []Finding {
		all, err := o.Store.Credentials(ctx, o.Tenant)
		if err != nil {
			return unread(err)
		}
		var f findings
		create := "scim-bridge token create --tenant " + o.Tenant
		now, live, expired := o.Now(), 0, 0
		for _, c := range all {
			subject := fmt.Sprintf("%s %q", c.ID, c.Name)
			switch left := c.ExpiresAt.Sub(now); {
			case !c.RevokedAt.IsZero():
				continue
			case !c.ExpiresAt.IsZero() && left <= 0:
				expired++
				continue
			case !c.ExpiresAt.IsZero() && left < expiring:
				f.add(Warning, subject, create+", give it to the client, then scim-bridge token revoke "+c.ID, "expires in %s", span(left))
			}
			live++
			if c.LastUsedAt.IsZero() && now.Sub(c.CreatedAt) > unusedAfter {
				f.add(Notice, subject, "give it to the identity provider, or scim-bridge token revoke "+c.ID, "was never used, %s after it was created", span(now.Sub(c.CreatedAt)))
			}
		}
		switch {
		case live > 0:
			f.ok("", "%d can be used", live)
		case expired > 0:
			f.add(Error, "", create, "every token has expired: its clients are refused")
		default:
			f.add(Warning, "", create, "there is none: no identity provider can connect")
		}
		return f
	}}
}
