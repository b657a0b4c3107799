package bridge

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/provision/requestlog"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/scim/server"
)

func TestAsked(t *testing.T) {
	for _, tt := range []struct{ method, route, filter, resource, action string }{
		{"POST", "/scim/v2/Users", "", "User", "user.create"},
		{"GET", "/scim/v2/Users", "", "User", "user.list"},
		{"GET", "/scim/v2/Users", "x", "User", "user.find"},
		{"GET", "/scim/v2/Users/{id}", "", "User", "user.read"},
		{"HEAD", "/scim/v2/Users/{id}", "", "User", "user.read"},
		{"PUT", "/scim/v2/Users/{id}", "", "User", "user.replace"},
		{"PATCH", "/scim/v2/Groups/{id}", "", "Group", "group.patch"},
		{"DELETE", "/scim/v2/Groups/{id}", "", "Group", "group.delete"},
		{"POST", "/scim/v2/Users/.search", "x", "User", "user.find"},
		{"POST", "/scim/v2/Groups/.search", "", "Group", "group.list"},
		{"POST", "/scim/v2/.search", "x", "", "request.find"},
		{"GET", "/scim/v2", "", "", "request.list"},
		{"GET", "/scim/v2/Roles/{id}", "", "Role", "role.read"},
		{"GET", "/scim/v2/IdentityProviders", "", "IdentityProvider", "identity_provider.list"},
		{"PUT", "/scim/v2/Organizations/{id}", "", "Organization", "organization.put"},
		{"GET", "/scim/v2/ServiceProviderConfig", "", "ServiceProviderConfig", "service_provider_config.read"},
		{"GET", "/scim/v2/Schemas", "", "Schema", "schema.list"},
		{"GET", "/scim/v2/ResourceTypes/{id}", "", "ResourceType", "resource_type.read"},
		{"POST", "/scim/v2/Bulk", "", "", "request.bulk"},
		{"GET", "/scim/v2/Me", "", "", "request.get"},
		{"GET", "unmatched", "x", "", "request.get"},
		{"other", "unmatched", "", "", "request.other"},
	} {
		resource, action := asked(&server.Request{Method: tt.method, Route: tt.route, Filter: tt.filter})
		if resource != tt.resource || action != tt.action {
			t.Errorf("%s %s: %q, %q; want %q, %q", tt.method, tt.route, resource, action, tt.resource, tt.action)
		}
	}
}

// BenchmarkObserve is what the log of requests adds to a request before its
// answer is on its way: counting, and handing the request over, whether somebody
// takes it or, as behind a store that hangs, nobody does.
func BenchmarkObserve(b *testing.B) {
	names, err := requestlog.NewPseudonyms(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		b.Fatal(err)
	}
	r := server.Request{
		Start: time.Now(), RequestID: "r", Tenant: "acme", Credential: "tok_1", Method: "GET", Route: "/scim/v2/Users",
		Filter: `userName eq "ada@example.com"`, Status: 200, Duration: time.Millisecond, Dialect: scim.DialectOkta,
	}
	for name, taken := range map[string]bool{"taken": true, "full": false} {
		b.Run(name, func(b *testing.B) {
			bridge := &Bridge{metrics: newMetrics("bench")}
			if err := bridge.openRequestLog(Options{Store: &fakeStore{}, RequestLog: &RequestLogOptions{Pseudonyms: names, MaxRows: 1}}); err != nil {
				b.Fatal(err)
			}
			ctx, stop := context.WithCancel(b.Context())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				if taken {
					bridge.requests.Run(ctx)
				}
			}()
			b.ReportAllocs()
			for b.Loop() {
				bridge.logRequest(bridge.begin(ctx), &r)
			}
			stop()
			<-ended
		})
	}
}
