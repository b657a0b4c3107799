package main

import (
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
	var follow, asJSON bool
	cmd := &cobra.Command{
		Use: "events", Short: "Show what happened: every change, and every refusal", Args: noArgs,
		Long: `Show the audit trail: one event for every change that was acknowledged, committed
together with it, and one for every request that was refused or failed. The
newest come last.`,
		Example: `  scim-bridge events --limit 20
  scim-bridge events --follow --tenant acme
  scim-bridge events --failed --json | jq .detail
  scim-bridge events --person 5f0c0d6e-…`,
		RunE: does(func(cmd *cobra.Command, _ []string) error {
			if q.Limit < 1 || q.Limit > 10_000 {
				return usagef("--limit %d: want 1 to 10000", q.Limit)
			}
			show := c.showEvent
			if asJSON {
				show = c.showEventJSON
			}
			return c.withOffice(cmd.Context(), func(o *office) error {
				if q.Tenant != "" {
					// Events outlive their tenant, so an unknown slug is no fault
					// unless nothing at all is found.
					if err := c.knownTenant(cmd.Context(), o, q.Tenant); err != nil {
						return err
					}
				}
				return showEvents(cmd.Context(), o.store, q, follow, show)
			})
		}),
	}
	f := cmd.Flags()
	f.BoolVarP(&follow, "follow", "F", false, "go on showing new ones until interrupted")
	f.StringVar(&q.Tenant, "tenant", "", "only those of the tenant `SLUG`")
	f.BoolVar(&q.Failed, "failed", false, "only refusals and failures")
	f.StringVar(&q.ResourceID, "person", "", "only those of the person with this SCIM `ID`")
	f.StringVar(&q.RequestID, "request", "", "only those of the request with this `ID`")
	f.IntVar(&q.Limit, "limit", 50, "at most this `NUMBER`, the newest")
	f.BoolVar(&asJSON, "json", false, "one JSON object a line")
	_ = cmd.RegisterFlagCompletionFunc("tenant", c.completeSlug)
	c.configFlag(cmd)
	return cmd
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

func showEvents(ctx context.Context, s store.Store, q store.EventQuery, follow bool, show func(*store.Event) error) error {
	newest := q
	newest.Newest = true
	past, err := s.Events(ctx, newest)
	if err != nil {
		return err
	}
	slices.Reverse(past)
	for _, e := range past {
		q.After = max(q.After, e.Seq)
		if err := show(e); err != nil {
			return err
		}
	}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for follow {
		more, err := s.Events(ctx, q)
		if err != nil && ctx.Err() == nil {
			return err
		}
		for _, e := range more {
			q.After = e.Seq
			if err := show(e); err != nil {
				return err
			}
		}
		if len(more) == q.Limit {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	return nil
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
