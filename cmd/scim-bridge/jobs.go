package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge"
	"github.com/sharearefund/scim-bridge/provision"
	"github.com/sharearefund/scim-bridge/store"
)

const (
	// followJobEvery is how often --follow looks at a job.
	followJobEvery = 300 * time.Millisecond
	// jobsLooked is how far back the list of jobs looks.
	jobsLooked = 2000
)

// routine are the kinds of jobs that run every few minutes.
var routine = map[string]bool{"directory.scan": true, "invites": true}

func (c *cli) jobsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "jobs", Short: "Watch and cancel long work: list, show, cancel",
		Long: `Long work is a job in the database: any server carries it out, and carries it on
when another one stopped. Kinds are directory.scan (reading everybody), invites
(following those who have not accepted), roles (giving the roles that follow
from groups), roles.recompute (finding whose roles a changed tenant changes),
rebuild and reconcile.`,
		Example: `  scim-bridge jobs list --tenant acme
  scim-bridge jobs show 12 --follow
  scim-bridge jobs cancel 12`,
	}
	return group(cmd, c.jobsList(), c.jobsShow(), c.jobsCancel())
}

// jobView is a job as it is printed.
type jobView struct {
	ID              int64           `json:"id"`
	Tenant          string          `json:"tenant"`
	Kind            string          `json:"kind"`
	Key             string          `json:"key,omitempty"`
	State           store.JobState  `json:"state"`
	Done            int             `json:"done"`
	Total           int             `json:"total,omitempty"`
	Attempts        int             `json:"attempts"`
	Error           string          `json:"error,omitempty"`
	CancelRequested bool            `json:"cancel_requested,omitempty"`
	RunAt           time.Time       `json:"run_at"`
	CreatedAt       time.Time       `json:"created_at"`
	UpdatedAt       time.Time       `json:"updated_at"`
	Result          json.RawMessage `json:"result,omitempty"`
}

func viewOf(j *store.Job) jobView {
	v := jobView{
		ID: j.ID, Tenant: j.Tenant, Kind: j.Kind, Key: j.Key, State: j.State, Attempts: j.Attempts, Error: j.Error,
		CancelRequested: j.CancelRequested, RunAt: j.RunAt, CreatedAt: j.CreatedAt, UpdatedAt: j.UpdatedAt,
	}
	var p provision.Progress
	if json.Unmarshal(j.Progress, &p) == nil {
		v.Done, v.Total = p.Done, p.Total
	}
	if json.Valid(j.Result) {
		v.Result = j.Result
	}
	return v
}

func (v jobView) name() string { return strings.TrimSpace(v.Kind + " " + v.Key) }

func (v jobView) state() string {
	if v.State == store.JobRunning && v.CancelRequested {
		return "running, stops soon"
	}
	return string(v.State)
}

func (v jobView) progress() string {
	switch {
	case v.Total > 0:
		return fmt.Sprintf("%d of %d", v.Done, v.Total)
	case v.Done > 0:
		return strconv.Itoa(v.Done)
	}
	return "-"
}

func (c *cli) jobsList() *cobra.Command {
	var tenant string
	var all, asJSON bool
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List jobs, the newest first", Args: noArgs,
		Long: `List the jobs of a tenant, or of all, the newest first. Those that run every few
minutes (directory.scan, invites) are left out once they are done, unless --all
is given.`,
		Example: "  scim-bridge jobs list --tenant acme\n  scim-bridge jobs list --json | jq 'select(.state == \"queued\")'",
		RunE: does(func(cmd *cobra.Command, _ []string) error {
			if limit < 1 || limit > jobsLooked {
				return usagef("--limit %d: want 1 to %d", limit, jobsLooked)
			}
			return c.withOffice(cmd.Context(), func(o *office) error {
				if tenant != "" {
					if _, err := o.tenant(cmd.Context(), tenant); err != nil {
						return err
					}
				}
				views, err := o.jobs(cmd.Context(), tenant, all, limit)
				if err != nil {
					return err
				}
				return c.printJobs(views, asJSON)
			})
		}),
	}
	f := cmd.Flags()
	f.StringVar(&tenant, "tenant", "", "only those of the tenant `SLUG`")
	f.BoolVar(&all, "all", false, "those that are done and run every few minutes, too")
	f.IntVar(&limit, "limit", 50, "at most this `NUMBER`")
	f.BoolVar(&asJSON, "json", false, "one JSON object a line, with results")
	_ = cmd.RegisterFlagCompletionFunc("tenant", c.completeSlug)
	c.configFlag(cmd)
	return cmd
}

