package doctor_test

import (
	"context"
	"testing"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/doctor"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate"
)

func TestSimulation(t *testing.T) {
	failed := simulate.Check{Name: "x", What: "a filter that nobody matches finds nobody", Verdict: simulate.Failed, Request: "GET /Users", Got: "3 users", Why: "Okta takes the first one", Source: "o1"}
	for _, tt := range []struct {
		name   string
		report *simulate.Report
		err    error
		want   string
	}{
		{"sound", &simulate.Report{Verdict: simulate.OK, Users: 10, Groups: 2, Requests: 303, Millis: 500}, nil, "ok okta: played to its end: 10 people, 2 groups, 303 requests in 500ms"},
		{"a failed expectation", &simulate.Report{Verdict: simulate.Failed, Steps: []simulate.Step{{Title: "Look up", Verdict: simulate.Failed, Checks: []simulate.Check{{Verdict: simulate.OK}, failed}}}}, nil,
			"error okta: Look up: a filter that nobody matches finds nobody: GET /Users: 3 users"},
		{"a failed step", &simulate.Report{Verdict: simulate.Failed, Steps: []simulate.Step{{Title: "Look up", Verdict: simulate.Failed, Reason: "no answer"}}}, nil, "error okta: Look up: failed: no answer"},
		{"cut short", &simulate.Report{Verdict: simulate.Interrupted}, nil, "error okta: some steps were not played to their end"},
		{"interrupted", &simulate.Report{Verdict: simulate.OK, Interrupted: true}, context.DeadlineExceeded, "error okta: did not come to its end: no answer in time"},
		{"not begun", nil, errBroken, "error okta: could not be played: disk I/O error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			expect(t, look(t, doctor.CheckSimulation("okta", func(context.Context, string) (*simulate.Report, error) { return tt.report, tt.err })), tt.want)
		})
	}
}
