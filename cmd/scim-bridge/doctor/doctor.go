// Package doctor looks at a deployment and says what is wrong with it and what
// to do: configuration, keys, database, cache, upstream, clocks, public address
// and every tenant. A check is a named unit that is given all it needs; it
// changes nothing, and no finding holds a secret or names a person.
package doctor

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// The names of the checks, in the order in which they are shown.
const (
	Configuration = "configuration"
	Store         = "store"
	Keys          = "keys"
	Cache         = "cache"
	Clock         = "clock"
	PublicURL     = "public-url"
	Upstream      = "upstream"
	Tenant        = "tenant"
	Directory     = "directory"
	Jobs          = "jobs"
	Guards        = "guards"
	Tokens        = "tokens"
	Simulation    = "simulation"
)

// Names lists every check in the order in which they are shown.
func Names() []string {
	return []string{
		Configuration, Store, Keys, Cache, Clock, PublicURL, Upstream, Tenant, Directory, Jobs, Guards, Tokens, Simulation,
	}
}

// Level says how bad a finding is.
type Level string

// Levels, from good to bad.
const (
	// OK is how it should be.
	OK Level = "ok"
	// Notice is worth knowing and harms nobody.
	Notice Level = "notice"
	// Warning works now, but is slower, less safe or about to break.
	Warning Level = "warning"
	// Error is refused requests, now or as soon as a server starts.
	Error Level = "error"
)

func (l Level) rank() int { return slices.Index([]Level{OK, Notice, Warning, Error}, l) }

// Finding is one thing that a check found out.
type Finding struct {
	// Check is the check's name; Tenant the slug, "" where it is not about one.
	Check  string `json:"check"`
	Tenant string `json:"tenant,omitempty"`
	Level  Level  `json:"level"`
	// Subject is the value that it is about, such as a key of the settings with
	// its value, a file or an address; it may be empty.
	Subject string `json:"subject,omitempty"`
	// Detail says what is, Remedy what to do: a command or a setting. Remedy is
	// empty where there is nothing to do.
	Detail string `json:"detail"`
	Remedy string `json:"remedy,omitempty"`
}

// findings collects what one check finds; Run fills in whose it is.
type findings []Finding

func (f *findings) add(l Level, subject, remedy, detail string, args ...any) {
	*f = append(*f, Finding{Level: l, Subject: subject, Remedy: remedy, Detail: fmt.Sprintf(detail, args...)})
}

func (f *findings) ok(subject, detail string, args ...any) { f.add(OK, subject, "", detail, args...) }

// Check finds out about one thing.
type Check struct {
	// Name is one of Names. Tenant is the slug, "" where it is not about one.
	Name, Tenant string
	// Look is called once. It heeds the end of its context, and an empty result
	// means that there is nothing to say.
	Look func(ctx context.Context) []Finding
}

// RunOptions configure Run.
type RunOptions struct {
	// Timeout bounds each check by itself. 0: 15 s.
	Timeout time.Duration
	// Parallel is how many checks run at once. 0: 8.
	Parallel int
	// Grace is how long a check may still go on after its time, to leave things
	// as it found them. 0: 2 s.
	Grace time.Duration
}

// Run runs the checks at the same time and returns what they found, in the
// order of the checks. One that panics is a finding, and so is one that does not
// end in time, which is left behind.
func Run(ctx context.Context, checks []Check, o RunOptions) []Finding {
	if o.Timeout <= 0 {
		o.Timeout = 15 * time.Second
	}
	if o.Parallel <= 0 {
		o.Parallel = 8
	}
	if o.Grace <= 0 {
		o.Grace = 2 * time.Second
	}
	found := make([][]Finding, len(checks))
	slots := make(chan struct{}, o.Parallel)
	var wg sync.WaitGroup
	for i, c := range checks {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			found[i] = c.run(ctx, o)
		})
	}
	wg.Wait()
	return slices.Concat(found...)
}

func (c Check) run(ctx context.Context, o RunOptions) []Finding {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	done := make(chan findings, 1)
	go func() {
		var f findings
		defer func() {
			if v := recover(); v != nil {
				f = nil
				f.add(Error, "", "report it with the output of scim-bridge version", "the check itself is defective: it panicked with %T", v)
			}
			done <- f
		}()
		f = c.Look(ctx)
	}()
	var f findings
	select {
	case f = <-done:
	case <-ctx.Done():
		late := time.NewTimer(o.Grace)
		defer late.Stop()
		select {
		case f = <-done:
		case <-late.C:
			f.add(Error, "", "see what is slow, or give it more time by --timeout", "no answer within %s", o.Timeout)
		}
	}
	for i := range f {
		f[i].Check, f[i].Tenant = c.Name, c.Tenant
	}
	return f
}

// Unlooked says of a check why it was not made.
func Unlooked(name, tenant, why string) Check {
	return Check{Name: name, Tenant: tenant, Look: func(context.Context) []Finding {
		return []Finding{{Level: Notice, Detail: "not looked at: " + why}}
	}}
}
