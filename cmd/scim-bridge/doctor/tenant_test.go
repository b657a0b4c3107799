package doctor_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/doctor"
	"github.com/sharearefund/scim-bridge/provision"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/store/seal"
	"github.com/sharearefund/scim-bridge/upstream"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// tenants are those of a stack.
func tenants(t *testing.T, s *bridgetest.Stack) []*store.Tenant {
	t.Helper()
	all, err := s.Store.Tenants(t.Context())
	check(t, err)
	return all
}

// A tenant's configuration is held against what a sandbox really has.
func TestTenant(t *testing.T) {
	s := bridgetest.Start(t, bridgetest.Config{NoScan: true, Idle: true})
	const accepted = "ok the credential (client acme) is accepted; upstream does not tell which roles it may give"
	for _, tt := range []struct {
		name string
		// edit are pairs of what stands in the document of acme, and what instead.
		edit   []string
		lines  []string
		fault  sandbox.Rule
		want   []string
		remedy string
	}{
		{"sound", nil, nil, sandbox.Rule{}, []string{accepted, "ok roles, identity provider and organizations are there (5 roles, 2 organizations)"}, ""},
		{"an unknown role", []string{"Viewer", "Viewr"}, []string{"rules: [{match: Managers, role: Manger}]"}, sandbox.Rule{},
			[]string{accepted, `error default_role: unknown role "Viewr"; rules[0].role: unknown role "Manger" (have Owner, Administrator, Manager, Analyst, Viewer): every request is 503`}, "tenant apply"},
		{"an unknown role and provider", []string{"Viewer", "Viewr"}, []string{"identity_provider: nobody"}, sandbox.Rule{},
			[]string{accepted, `error identity_provider: unknown "nobody" (have Password, Okta, Microsoft Entra ID)`, `error default_role: unknown role "Viewr"`}, "tenant apply"},
		{"a disabled provider", nil, []string{"identity_provider: google"}, sandbox.Rule{}, []string{accepted, "error is disabled at Share A Refund"}, "(enabled: Password, Okta, Microsoft Entra ID)"},
		{"a rule above the ceiling", nil, []string{"ceiling: Manager", "rules: [{match: Owners, role: Owner}]"}, sandbox.Rule{}, []string{accepted, "warning rules[0].role: Owner (weight 100) is above the ceiling"}, "tenant apply"},
		{"an organization of others", []string{"[113, 114]", "[113, 200, 999]"}, nil, sandbox.Rule{},
			[]string{accepted, "error organizations: 200, 999: are not among those that the credential manages (have 113, 114)", "notice organizations: the credential manages others, too: 114"}, "correct organizations"},
		{"a slow rate", nil, []string{"  rate: 20", "  burst: 20"}, sandbox.Rule{}, []string{accepted, "notice upstream.rate: 20: Microsoft Entra ID sends up to 25"}, ""},
		{"no domain", []string{"domains: [example.com]\n", ""}, nil, sandbox.Rule{}, []string{accepted, "notice domains: is empty"}, ""},
		{"anybody's domain", []string{"[example.com]", "[example.com, gmail.com]"}, nil, sandbox.Rule{}, []string{accepted, "warning domains: gmail.com: anybody can get an address there"}, "remove it"},
		{"a refused credential", nil, nil, sandbox.Rule{Operation: "create_token", Status: 401}, []string{"error the credential (client acme) is refused"}, "tenant apply"},
		{"a credential without rights", nil, nil, sandbox.Rule{Operation: "list_roles", Status: 403}, []string{"error the credential (client acme) may not read what it must"}, "the right to list roles"},
		{"a page of HTML", nil, nil, sandbox.Rule{Operation: "list_roles", Body: "html"}, []string{"error what answers is not Share A Refund"}, "upstream.endpoints"},
		{"nobody", nil, nil, sandbox.Rule{Operation: "*", Status: 503}, []string{"error cannot be asked"}, "see the check upstream"},
		{"organizations that cannot be listed", nil, nil, sandbox.Rule{Operation: "list_organizations", Status: 403}, []string{accepted, "notice organizations: cannot be listed"}, ""},
		// The last one: the pause that is asked for is that of the credential.
		{"too many calls", nil, nil, sandbox.Rule{Operation: "list_roles", Status: 429, RetryAfter: "60"}, []string{"warning too many calls at the moment"}, "lower upstream.rate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.Apply(strings.NewReplacer(tt.edit...).Replace(bridgetest.Tenant("acme", s.UpstreamURL, tt.lines...)))
			faults := []sandbox.Rule{tt.fault}
			if tt.fault.Operation == "" {
				faults = nil
			}
			check(t, s.Sandbox.SetFaults(faults))
			all := tenants(t, s)
			found := look(t, doctor.CheckTenant(doctor.TenantOptions{Tenant: all[0], All: all, Diagnose: s.Bridge.Service.Diagnose}))
			expect(t, found, tt.want...)
			if text := lines(found); !strings.Contains(text, tt.remedy) || strings.Contains(text, "acme-secret") {
				t.Errorf("remedy %q:\n%s", tt.remedy, text)
			}
		})
	}
}

