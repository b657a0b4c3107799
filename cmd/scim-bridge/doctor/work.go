package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sharearefund/scim-bridge/provision"
	"github.com/sharearefund/scim-bridge/store"
)

// WorkOptions are what CheckDirectory, CheckJobs and CheckGuards look at.
type WorkOptions struct {
	Tenant string
	// Replicas is how many servers live.
	Replicas int
	// Store lists the jobs.
	Store store.Reader
	// Backlog and Guards are provision.Service's Backlog and ShowGuards.
	Backlog func(ctx context.Context, tenant string) (provision.Backlog, error)
	Guards  func(ctx context.Context, tenant string) ([]provision.GuardReport, error)
	// Now is the clock. nil: time.Now.
	Now func() time.Time
}

const (
	// jobsLooked is how many of the newest jobs are looked at.
	jobsLooked = 500
	// failedFor is how long a job that failed for good is worth a finding.
	failedFor = 7 * 24 * time.Hour
	// stuckAfter is how long after its time a job should long have begun.
	stuckAfter = 5 * time.Minute
	// failing is from how many attempts on a job is not just unlucky.
	failing = 3
	// scanJob is the kind of job that reads a directory.
	scanJob = "directory.scan"
)

// unread is the finding of a check that the store did not answer.
func unread(err error) findings {
	var f findings
	f.add(Error, "", "see the check store", "the database cannot be read: %s", reason(err))
	return f
}

// CheckDirectory checks how current a tenant's directory is, and why.
func CheckDirectory(o WorkOptions) Check {
	if o.Now == nil {
		o.Now = time.Now
	}
	return Check{Name: Directory, Tenant: o.Tenant, Look: func(ctx context.Context) []Finding {
		b, err := o.Backlog(ctx, o.Tenant)
		if err != nil {
			return unread(err)
		}
		jobs, err := o.Store.Jobs(ctx, o.Tenant, jobsLooked)
		if err != nil {
			return unread(err)
		}
		var f findings
		age := o.Now().Sub(b.Directory.CompletedAt)
		switch {
		case b.Fresh:
			f.ok("", "read %s ago, %d people", span(age), b.Directory.People)
		case o.Replicas == 0:
			f.add(Warning, "", "scim-bridge serve", "%s, and no server lives that would read it", sinceRead(b, age))
		case b.Directory.CompletedAt.IsZero():
			f.add(Warning, "", "wait for some seconds after tenant apply; if it stays, see the check tenant", "never read: lists are 503 until it is")
		default:
			f.add(Error, "", "see the checks upstream and tenant, and the log of the servers", "%s, twice the interval (%s) or more: lists are 503", sinceRead(b, age), b.Interval)
		}
		for _, j := range jobs {
			if j.Kind == scanJob {
				if j.Error != "" && j.State != store.JobDone && j.State != store.JobCancelled {
					f.add(Warning, fmt.Sprintf("job %d", j.ID), "see the checks upstream and tenant", "the last scan failed: %s", clip(j.Error))
				}
				break // the newest
			}
		}
		return f
	}}
}

func sinceRead(b provision.Backlog, age time.Duration) string {
	if b.Directory.CompletedAt.IsZero() {
		return "never read"
	}
	return "read " + span(age) + " ago"
}

// CheckJobs checks for jobs that fail or that nobody carries out, and for role
// work that waits.
func CheckJobs(o WorkOptions) Check {
	if o.Now == nil {
		o.Now = time.Now
	}
	return Check{Name: Jobs, Tenant: o.Tenant, Look: func(ctx context.Context) []Finding {
		jobs, err := o.Store.Jobs(ctx, o.Tenant, jobsLooked)
		if err != nil {
			return unread(err)
		}
		b, err := o.Backlog(ctx, o.Tenant)
		if err != nil {
			return unread(err)
		}
		var f findings
		for _, j := range jobs {
			f.job(j, o)
		}
		if b.Removals > 0 {
			f.add(Warning, "", "scim-bridge jobs list --tenant "+o.Tenant+" says what holds it up", "people who are still to lose a role or access: %d; their clients are not answered before", b.Removals)
		}
		if b.Grants > 0 {
			f.add(Notice, "", "scim-bridge jobs list --tenant "+o.Tenant, "people who are still to get a role: %d", b.Grants)
		}
		if len(f) == 0 {
			f.ok("", "nothing failed, nothing waits")
		}
		return f
	}}
}

func (f *findings) job(j *store.Job, o WorkOptions) {
	subject, show, now := fmt.Sprintf("job %d (%s)", j.ID, j.Kind), fmt.Sprintf("scim-bridge jobs show %d", j.ID), o.Now()
	late := now.Sub(j.RunAt)
	if j.State == store.JobRunning {
		late = now.Sub(j.LeaseUntil)
	}
	switch {
	case j.State == store.JobFailed && now.Sub(j.UpdatedAt) < failedFor:
		f.add(Warning, subject, show, "failed: %s", clip(j.Error))
	case j.State != store.JobQueued && j.State != store.JobRunning:
	case late > stuckAfter && o.Replicas == 0:
		f.add(Warning, subject, "scim-bridge serve", "has waited for %s, and no server lives that would do it", span(late))
	case late > stuckAfter:
		f.add(Warning, subject, show+"; restart the servers if it stays", "has waited for %s, though servers live", span(late))
	case j.Attempts >= failing && j.Error != "" && j.Kind != scanJob: // that is the directory's
		f.add(Warning, subject, show, "failed %d times and is tried again: %s", j.Attempts, clip(j.Error))
	}
}

// CheckGuards checks for changes that were held.
func CheckGuards(o WorkOptions) Check {
	if o.Now == nil {
		o.Now = time.Now
	}
	return Check{Name: Guards, Tenant: o.Tenant, Look: func(ctx context.Context) []Finding {
		guards, err := o.Guards(ctx, o.Tenant)
		if _, ok := errors.AsType[*provision.ConfigError](err); ok {
			return Unlooked(Guards, o.Tenant, "the tenant's configuration cannot be read").Look(ctx)
		}
		if err != nil {
			return unread(err)
		}
		var f findings
		for _, g := range guards {
			switch {
			case !g.OpenUntil.IsZero():
				text := fmt.Sprintf("is released until %s, for %s more", g.OpenUntil.UTC().Format("2006-01-02 15:04:05Z"), span(g.OpenUntil.Sub(o.Now())))
				if g.Held > 0 {
					text += fmt.Sprintf("; %d were held before: their client sends them again", g.Held)
				}
				f.add(Notice, g.Guard, fmt.Sprintf("to end it: scim-bridge tenant guard release %s --tenant %s --for 0", g.Guard, o.Tenant), "%s", text)
			case g.Held > 0:
				f.add(Warning, g.Guard, fmt.Sprintf("scim-bridge tenant guard show --tenant %[1]s; if it is meant: scim-bridge tenant guard release %[2]s --tenant %[1]s", o.Tenant, g.Guard),
					"held and not done: %d; %d of %d have passed in %s", g.Held, g.Used, g.Limit, g.Window)
			}
		}
		if len(f) == 0 {
			f.ok("", "nothing is held")
		}
		return f
	}}
}
