package doctor_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/doctor"
)

func finding(l doctor.Level, detail string) func(context.Context) []doctor.Finding {
	return func(context.Context) []doctor.Finding { return []doctor.Finding{{Level: l, Detail: detail}} }
}

// Checks run at the same time, each with its own time; what they find keeps
// their order. One that panics or hangs spoils no other.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		slow := func(ctx context.Context) []doctor.Finding {
			<-ctx.Done()
			return []doctor.Finding{{Level: doctor.Error, Detail: "gave up: " + ctx.Err().Error()}}
		}
		start := time.Now()
		found := doctor.Run(t.Context(), []doctor.Check{
			{Name: doctor.Store, Look: slow},
			{Name: doctor.Cache, Look: func(context.Context) []doctor.Finding { panic("hunter2") }},
			{Name: doctor.Clock, Look: func(context.Context) []doctor.Finding { <-hang; return nil }},
			{Name: doctor.Tenant, Tenant: "acme", Look: finding(doctor.OK, "fine")},
			{Name: doctor.Keys, Look: slow},
		}, doctor.RunOptions{Timeout: 10 * time.Second, Parallel: 5})
		if took := time.Since(start); took != 12*time.Second {
			t.Errorf("it took %s: the checks did not run at the same time", took)
		}
		close(hang)
		got := make([]doctor.Finding, len(found))
		for i, f := range found {
			got[i] = doctor.Finding{Check: f.Check, Tenant: f.Tenant, Level: f.Level, Detail: f.Detail}
		}
		if d := cmp.Diff([]doctor.Finding{
			{Check: "store", Level: doctor.Error, Detail: "gave up: context deadline exceeded"},
			{Check: "cache", Level: doctor.Error, Detail: "the check itself is defective: it panicked with string"},
			{Check: "clock", Level: doctor.Error, Detail: "no answer within 10s"},
			{Check: "tenant", Tenant: "acme", Level: doctor.OK, Detail: "fine"},
			{Check: "keys", Level: doctor.Error, Detail: "gave up: context deadline exceeded"},
		}, got); d != "" {
			t.Error(d)
		}
	})
}

// The report is ordered by tenant and check, and says each thing once.
func TestReport(t *testing.T) {
	r := doctor.NewReport([]doctor.Finding{
		{Check: doctor.Tokens, Tenant: "globex", Level: doctor.OK, Detail: "1 can be used"},
		{Check: doctor.Tokens, Tenant: "acme", Level: doctor.Warning, Detail: "there is none", Remedy: "make \x1b[31mone"},
		{Check: doctor.Store, Level: doctor.OK, Subject: "sqlite:x", Detail: "answers"},
		{Check: doctor.Store, Level: doctor.Notice, Subject: "sqlite:x", Detail: "is slow"},
		{Check: doctor.Configuration, Level: doctor.OK, Subject: "server.yaml", Detail: "complete"},
		{Check: doctor.Directory, Tenant: "acme", Level: doctor.Error, Detail: "old"},
	})
	text := func(r doctor.Report) string {
		var b strings.Builder
		check(t, r.WriteText(&b, func(s string) string { return strings.ReplaceAll(s, "\x1b", "?") }))
		return b.String()
	}
	if d := cmp.Diff(`configuration  ok       server.yaml: complete
store          ok       sqlite:x: answers
               notice   is slow

tenant acme
directory      error    old
tokens         warning  there is none
                        → make ?[31mone

tenant globex
tokens         ok       1 can be used

1 error, 1 warning, 1 notice, 3 ok
`, text(r)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(`
tenant acme
directory      error    old
tokens         warning  there is none
                        → make ?[31mone

1 error, 1 warning, 1 notice, 3 ok
`, text(r.Quiet())); d != "" {
		t.Error(d)
	}
	if r.Status != doctor.Error {
		t.Errorf("status %s", r.Status)
	}
	var b strings.Builder
	check(t, doctor.NewReport(nil).WriteJSON(&b))
	if d := cmp.Diff("{\n  \"status\": \"ok\",\n  \"counts\": {\n    \"error\": 0,\n    \"notice\": 0,\n    \"ok\": 0,\n    \"warning\": 0\n  },\n  \"findings\": []\n}\n", b.String()); d != "" {
		t.Error(d)
	}
	if got := text(doctor.NewReport(nil)); got != "nothing was looked at\n" {
		t.Errorf("%q", got)
	}
}