// jobs are the newest ones.
func (o *office) jobs(ctx context.Context, tenant string, all bool, limit int) ([]jobView, error) {
	look := limit
	if !all {
		look = jobsLooked
	}
	rows, err := o.store.Jobs(ctx, tenant, look)
	if err != nil {
		return nil, err
	}
	var views []jobView
	for _, j := range rows {
		if len(views) < limit && (all || j.State != store.JobDone || !routine[j.Kind]) {
			views = append(views, viewOf(j))
		}
	}
	return views, nil
}

func (c *cli) printJobs(views []jobView, asJSON bool) error {
	if asJSON {
		for _, v := range views {
			if err := c.printJSON(v); err != nil {
				return err
			}
		}
		return nil
	}
	if len(views) == 0 {
		fmt.Fprintln(c.stderr, "no jobs but those that run every few minutes: see `scim-bridge jobs list --all`")
		return nil
	}
	t := c.table("ID", "TENANT", "KIND", "STATE", "PROGRESS", "ATTEMPTS", "CHANGED", "LAST ERROR")
	for _, v := range views {
		t.row(fmt.Sprint(v.ID), v.Tenant, v.name(), v.state(), v.progress(), fmt.Sprint(v.Attempts), stamp(v.UpdatedAt), v.Error)
	}
	return t.flush()
}

// jobID is the argument of a command about one job.
func jobID(_ *cobra.Command, args []string) error {
	if err := oneArg("the job's ID")(nil, args); err != nil {
		return err
	}
	if id, err := strconv.ParseInt(args[0], 10, 64); err != nil || id <= 0 {
		return usagef("ID %q: want the number that `scim-bridge jobs list` shows", args[0])
	}
	return nil
}

// job finds a job by the argument that jobID let pass.
func (o *office) job(ctx context.Context, arg string) (*store.Job, error) {
	id, err := strconv.ParseInt(arg, 10, 64)
	if err != nil {
		return nil, err
	}
	j, err := o.store.Job(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("job %d does not exist; see `scim-bridge jobs list`", id)
	}
	return j, err
}

func (c *cli) jobsShow() *cobra.Command {
	var follow, asJSON bool
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show a job, its progress and its result", Args: jobID,
		Long: `Show a job: how far it is, why it failed last, and what came of it. With --follow
its progress is shown until it ends; Ctrl-C leaves it running. The exit status is
then 1 when it failed or was cancelled.`,
		Example: "  scim-bridge jobs show 12\n  scim-bridge jobs show 12 --follow",
		RunE: does(func(cmd *cobra.Command, args []string) error {
			return c.withOffice(cmd.Context(), func(o *office) error {
				j, err := o.job(cmd.Context(), args[0])
				if err == nil && follow {
					j, err = c.followJob(cmd.Context(), o, j)
				}
				if err != nil {
					return err
				}
				if err := c.printJob(viewOf(j), asJSON); err != nil {
					return err
				}
				if follow && j.State != store.JobDone {
					return fmt.Errorf("job %d: %s", j.ID, j.Error)
				}
				return nil
			})
		}),
	}
	cmd.Flags().BoolVarP(&follow, "follow", "F", false, "show its progress until it ends")
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON, with the whole result")
	c.configFlag(cmd)
	c.completeJobs(cmd, false)
	return cmd
}

