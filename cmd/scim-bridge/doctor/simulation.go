package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate"
)

// CheckSimulation plays a provisioning client and judges what it met. play is
// simulate.Run with the rest of its options.
func CheckSimulation(client string, play func(ctx context.Context, client string) (*simulate.Report, error)) Check {
	return Check{Name: Simulation, Look: func(ctx context.Context) []Finding {
		var f findings
		r, err := play(ctx, client)
		if r == nil {
			f.add(Error, client, "see the findings above", "could not be played: %s", reason(err))
			return f
		}
		requests := time.Duration(r.Millis) * time.Millisecond
		for _, s := range r.Steps {
			f.step(client, s)
		}
		switch {
		case err != nil || r.Interrupted:
			f.add(Error, client, "run it again; see what is slow: the findings above, the load of this host", "did not come to its end: %s", reason(err))
		case r.Verdict == simulate.Interrupted:
			f.add(Error, client, "scim-bridge simulate "+client+" against a tenant for tests says more", "some steps were not played to their end")
		case r.Verdict != simulate.Failed:
			f.ok(client, "played to its end: %d people, %d groups, %d requests in %s", r.Users, r.Groups, r.Requests, span(requests))
		}
		return f
	}}
}

// step reports what a client expected in vain. What it sent and got is of
// people that the simulation made up.
func (f *findings) step(client string, s simulate.Step) {
	if s.Verdict != simulate.Failed {
		return
	}
	before := len(*f)
	for _, c := range s.Checks {
		if c.Verdict == simulate.Failed {
			f.add(Error, client+": "+s.Title, fmt.Sprintf("%s (%s); report it with the output of scim-bridge version", c.Why, c.Source), "%s: %s: %s", c.What, c.Request, clip(c.Got))
		}
	}
	if len(*f) == before {
		f.add(Error, client+": "+s.Title, "report it with the output of scim-bridge version", "failed: %s", clip(s.Reason))
	}
}
