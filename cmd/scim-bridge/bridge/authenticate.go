package bridge

import (
	"context"
	"errors"
	"net/http"

	"github.com/sharearefund/scim-bridge/provision/credentials"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/scim/server"
)

// authenticator answers whose token a request carries, in the words of SCIM.
// limited hears of those above the limit.
func authenticator(creds *credentials.Service, limits *rates, limited func(tenant, credential string)) func(*http.Request) (server.Identity, error) {
	return func(r *http.Request) (server.Identity, error) {
		c, err := creds.Authenticate(r.Context(), r.Header["Authorization"]...)
		if err == nil {
			if wait := limits.take(c.ID); wait > 0 {
				limited(c.Tenant, c.ID)
				return server.Identity{}, scim.TooManyRequests(wait, "this credential sends more requests than the bridge's limits.rate_limit allows: send the request again later")
			}
			return server.Identity{Tenant: c.Tenant, Credential: c.ID, Client: c.Client, Evidence: c.Evidence}, nil
		}
		if refused, ok := errors.AsType[*credentials.Error](err); ok {
			return server.Identity{}, &scim.Error{Status: http.StatusUnauthorized, Detail: refused.Error(), Err: err}
		}
		return server.Identity{}, err
	}
}

// remember keeps what traffic showed of an "auto" credential's client.
func (b *Bridge) remember(_ context.Context, credential string, d scim.Dialect) {
	b.Credentials.Remember(credential, d.String())
}