// Two tenants that both call a domain theirs are told of each other.
func TestTenantsShareADomain(t *testing.T) {
	s := bridgetest.Start(t, bridgetest.Config{NoScan: true, Idle: true})
	s.Apply(bridgetest.Tenant("globex", s.UpstreamURL))
	all := tenants(t, s)
	for i, other := range []string{"globex", "acme"} {
		expect(t, look(t, doctor.CheckTenant(doctor.TenantOptions{Tenant: all[i], All: all, Diagnose: s.Bridge.Service.Diagnose})),
			"warning domains: example.com: is verified for tenant "+other)
	}
}

// A credential that tells its weight, and configurations that cannot be read.
func TestTenantByWhatIsSaid(t *testing.T) {
	s := bridgetest.Start(t, bridgetest.Config{NoScan: true, Idle: true})
	all := tenants(t, s)
	say := func(d provision.Diagnosis, err error) func(context.Context, string) (provision.Diagnosis, error) {
		return func(context.Context, string) (provision.Diagnosis, error) { return d, err }
	}
	acme := []upstream.Organization{{ID: 113}, {ID: 114}}
	for _, tt := range []struct {
		name     string
		diagnose func(context.Context, string) (provision.Diagnosis, error)
		want     string
	}{
		{"a weight", say(provision.Diagnosis{Weight: 50, WeightKnown: true, Organizations: acme}, nil), "ok it may give roles up to weight 50"},
		{"another key", say(provision.Diagnosis{}, &provision.ConfigError{Tenant: "acme", Detail: "sealed", Err: seal.ErrUnknownKey}), "notice not looked at: its upstream secrets cannot be opened"},
		{"no use", say(provision.Diagnosis{}, &provision.ConfigError{Tenant: "acme", Detail: "the tenant's upstream section cannot be used", Err: errors.New("x")}), "error the tenant's upstream section cannot be used: every request is 503"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			expect(t, look(t, doctor.CheckTenant(doctor.TenantOptions{Tenant: all[0], All: all, Diagnose: tt.diagnose})), tt.want)
		})
	}
	damaged := *all[0]
	damaged.Spec = []byte("{")
	expect(t, look(t, doctor.CheckTenant(doctor.TenantOptions{Tenant: &damaged, Diagnose: s.Bridge.Service.Diagnose})), "error its stored configuration is damaged")
	expect(t, look(t, doctor.NoTenants()), "notice there is no tenant yet")
}

// records answers for a store.
type records struct {
	store.Reader
	jobs        []*store.Job
	credentials []*store.Credential
	err         error
}

func (r records) Jobs(context.Context, string, int) ([]*store.Job, error) { return r.jobs, r.err }
func (r records) Credentials(context.Context, string) ([]*store.Credential, error) {
	return r.credentials, r.err
}

