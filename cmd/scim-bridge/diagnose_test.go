package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/doctor"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/settings"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/store/sqlstore"
)

// newPatient is a deployment on a database of its own, whose clock is now.
func newPatient(t *testing.T, now func() time.Time) *patient {
	t.Helper()
	env := map[string]string{
		"SCIM_BRIDGE_PUBLIC_URL": "https://scim.example.com", "SCIM_BRIDGE_SECRETS_KEY_ENV": "KEY",
		"KEY":                   "3f8a1c5e7b90d2446688aaccee01234567f9e8d7c6b5a49382716051f0e1d2c3",
		"SCIM_BRIDGE_STORE_URL": "sqlite:" + filepath.Join(t.TempDir(), "bridge.db"),
	}
	s, err := settings.Load("", func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	st, err := sqlstore.Open(t.Context(), sqlstore.Options{URL: s.Store.URL, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	sealing, err := sealer(s.Secrets)
	if err != nil {
		t.Fatal(err)
	}
	return &patient{
		e: &examination{}, settings: s,
		office: &office{settings: s, store: st, seal: sealing, log: slog.New(slog.DiscardHandler)},
	}
}

func slugsOf(t *testing.T, o *office) []string {
	t.Helper()
	slugs, err := o.slugs(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return slugs
}

// Only what doctor itself made is taken for a throw-away tenant.
func TestIsThrowAway(t *testing.T) {
	x := newPatient(t, nil)
	made, err := newThrowAway(t.Context(), x.office, "http://127.0.0.1:4711", "secret")
	if err != nil {
		t.Fatal(err)
	}
	row, err := x.office.store.Tenant(t.Context(), made.slug)
	if err != nil {
		t.Fatal(err)
	}
	if !isThrowAway(row) {
		t.Errorf("%+v is not recognised", row)
	}
	for name, change := range map[string]func(*store.Tenant){
		"another slug":    func(t *store.Tenant) { t.Slug = "doctor-strange" },
		"another name":    func(t *store.Tenant) { t.Name = "Doctor" },
		"another address": func(t *store.Tenant) { t.BaseURL = "https://api.example.com" },
	} {
		other := *row
		change(&other)
		if isThrowAway(&other) {
			t.Errorf("%s: a customer's tenant would be removed", name)
		}
	}
	if err := made.remove(t.Context()); err != nil {
		t.Error(err)
	}
	if err := made.remove(t.Context()); err != nil {
		t.Errorf("removing it again: %v", err)
	}
	if slugs := slugsOf(t, x.office); len(slugs) > 0 {
		t.Errorf("left: %v", slugs)
	}
}

// A tenant whose run was killed is removed by the next one, and one whose run
// lives is not.
func TestLeftovers(t *testing.T) {
	later := time.Duration(0)
	x := newPatient(t, func() time.Time { return time.Now().Add(later) })
	if _, err := newThrowAway(t.Context(), x.office, "http://127.0.0.1:4711", "secret"); err != nil {
		t.Fatal(err)
	}
	all, err := x.office.store.Tenants(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	x.leftovers = all
	if found := x.left(t.Context()); len(found) != 1 || found[0].Level != doctor.Notice {
		t.Errorf("%+v", found)
	}
	for _, tt := range []struct {
		after time.Duration
		want  int
	}{{throwAwayTTL - time.Second, 0}, {throwAwayTTL + time.Second, 1}, {throwAwayTTL + time.Second, 0}} {
		later = tt.after
		if n, err := removeLeftovers(t.Context(), x.office, all); n != tt.want || err != nil {
			t.Errorf("after %s: removed %d, %v; want %d", tt.after, n, err, tt.want)
		}
	}
	if slugs := slugsOf(t, x.office); len(slugs) > 0 {
		t.Errorf("left: %v", slugs)
	}
}

// watched tells of every commit.
type watched struct {
	store.Store
	committed func()
}

func (w watched) Update(ctx context.Context, f func(store.Tx) error) error {
	err := w.Store.Update(ctx, f)
	w.committed()
	return err
}

// Whenever a simulation is interrupted, nothing of it is left.
func TestInterruptedSimulation(t *testing.T) {
	for _, commits := range []int{1, 2, 40} {
		x := newPatient(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		left := make(chan struct{}, commits)
		for range commits - 1 {
			left <- struct{}{}
		}
		x.office.store = watched{x.office.store, func() {
			select {
			case <-left:
			default:
				cancel()
			}
		}}
		if report, err := x.play(ctx, "okta"); !errors.Is(err, context.Canceled) {
			t.Errorf("after %d commits: %v, %+v", commits, err, report)
		}
		if slugs := slugsOf(t, x.office); len(slugs) > 0 {
			t.Errorf("after %d commits, left: %v", commits, slugs)
		}
	}
}

// unreachable is the loopback of another machine, where no sandbox is.
type unreachable struct{}

func (unreachable) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("connect: connection refused")
}

// What a server on another machine does with the tenant meanwhile is of no
// consequence: its scans fail, and its jobs go with the tenant.
func TestSimulationBesideAnotherServer(t *testing.T) {
	x := newPatient(t, nil)
	opts, err := x.office.bridgeOptions()
	if err != nil {
		t.Fatal(err)
	}
	opts.Transport = unreachable{}
	b, err := bridge.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	report, err := x.play(t.Context(), "entra")
	if err != nil || report.Verdict != simulate.OK {
		t.Errorf("%+v, %v", report, err)
	}
	stop()
	if err := errors.Join(<-done, b.Close()); err != nil {
		t.Error(err)
	}
	jobs, err := x.office.store.Jobs(t.Context(), "", 100)
	if err != nil || len(jobs) > 0 || len(slugsOf(t, x.office)) > 0 {
		t.Errorf("left: %v, jobs %v, %v", slugsOf(t, x.office), jobs, err)
	}
}

// What is printed says whose it is, whatever was asked for.
func TestSimulationWithoutADatabase(t *testing.T) {
	x := &patient{e: &examination{}, err: errors.New("x")}
	found := x.simulations(t.Context(), []string{"okta"})
	if len(found) != 1 || found[0].Check != doctor.Simulation || found[0].Detail != "not looked at: the database cannot be used" {
		t.Errorf("%+v", found)
	}
}

// Every check that doctor names is in its help.
func TestDoctorHelp(t *testing.T) {
	var out bytes.Buffer
	status := run(t.Context(), []string{"doctor", "--help"}, func(string) (string, bool) { return "", false }, nil, &out, &out)
	missing := slices.DeleteFunc(doctor.Names(), func(name string) bool { return strings.Contains(out.String(), name) })
	if status != exitOK || len(missing) > 0 {
		t.Errorf("status %d, missing %v:\n%s", status, missing, out.String())
	}
}

// What the command line asks for in vain is said before anything is looked at.
func TestDoctorUsage(t *testing.T) {
	for args, want := range map[string]string{
		"--only stores":     `unknown check "stores": use configuration, store, keys`,
		"--skip stores":     `unknown check "stores"`,
		"--simulate okto":   `--simulate "okto": use okta, entra, onelogin, jumpcloud or all`,
		"--only simulation": "say which client by --simulate",
		"--timeout 0s":      "--timeout 0s: want 1s to 10m",
		"acme":              `unexpected argument "acme"`,
	} {
		var out, said bytes.Buffer
		status := run(t.Context(), append([]string{"doctor"}, strings.Fields(args)...), func(string) (string, bool) { return "", false }, nil, &out, &said)
		if status != exitUsage || !strings.Contains(said.String(), want) || out.Len() > 0 {
			t.Errorf("doctor %s: status %d, %s%s", args, status, &out, &said)
		}
	}
}
