package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sharearefund/scim-bridge/store"
)

// followEvery is how often --follow looks for new events.
const followEvery = time.Second

func (c *cli) eventsCommand() *cobra.Command {
	var q store.EventQuery
	v := eventsView{c: c}
	cmd := &cobra.Command{
		Use: "events", Short: "Show what happened: every change, and every refusal", Args: noArgs,
		Long: `Show the audit trail: one event for every change that was acknowledged, committed
together with it, and one for every request that was refused or failed. The
newest come last.

With --requests, show the requests of the provisioning clients instead, look-ups
included. What they said is not kept: pseudonyms such as p-7f3kq2m9x4ab stand for
names, addresses and other values, and are always the same for a value. --user
finds a person or a group by a SCIM id, user name, e-mail address or group name.`,
		Example: `  scim-bridge events --limit 20
  scim-bridge events --follow --tenant acme
  scim-bridge events --failed --json | jq .detail
  scim-bridge events --person 5f0c0d6e-…
  scim-bridge events --requests --user ada@example.com
  scim-bridge events --requests --failed --follow`,
		RunE: does(func(cmd *cobra.Command, _ []string) error {
			if q.Limit < 1 || q.Limit > 10_000 {
				return usagef("--limit %d: want 1 to 10000", q.Limit)
			}
			if q.ResourceID != "" && v.user != "" {
				return usagef("--person and --user exclude each other: --user takes a SCIM id too")
			}
			return c.withOffice(cmd.Context(), func(o *office) error {
				if q.Tenant != "" {
					// Events outlive their tenant, so an unknown slug is no fault
					// unless nothing at all is found.
					if err := c.knownTenant(cmd.Context(), o, q.Tenant); err != nil {
						return err
					}
				}
				v.o = o
				if v.requests {
					return v.showRequests(cmd.Context(), q)
				}
				return v.showEvents(cmd.Context(), q)
			})
		}),
	}
	f := cmd.Flags()
	f.BoolVar(&v.requests, "requests", false, "the requests of provisioning clients instead")
	f.BoolVarP(&v.follow, "follow", "F", false, "go on showing new ones until interrupted")
	f.StringVar(&q.Tenant, "tenant", "", "only those of the tenant `SLUG`")
	f.BoolVar(&q.Failed, "failed", false, "only refusals and failures")
	f.StringVar(&v.user, "user", "", "only those of the person or group with this `NAME`, e-mail address or SCIM id")
	f.StringVar(&q.ResourceID, "person", "", "only those of the person with this SCIM `ID`")
	f.StringVar(&q.RequestID, "request", "", "only those of the request with this `ID`")
	f.IntVar(&q.Limit, "limit", 50, "at most this `NUMBER`, the newest")
	f.BoolVar(&v.json, "json", false, "one JSON object a line")
	_ = cmd.RegisterFlagCompletionFunc("tenant", c.completeSlug)
	c.configFlag(cmd)
	return cmd
}

// eventsView is one run of the events command.
type eventsView struct {
	c                      *cli
	o                      *office
	requests, follow, json bool
	user                   string
}

// knownTenant refuses a slug that neither a tenant nor an event has.
func (c *cli) knownTenant(ctx context.Context, o *office, slug string) error {
	events, err := o.store.Events(ctx, store.EventQuery{Tenant: slug, Limit: 1})
	if err != nil || len(events) > 0 {
		return err
	}
	_, err = o.tenant(ctx, slug)
	return err
}