func TestDirectory(t *testing.T) {
	read := func(ago time.Duration, fresh bool) provision.Backlog {
		b := provision.Backlog{Fresh: fresh, Interval: 5 * time.Minute}
		if ago > 0 {
			b.Directory = store.Directory{CompletedAt: now.Add(-ago), People: 214}
		}
		return b
	}
	failed := []*store.Job{
		{ID: 8, Kind: "invites", State: store.JobQueued, Error: "no"},
		{ID: 7, Kind: "directory.scan", State: store.JobQueued, Error: "upstream list_users: unavailable"},
		{ID: 6, Kind: "directory.scan", State: store.JobQueued, Error: "an older one"},
	}
	for _, tt := range []struct {
		name     string
		backlog  provision.Backlog
		replicas int
		jobs     []*store.Job
		want     []string
	}{
		{"fresh", read(3*time.Minute, true), 1, nil, []string{"ok read 3m ago, 214 people"}},
		{"never", read(0, false), 1, nil, []string{"warning never read: lists are 503 until it is"}},
		{"never, no server", read(0, false), 0, nil, []string{"warning never read, and no server lives"}},
		{"stale", read(time.Hour, false), 1, failed, []string{"error read 1h ago, twice the interval (5m0s) or more: lists are 503", "warning job 7: the last scan failed: upstream list_users: unavailable"}},
		{"stale, no server", read(time.Hour, false), 0, nil, []string{"warning read 1h ago, and no server lives"}},
		{"fresh again", read(time.Minute, true), 1, []*store.Job{{ID: 9, Kind: "directory.scan", State: store.JobDone}, failed[1]}, []string{"ok read 1m0s ago"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			expect(t, look(t, doctor.CheckDirectory(doctor.WorkOptions{
				Tenant: "acme", Replicas: tt.replicas, Store: records{jobs: tt.jobs}, Now: clock,
				Backlog: func(context.Context, string) (provision.Backlog, error) { return tt.backlog, nil },
			})), tt.want...)
		})
	}
}

func TestJobs(t *testing.T) {
	job := func(state store.JobState, due time.Duration, attempts int, text string) *store.Job {
		return &store.Job{ID: 7, Kind: "roles", State: state, RunAt: now.Add(due), LeaseUntil: now.Add(due), UpdatedAt: now.Add(due), Attempts: attempts, Error: text}
	}
	for _, tt := range []struct {
		name     string
		job      *store.Job
		replicas int
		backlog  provision.Backlog
		want     []string
	}{
		{"done", job(store.JobDone, -time.Hour, 9, "x"), 1, provision.Backlog{}, []string{"ok nothing failed"}},
		{"running", job(store.JobRunning, 20*time.Second, 1, ""), 1, provision.Backlog{}, []string{"ok nothing failed"}},
		{"failed", job(store.JobFailed, -time.Hour, 1, "no"), 1, provision.Backlog{}, []string{"warning job 7 (roles): failed: no"}},
		{"failed long ago", job(store.JobFailed, -30*24*time.Hour, 1, "no"), 1, provision.Backlog{}, []string{"ok nothing failed"}},
		{"stuck", job(store.JobQueued, -time.Hour, 0, ""), 1, provision.Backlog{}, []string{"warning has waited for 1h, though servers live"}},
		{"left behind", job(store.JobRunning, -time.Hour, 0, ""), 1, provision.Backlog{}, []string{"warning has waited for 1h, though servers live"}},
		{"no server", job(store.JobQueued, -time.Hour, 0, ""), 0, provision.Backlog{}, []string{"warning has waited for 1h, and no server lives"}},
		{"tried once more", job(store.JobQueued, time.Second, 2, "no"), 1, provision.Backlog{}, []string{"ok nothing failed"}},
		{"failing", job(store.JobQueued, time.Second, 3, "no"), 1, provision.Backlog{}, []string{"warning failed 3 times and is tried again: no"}},
		{"removals", job(store.JobDone, 0, 0, ""), 1, provision.Backlog{Removals: 3, Grants: 4}, []string{"warning people who are still to lose a role or access: 3", "notice people who are still to get a role: 4"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			expect(t, look(t, doctor.CheckJobs(doctor.WorkOptions{
				Tenant: "acme", Replicas: tt.replicas, Store: records{jobs: []*store.Job{tt.job}}, Now: clock,
				Backlog: func(context.Context, string) (provision.Backlog, error) { return tt.backlog, nil },
			})), tt.want...)
		})
	}
}

