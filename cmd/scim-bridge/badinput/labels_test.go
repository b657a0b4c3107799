package badinput

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// labelValues are what the labels of metrics may say: nothing that a client
// can choose.
var labelValues = map[string]*regexp.Regexp{
	"tenant":     regexp.MustCompile(`^(acme|globex)?$`),
	"method":     regexp.MustCompile(`^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|TRACE|CONNECT|other)$`),
	"route":      regexp.MustCompile(`^(unmatched|/scim/v2|/scim/v2/(Users|Groups|Roles|Organizations|IdentityProviders|Schemas|ResourceTypes)(/\{id\}|/\.search)?|/scim/v2/(Me|Bulk|ServiceProviderConfig|\.search))$`),
	"status":     regexp.MustCompile(`^([1-5]xx|401|403|404|409|429|503|none)$`),
	"operation":  regexp.MustCompile(`^[a-z_]{1,40}$`),
	"outcome":    regexp.MustCompile(`^[a-z_]{1,20}$`),
	"tolerance":  regexp.MustCompile(`^[a-z_-]{1,60}$`),
	"kind":       regexp.MustCompile(`^[a-z_]{1,30}$`),
	"code":       regexp.MustCompile(`^[a-z_.]{1,60}$`),
	"severity":   regexp.MustCompile(`^[a-z]{1,20}$`),
	"dependency": regexp.MustCompile(`^[a-z]{1,20}$`),
	"version":    regexp.MustCompile(`^[a-z0-9.]+$`),
	"go_version": regexp.MustCompile(`^go1\.[0-9.]+`),
	"le":         regexp.MustCompile(`^([0-9.]+|\+Inf)$`),
}

// label is one label of a line of /metrics.
var label = regexp.MustCompile(`([a-z_]+)="((?:[^"\\]|\\.)*)"`)

// metrics reads /metrics.
func (r *rig) metrics(t *testing.T) string {
	t.Helper()
	res, err := r.client.Get("http://" + r.host + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %v", res.StatusCode, err)
	}
	return string(text)
}

// labels checks what the metrics of the bridge show after whatever was tried:
// values from lists, no secret and nobody's name.
func (r *rig) labels(t *testing.T) {
	t.Helper()
	text, seen := r.metrics(t), 0
	for _, bad := range append([]string{"@", "sak_", "-secret", forged}, r.secret...) {
		if strings.Contains(text, bad) {
			t.Errorf("/metrics shows %q", bad)
		}
	}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "scim_bridge_") {
			continue
		}
		seen++
		for _, l := range label.FindAllStringSubmatch(line, -1) {
			if allowed := labelValues[l[1]]; allowed == nil || !allowed.MatchString(l[2]) {
				t.Errorf("a label that is not one of a list: %s", line)
			}
		}
	}
	if seen == 0 || !strings.Contains(text, `scim_bridge_requests_total{method="`) {
		t.Errorf("nothing to look at: %s", excerpt([]byte(text)))
	}
}

// labelRows is row 143: whatever a client can choose, a new value in each
// request. The metrics have one more series for the kind, never for a value.
func labelRows() []attempt {
	var all []attempt
	for _, c := range []struct {
		name string
		make func(n int) attempt
	}{
		{"methods", func(n int) attempt {
			return attempt{method: fmt.Sprintf("F0RGED%d", n), path: "/Users/{id}", status: 405}
		}},
		{"methods in other case", func(n int) attempt {
			return attempt{method: []string{"get", "Get", "gEt", "geT", "GEt"}[n], path: "/Users/{id}", status: 405}
		}},
		{"paths", func(n int) attempt {
			return attempt{method: "GET", path: fmt.Sprintf("^/scim/v2/f0rged%d", n), status: 404}
		}},
		{"paths without a token", func(n int) attempt {
			return attempt{method: "GET", path: fmt.Sprintf("^/scim/v2/f0rged%d", n), header: []string{"-Authorization", ""}, status: 401}
		}},
		{"tenants in paths", func(n int) attempt {
			return attempt{method: "GET", path: fmt.Sprintf("^/scim/v2/f0rged%d/Users", n), status: 404}
		}},
		{"ids", func(n int) attempt {
			return attempt{method: "GET", path: fmt.Sprintf("/Users/f0rged%d", n), status: 404}
		}},
		{"ids of groups", func(n int) attempt {
			return attempt{method: "DELETE", path: fmt.Sprintf("/Groups/f0rged%d", n), status: 404}
		}},
		{"filters", func(n int) attempt {
			return attempt{method: "GET", path: fmt.Sprintf("/Users?filter=f0rged%d+eq+%%22x%%22", n), status: 400, scimType: "invalidFilter"}
		}},
		{"tokens", func(n int) attempt {
			return attempt{method: "GET", path: "/Users", header: []string{"Authorization", fmt.Sprintf("Bearer f0rged%d", n)}, status: 401}
		}},
		{"headers", func(n int) attempt {
			v := fmt.Sprintf("f0rged%d", n)
			return attempt{method: "GET", path: "/Users/{id}", header: []string{"User-Agent", v, "X-Tenant", v, "X-Forwarded-For", v, "X-Request-Id", v, "X-Http-Method-Override", v, "Accept-Language", v}, status: 200}
		}},
		{"media types", func(n int) attempt {
			return refusedPost("", user(), 415, "").with("Content-Type", fmt.Sprintf("application/f0rged%d", n))
		}},
		{"attributes", func(n int) attempt { return accepted("", user(fmt.Sprintf(`"f0rged%d":1`, n))) }},
		{"schemas", func(n int) attempt {
			return accepted("", strings.Replace(user(), `"`+userSchema+`"`, fmt.Sprintf(`"%s","urn:f0rged%d"`, userSchema, n), 1))
		}},
	} {
		var before int
		for n := range 5 {
			a := c.make(n)
			a.row = fmt.Sprintf("L143 %s: %d", c.name, n+1)
			all = append(all, a.chain().then(func(t *testing.T, r *rig, _ bridgetest.Response, _ []sandbox.Entry) {
				t.Helper()
				text := r.metrics(t)
				if strings.Contains(strings.ToLower(text), forged) {
					t.Errorf("/metrics shows what was sent")
				}
				// The first makes the series of its kind.
				if series := strings.Count(text, "\nscim_bridge_re"); n == 0 {
					before = series
				} else if series != before {
					t.Errorf("%d series of requests, %d before", series, before)
				}
			}))
		}
	}
	return all
}