// followJob shows a job's progress until it ends.
func (c *cli) followJob(ctx context.Context, o *office, j *store.Job) (*store.Job, error) {
	p := c.progress(viewOf(j).name())
	defer p.end()
	t := time.NewTicker(followJobEvery)
	defer t.Stop()
	told := 0
	for j.State == store.JobQueued || j.State == store.JobRunning {
		v := viewOf(j)
		if v.State == store.JobQueued && v.Error != "" && v.Attempts > told {
			p.end()
			fmt.Fprintln(c.stderr, plain(fmt.Sprintf("attempt %d: %s; the next one is due %s", v.Attempts, v.Error, stamp(v.RunAt))))
			told = v.Attempts
		}
		p.show(v.Done, v.Total)
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-t.C:
		}
		var err error
		if j, err = o.store.Job(ctx, j.ID); err != nil {
			return nil, err
		}
	}
	return j, nil
}

func (c *cli) printJob(v jobView, asJSON bool) error {
	if asJSON {
		return c.printIndented(v)
	}
	t := c.table("job", fmt.Sprint(v.ID))
	t.row("tenant", v.Tenant)
	t.row("kind", v.name())
	t.row("state", v.state())
	if v.State == store.JobQueued {
		t.row("due", stamp(v.RunAt))
	}
	t.row("progress", v.progress())
	t.row("attempts", fmt.Sprint(v.Attempts))
	t.row("created", stamp(v.CreatedAt))
	t.row("changed", stamp(v.UpdatedAt))
	if v.Error != "" {
		t.row("last error", v.Error)
	}
	if v.Kind != "reconcile" && len(v.Result) > 0 {
		t.row("result", string(v.Result))
	}
	if err := t.flush(); err != nil {
		return err
	}
	if v.Kind == "reconcile" && len(v.Result) > 0 {
		var report provision.ReconcileReport
		if err := json.Unmarshal(v.Result, &report); err != nil {
			return err
		}
		fmt.Fprintln(c.stdout)
		return c.printDifferences(report)
	}
	return nil
}

func (c *cli) jobsCancel() *cobra.Command {
	cmd := &cobra.Command{
		Use: "cancel ID", Short: "Cancel a job", Args: jobID,
		Long: `Cancel a job: one that waits at once, one that runs within seconds. What it did
stays done. The roles that a job of kind roles was to give are dropped, until
"reconcile --fix" or a change of the group gives them; what it was to take away
is never dropped: another job goes on with that.`,
		Example: "  scim-bridge jobs cancel 12",
		RunE: does(func(cmd *cobra.Command, args []string) error {
			return c.withOffice(cmd.Context(), func(o *office) error {
				j, err := o.job(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return o.withBridge(func(b *bridge.Bridge) error {
					r, err := b.Service.CancelJob(cmd.Context(), j.ID, actorCLI)
					if err != nil {
						return err
					}
					what := "is cancelled"
					if r.Stopping {
						what = "is asked to stop, and does within seconds"
					}
					fmt.Fprintf(c.stdout, "job %d (%s) %s\n", j.ID, viewOf(j).name(), what)
					if j.Kind == "roles" {
						_, err = fmt.Fprintf(c.stdout, "people who are not given a role: %d; people who still lose one: %d\n", r.Dropped, r.Removals)
					}
					return err
				})
			})
		}),
	}
	c.configFlag(cmd)
	c.completeJobs(cmd, true)
	return cmd
}

// completeJobs completes the id of a job as the first argument; unfinished
// leaves out those that ended.
func (c *cli) completeJobs(cmd *cobra.Command, unfinished bool) {
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var ids []string
		_ = c.withOffice(cmd.Context(), func(o *office) error { // without a store there is nothing to offer
			views, err := o.jobs(cmd.Context(), "", false, 50)
			for _, v := range views {
				if ended := v.State != store.JobQueued && v.State != store.JobRunning; !unfinished || !ended {
					ids = append(ids, fmt.Sprintf("%d\t%s of %s, %s", v.ID, v.name(), v.Tenant, v.state()))
				}
			}
			return err
		})
		return ids, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}