func TestGuards(t *testing.T) {
	for _, tt := range []struct {
		name  string
		guard provision.GuardReport
		err   error
		want  string
	}{
		{"free", provision.GuardReport{Guard: "deactivations", Limit: 10, Used: 3}, nil, "ok nothing is held"},
		{"held", provision.GuardReport{Guard: "deactivations", Limit: 10, Used: 10, Held: 4, Window: "1h0m0s", Subjects: []string{"ada@example.com"}}, nil, "warning deactivations: held and not done: 4; 10 of 10 have passed in 1h0m0s"},
		{"held and open", provision.GuardReport{Guard: "deactivations", Limit: 10, Used: 10, Held: 4, Window: "1h0m0s", OpenUntil: now.Add(90 * time.Minute)}, nil, "notice deactivations: is released until " + now.Add(90*time.Minute).UTC().Format("2006-01-02 15:04:05Z") + ", for 1h30m more; 4 were held before"},
		{"open", provision.GuardReport{Guard: "invites", OpenUntil: now.Add(90 * time.Minute)}, nil, "notice invites: is released until " + now.Add(90*time.Minute).UTC().Format("2006-01-02 15:04:05Z") + ", for 1h30m more"},
		{"unread", provision.GuardReport{}, errBroken, "error the database cannot be read: disk I/O error"},
		{"unusable", provision.GuardReport{}, &provision.ConfigError{}, "notice not looked at"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found := look(t, doctor.CheckGuards(doctor.WorkOptions{Tenant: "acme", Now: clock, Guards: func(context.Context, string) ([]provision.GuardReport, error) {
				return []provision.GuardReport{tt.guard}, tt.err
			}}))
			expect(t, found, tt.want)
			if strings.Contains(lines(found), "ada@") {
				t.Error("a person is named")
			}
		})
	}
}

func TestTokens(t *testing.T) {
	const day = 24 * time.Hour
	token := func(ends, used time.Duration) *store.Credential {
		c := &store.Credential{ID: "tok_1", Name: "okta", Hash: []byte("hunter2"), CreatedAt: now.Add(-90 * day)}
		if ends != 0 {
			c.ExpiresAt = now.Add(ends)
		}
		if used != 0 {
			c.LastUsedAt = now.Add(-used)
		}
		return c
	}
	revoked := token(0, time.Hour)
	revoked.RevokedAt = now.Add(-day)
	newest := token(0, 0)
	newest.CreatedAt = now.Add(-time.Hour)
	for _, tt := range []struct {
		name string
		have []*store.Credential
		want []string
	}{
		{"sound", []*store.Credential{token(300*day, time.Hour), revoked}, []string{"ok 1 can be used"}},
		{"none", nil, []string{"warning there is none"}},
		{"revoked", []*store.Credential{revoked}, []string{"warning there is none"}},
		{"expired", []*store.Credential{token(-day, 2*day)}, []string{"error every token has expired"}},
		{"one of two expired", []*store.Credential{token(-day, 2*day), token(0, time.Hour)}, []string{"ok 1 can be used"}},
		{"about to expire", []*store.Credential{token(12*day, time.Hour)}, []string{`warning tok_1 "okta": expires in 12 days`, "ok 1 can be used"}},
		{"never used", []*store.Credential{token(0, 0)}, []string{`notice tok_1 "okta": was never used, 90 days after it was created`}},
		{"just made", []*store.Credential{newest}, []string{"ok 1 can be used"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found := look(t, doctor.CheckTokens(doctor.TokensOptions{Tenant: "acme", Store: records{credentials: tt.have}, Now: clock}))
			expect(t, found, tt.want...)
			if tt.name == "just made" && len(found) != 1 {
				t.Errorf("more is found:\n%s", lines(found))
			}
		})
	}
	expect(t, look(t, doctor.CheckTokens(doctor.TokensOptions{Tenant: "acme", Store: records{err: errBroken}})), "error the database cannot be read")
}
