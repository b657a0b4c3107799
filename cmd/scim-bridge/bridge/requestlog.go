package bridge

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/sharearefund/scim-bridge/provision/requestlog"
	"github.com/sharearefund/scim-bridge/scim/server"
	"github.com/sharearefund/scim-bridge/upstream"
)

// RequestLogOptions say how requests are logged in the store.
type RequestLogOptions struct {
	// Pseudonyms replace the values of requests. Required.
	Pseudonyms *requestlog.Pseudonyms
	// Keep is how long rows are kept. 0: 30 days.
	Keep time.Duration
	// MaxRows is how many a tenant keeps. 0: none, and those that are there go.
	MaxRows int
}

// openRequestLog leaves b.requests nil when there is no log of requests.
func (b *Bridge) openRequestLog(o Options) (err error) {
	if o.RequestLog == nil {
		return nil
	}
	b.requests, err = requestlog.New(requestlog.Options{
		Store: o.Store, Pseudonyms: o.RequestLog.Pseudonyms, Keep: o.RequestLog.Keep, MaxRows: o.RequestLog.MaxRows,
		Dropped: func(n int) { b.metrics.requestsDropped.Add(float64(n)) }, Now: o.Now, Logger: o.Logger,
	})
	return err
}

// begin makes the context of a request count its calls to Share A Refund.
func (b *Bridge) begin(ctx context.Context) context.Context {
	if b.requests == nil {
		return ctx
	}
	return upstream.WithCount(ctx)
}

// logRequest hands an authenticated request to the log.
func (b *Bridge) logRequest(ctx context.Context, r *server.Request) {
	if b.requests == nil || r.Tenant == "" {
		return
	}
	resource, action := asked(r)
	b.requests.Add(requestlog.Entry{
		At: r.Start, Tenant: r.Tenant, Credential: r.Credential, Dialect: r.Dialect.String(), Method: r.Method, Route: r.Route,
		Action: action, ResourceType: resource, Bulk: r.Operation, ID: r.ID, Name: r.Name, Filter: r.Filter, Status: r.Status,
		Type: r.Type, Detail: r.Detail, Calls: upstream.Calls(ctx), Duration: r.Duration, RequestID: r.RequestID,
		EntraFlag: r.EntraFlag, Aborted: r.Aborted,
	})
}

// resources are what routes are about: the resource type, and the word that
// actions begin with.
var resources = map[string]struct{ name, word string }{
	"Users": {"User", "user"}, "Groups": {"Group", "group"}, "Roles": {"Role", "role"},
	"IdentityProviders": {"IdentityProvider", "identity_provider"}, "Organizations": {"Organization", "organization"},
	"Schemas": {"Schema", "schema"}, "ResourceTypes": {"ResourceType", "resource_type"},
	"ServiceProviderConfig": {"ServiceProviderConfig", "service_provider_config"},
}

// asked names what a request was about and what it asked for, in the words of
// events where these have one: user.create, user.find, group.list.
func asked(r *server.Request) (resource, act string) {
	segment, rest, _ := strings.Cut(strings.TrimPrefix(r.Route, "/scim/v2/"), "/")
	about, ok := resources[segment]
	if !ok {
		about.word = "request"
	}
	single := rest == "{id}" || segment == "ServiceProviderConfig"
	switch {
	case segment == "Bulk":
		return "", "request.bulk"
	case r.Route == "unmatched" || segment == "Me":
		return "", "request." + strings.ToLower(r.Method)
	case strings.HasSuffix(r.Route, "/.search") && r.Method == http.MethodPost, r.Method == http.MethodGet, r.Method == http.MethodHead:
		switch {
		case single:
			return about.name, about.word + ".read"
		case r.Filter != "":
			return about.name, about.word + ".find"
		}
		return about.name, about.word + ".list"
	case about.word != "user" && about.word != "group":
		return about.name, about.word + "." + strings.ToLower(r.Method)
	}
	return about.name, action(r.Method, r.Route)
}
