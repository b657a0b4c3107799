package bridge

import (
	"github.com/sharearefund/scim-bridge/provision/lint"
	"github.com/sharearefund/scim-bridge/provision/requestlog"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/scim/server"
)

// openLinter makes what looks at the traffic of clients. It comes after the
// Service.
func (b *Bridge) openLinter(o Options, codec *scim.Codec[scim.User]) error {
	var names *requestlog.Pseudonyms
	if o.RequestLog != nil {
		names = o.RequestLog.Pseudonyms
	}
	var err error
	b.Linter, err = lint.New(lint.Options{
		Store: o.Store, Guards: b.Service, UserCodec: codec, Pseudonyms: names, DirectoryInterval: o.DirectoryInterval,
		Report: b.metrics.foundByTenant, Now: o.Now, Logger: o.Logger,
	})
	return err
}

// lint lets the linter look at a request that was answered.
func (b *Bridge) lint(r *server.Request) {
	b.Linter.Request(&lint.Request{
		Tenant: r.Tenant, Credential: r.Credential, Dialect: r.Dialect, Method: r.Method, Route: r.Route, ID: r.ID, Name: r.Name,
		Filter: r.Filter, EntraFlag: r.EntraFlag, Status: r.Status, Type: r.Type, Detail: r.Detail, Notes: r.Notes,
	})
}

// foundByTenant shows the findings of all tenants.
func (m *metrics) foundByTenant(all map[string][]lint.Report) {
	m.findings.Reset()
	for tenant, reports := range all {
		for i := range reports {
			r := &reports[i]
			m.findings.WithLabelValues(tenant, r.Code, string(r.Severity)).Add(float64(r.Subjects))
		}
	}
}
