package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/doctor"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/settings"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/store/sqlstore"
)

// newPatient is a deployment on a database of its own.
func newPatient(t *testing.T) *patient {
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
	st, err := sqlstore.Open(t.Context(), sqlstore.Options{URL: s.Store.URL})
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

// untouched checks that a deployment has neither tenants nor events, and that
// no file is left in tmp.
func untouched(t *testing.T, when string, x *patient, tmp string) {
	t.Helper()
	slugs, err := x.office.slugs(t.Context(), "")
	events, errEvents := x.office.store.Events(t.Context(), store.EventQuery{})
	files, errFiles := os.ReadDir(tmp)
	if err := errors.Join(err, errEvents, errFiles); err != nil {
		t.Fatal(err)
	}
	if len(slugs)+len(events)+len(files) > 0 {
		t.Errorf("%s, left: tenants %v, %d events, files %v", when, slugs, len(events), files)
	}
}

// Of a simulation nothing is left: no tenant, no event, no file.
func TestSimulationLeavesNothing(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	x := newPatient(t)
	report, err := x.play(t.Context(), "entra")
	if err != nil || report.Verdict != simulate.OK {
		t.Errorf("%+v, %v", report, err)
	}
	untouched(t, "afterwards", x, tmp)
}

// stopped is a context that ends when it is looked at for the last time of left.
type stopped struct {
	context.Context
	left atomic.Int64
	done chan struct{}
}

func (s *stopped) Done() <-chan struct{} {
	if s.left.Add(-1) == 0 {
		close(s.done)
	}
	return s.done
}

func (s *stopped) Err() error {
	select {
	case <-s.done:
		return context.Canceled
	default:
		return nil
	}
}

// Whenever a simulation is interrupted, nothing of it is left either.
func TestInterruptedSimulation(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	for _, looks := range []int64{1, 10, 50, 400} {
		x := newPatient(t)
		ctx := &stopped{Context: t.Context(), done: make(chan struct{})}
		ctx.left.Store(looks)
		report, err := x.play(ctx, "okta")
		if !errors.Is(err, context.Canceled) {
			t.Errorf("after %d looks: %v, %+v", looks, err, report)
		}
		untouched(t, fmt.Sprintf("after %d looks at the context", looks), x, tmp)
	}
}

// deaf is a store that does not commit.
type deaf struct{ store.Store }

func (deaf) Ping(context.Context) error { return errors.New("disk full") }

// A simulation commits to a database of its own; that the deployment's does, too,
// is asked before.
func TestSimulationOverADatabaseThatDoesNotCommit(t *testing.T) {
	x := newPatient(t)
	x.office.store = deaf{x.office.store}
	if report, err := x.play(t.Context(), "okta"); report != nil || err == nil || !strings.Contains(err.Error(), "does not commit: disk full") {
		t.Errorf("%+v, %v", report, err)
	}
}

// The servers' cache knows nothing of the throw-away tenant, so it is not asked.
func TestSimulationLeavesRedisAlone(t *testing.T) {
	x := newPatient(t)
	x.settings.Redis.URL = "redis://127.0.0.1:1"
	if report, err := x.play(t.Context(), "jumpcloud"); err != nil || report.Verdict != simulate.OK {
		t.Errorf("%+v, %v", report, err)
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
