package simulate

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate/idp"
)

// everyClient lists every client in every mode.
func everyClient() [][2]string {
	var all [][2]string
	for _, name := range idp.Names() {
		for _, mode := range idp.Modes(name) {
			all = append(all, [2]string{name, mode})
		}
	}
	return all
}

func options(f *fake, client, mode string) Options {
	return Options{
		Client: client, Mode: mode, BaseURL: "https://scim.example.com/scim/v2", Token: goodToken, Users: 6, Groups: 2, Parallel: 20,
		Name: "t1", HTTP: &http.Client{Transport: f}, Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}
}

func run(t *testing.T, o Options) *Report {
	t.Helper()
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// failures are the expectations that were not met, as "step: name", with the
// faults that steps ended by.
func failures(r *Report) []string {
	var out []string
	for _, st := range r.Steps {
		for _, c := range st.Checks {
			if c.Verdict == Failed {
				out = append(out, st.Name+": "+c.Name)
			}
		}
		if st.Verdict == Failed && st.Reason != "" {
			out = append(out, st.Name+": "+st.Reason)
		}
	}
	return out
}

func text(t *testing.T, r *Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A server that does right is found to, and nothing is left there.
func TestASoundServer(t *testing.T) {
	t.Parallel()
	for _, c := range everyClient() {
		t.Run(strings.TrimSpace(c[0]+" "+c[1]), func(t *testing.T) {
			t.Parallel()
			f := &fake{}
			r := run(t, options(f, c[0], c[1]))
			if got := failures(r); r.Verdict != OK || len(got) > 0 {
				t.Errorf("%v\n%s", got, text(t, r))
			}
			if d := cmp.Diff([]string(nil), f.names()); d != "" || len(r.Left) > 0 {
				t.Errorf("left behind: %s %v", d, r.Left)
			}
		})
	}
}