func (v *eventsView) showEvents(ctx context.Context, q store.EventQuery) error {
	show := v.c.showEvent
	if v.json {
		show = v.c.showEventJSON
	}
	return follow(ctx, v.follow, q.Limit, func(e *store.Event) int64 { return e.Seq }, func(after int64, newest bool) ([]*store.Event, error) {
		queries, err := v.eventQueries(ctx, q)
		if err != nil {
			return nil, err
		}
		var all []*store.Event
		for _, of := range queries {
			of.After, of.Newest = after, newest
			found, err := v.o.store.Events(ctx, of)
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
		return all, nil
	}, show, func() { v.nothing("event", "") })
}

// nothing says on standard error that what was asked for is not there, and what
// else may be the reason.
func (v *eventsView) nothing(what, reason string) {
	fmt.Fprintf(v.c.stderr, "no %s matches%s\n", what, reason)
}

// eventQueries are q, or one for each of those whom --user means now: whoever
// follows may wait for somebody new.
func (v *eventsView) eventQueries(ctx context.Context, q store.EventQuery) ([]store.EventQuery, error) {
	if v.user == "" {
		return []store.EventQuery{q}, nil
	}
	found, err := v.o.subjects(ctx, q.Tenant, v.user)
	if err != nil {
		return nil, err
	}
	var queries []store.EventQuery
	for _, s := range found {
		for _, id := range s.ids {
			of := q
			of.Tenant, of.ResourceID = s.tenant, id
			queries = append(queries, of)
		}
	}
	if len(queries) == 0 && !v.follow {
		return nil, fmt.Errorf("no person or group %q is known (looked for a SCIM id, user name, e-mail address and group name)", v.user)
	}
	return queries, nil
}

// follow shows the newest limit of what read finds, oldest first, and, when on,
// what comes after it until ctx is done. read may find more than limit, in any
// order, as long as the nearest to after, or the newest, are among it.
// nothing is called when there is nothing at first.
func follow[T any](ctx context.Context, on bool, limit int, seq func(T) int64, read func(after int64, newest bool) ([]T, error), show func(T) error, nothing func()) error {
	found, err := read(0, true)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		nothing()
	}
	bySeq := func(a, b T) int { return cmp.Compare(seq(a), seq(b)) }
	slices.SortFunc(found, bySeq)
	found = found[max(0, len(found)-limit):]
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	var after int64
	for {
		for _, row := range found {
			after = seq(row)
			if err := show(row); err != nil {
				return err
			}
		}
		if !on {
			return nil
		}
		if len(found) < limit {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
		found, err = read(after, false)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		slices.SortFunc(found, bySeq)
		found = found[:min(limit, len(found))]
	}
}

// showEvent prints an event on one line.
func (c *cli) showEvent(e *store.Event) error {
	status := "-"
	if e.Status != 0 {
		status = fmt.Sprint(e.Status)
	}
	parts := []string{e.At.UTC().Format("2006-01-02T15:04:05.000Z"), fmt.Sprintf("%-6s", e.Outcome), fmt.Sprintf("%3s", status), e.Tenant, e.Action}
	for _, p := range []string{e.ResourceID, "by " + e.Actor, e.Detail, eventSummary(e.Data)} {
		if p != "" && p != "by " {
			parts = append(parts, p)
		}
	}
	_, err := fmt.Fprintln(c.stdout, plain(strings.Join(parts, "  ")))
	return err
}

// eventSummary is what changed and what was done upstream, in brief.
func eventSummary(data []byte) string {
	var d struct {
		Changes  []string `json:"changes"`
		Upstream []string `json:"upstream"`
	}
	if json.Unmarshal(data, &d) != nil {
		return ""
	}
	var parts []string
	if len(d.Changes) > 0 {
		parts = append(parts, "changes: "+strings.Join(d.Changes, ", "))
	}
	if len(d.Upstream) > 0 {
		parts = append(parts, "upstream: "+strings.Join(d.Upstream, ", "))
	}
	return strings.Join(parts, "; ")
}

func (c *cli) showEventJSON(e *store.Event) error {
	out := struct {
		Seq          int64           `json:"seq"`
		At           time.Time       `json:"at"`
		Tenant       string          `json:"tenant"`
		Actor        string          `json:"actor"`
		RequestID    string          `json:"request_id,omitempty"`
		Action       string          `json:"action"`
		ResourceType string          `json:"resource_type,omitempty"`
		ResourceID   string          `json:"resource_id,omitempty"`
		Outcome      string          `json:"outcome"`
		Status       int             `json:"status,omitempty"`
		Detail       string          `json:"detail,omitempty"`
		Data         json.RawMessage `json:"data,omitempty"`
	}{e.Seq, e.At, e.Tenant, e.Actor, e.RequestID, e.Action, e.ResourceType, e.ResourceID, e.Outcome, e.Status, e.Detail, nil}
	if json.Valid(e.Data) {
		out.Data = e.Data
	}
	return c.printJSON(out)
}
