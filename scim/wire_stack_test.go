package scim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// newWireStack builds the bridge over a sandbox; it is taken down with t.
func newWireStack(t *testing.T, cfg wireConfig) wireStack {
	t.Helper()
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(cfg.Policy)) {
		lines = append(lines, key+": "+cfg.Policy[key])
	}
	return realStack{t, bridgetest.Start(t, bridgetest.Config{
		Client: cfg.Client, Tenant: lines, Sandbox: sandbox.Options{Invites: sandbox.InviteMode(cfg.Invites)},
	})}
}

// realStack is the bridge as bridgetest runs it.
type realStack struct {
	t *testing.T
	s *bridgetest.Stack
}

func (r realStack) BaseURL() string { return r.s.Base }

func (r realStack) Do(req *http.Request) *http.Response {
	if req.Header.Get("Authorization") == "" {
		req.Header.Set("Authorization", "Bearer "+r.s.Token)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	return res
}

func (r realStack) Accept(email string) error { return r.s.Sandbox.Accept(email) }

func (r realStack) Edit(text string) error {
	var e sandbox.Edit
	if err := strictJSON(text, &e); err != nil {
		return err
	}
	_, err := r.s.Sandbox.Edit(e)
	return err
}

func (r realStack) Faults(text string) error {
	var f struct {
		Rules []sandbox.Rule `json:"rules"`
	}
	if err := strictJSON(text, &f); err != nil {
		return err
	}
	return r.s.Sandbox.SetFaults(f.Rules)
}

func (r realStack) Scan() error {
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	if _, err := r.s.Bridge.Service.ScanNow(ctx, "acme"); err != nil {
		return err
	}
	// The schedule would ask for the same, some seconds later.
	if _, err := r.s.Store.EnqueueJob(ctx, store.Job{Tenant: "acme", Kind: "roles"}); err != nil {
		return err
	}
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		work, err := r.s.Store.RoleWork(ctx, "acme", store.RoleWorkQuery{Limit: 1})
		if err != nil || len(work) == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the roles of person %s are not given: %w", work[0].PersonID, ctx.Err())
		case <-poll.C:
		}
	}
}

func strictJSON(text string, v any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

func (r realStack) Ledger() []wireEntry {
	text, err := json.Marshal(r.s.Sandbox.Ledger())
	if err != nil {
		r.t.Fatal(err)
	}
	var entries []struct {
		Operation     string          `json:"operation"`
		Credential    string          `json:"credential"`
		Email         string          `json:"email"`
		Organizations []int           `json:"organization_ids"`
		Before        json.RawMessage `json:"before"`
		After         json.RawMessage `json:"after"`
	}
	if err := json.Unmarshal(text, &entries); err != nil {
		r.t.Fatal(err)
	}
	out := make([]wireEntry, len(entries))
	for i, e := range entries {
		out[i] = wireEntry(e)
	}
	return out
}
