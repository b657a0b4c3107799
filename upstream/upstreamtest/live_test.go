package upstreamtest_test

import (
	"crypto/rand"
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/sharearefund/scim-bridge/upstream"
	"github.com/sharearefund/scim-bridge/upstream/upstreamtest"
)

var (
	liveURL      = flag.String("upstream.url", "", "base URL of a live service to run the conformance suite on")
	liveClientID = flag.String("upstream.client-id", "", "client id there; the secret is in SARB_UPSTREAM_SECRET")
	liveProvider = flag.Int64("upstream.provider", 0, "an enabled identity provider there; 0: the first one that is enabled")
	liveDomain   = flag.String("upstream.domain", "example.com", "domain of the addresses that the suite invites")
)

// TestLive runs the suite over a live service. The credential must manage at least two organizations; the suite makes
// people there, sends no invite mail, and takes the people away again.
func TestLive(t *testing.T) {
	if *liveURL == "" {
		t.Skip("no live service: give -upstream.url, -upstream.client-id and SARB_UPSTREAM_SECRET")
	}
	c, err := upstream.New(upstream.Options{BaseURL: *liveURL, ClientID: *liveClientID, ClientSecret: upstream.Secret(os.Getenv("SARB_UPSTREAM_SECRET"))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	env := upstreamtest.Env{Client: c, ProviderID: *liveProvider}
	organizations, err := c.ListOrganizations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(organizations) < 2 {
		t.Fatalf("the credential manages %d organizations, the suite needs two", len(organizations))
	}
	env.OrganizationIDs = []int64{organizations[0].ID, organizations[1].ID}
	roles, err := c.ListRoles(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(roles) < 2 {
		t.Fatalf("the service has %d roles, the suite needs two", len(roles))
	}
	slices.SortFunc(roles, func(a, b upstream.Role) int { return a.Weight - b.Weight })
	env.LowRoleID, env.HighRoleID = roles[0].ID, roles[1].ID
	providers, err := c.ListIdentityProviders(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range providers {
		if env.ProviderID == 0 && p.Enabled {
			env.ProviderID = p.ID
		}
	}
	run := rand.Text()[:8]
	n := 0
	env.Email = func(name string) string { n++; return fmt.Sprintf("%s.%s.%d@%s", name, run, n, *liveDomain) }
	upstreamtest.Run(t, upstreamtest.Opts{Live: true, New: func(testing.TB) upstreamtest.Env { return env }})
}
