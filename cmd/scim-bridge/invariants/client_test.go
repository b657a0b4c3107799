package invariants

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
)

// answer is what a process answered, or that it did not.
type answer struct {
	bridgetest.Response
	// err is why there was no answer; Status is 0 then.
	err error
}

func (a answer) String() string {
	if a.err != nil {
		return a.err.Error()
	}
	return fmt.Sprintf("%d %s", a.Status, bytes.TrimSpace(a.Body))
}

// do sends a request of acme's client.
func (p *process) do(method, path, body string, header ...string) answer {
	p.rig.t.Helper()
	return p.as("acme", method, path, body, header...)
}

// as sends a request of a tenant's client. Whatever is answered is judged by
// what holds for every answer.
func (p *process) as(tenant, method, path, body string, header ...string) answer {
	p.rig.t.Helper()
	req, err := http.NewRequest(method, "http://"+p.addr+"/scim/v2"+path, strings.NewReader(body))
	check(p.rig.t, err)
	req.Header.Set("Authorization", "Bearer "+p.rig.tokens[tenant])
	if body != "" {
		req.Header.Set("Content-Type", "application/scim+json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := p.client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{err: err}
	}
	a := answer{Response: bridgetest.Response{Status: res.StatusCode, Header: res.Header, Body: text}}
	p.rig.judge(method+" "+path, a)
	if method != http.MethodGet && a.Status < 300 {
		p.rig.mu.Lock()
		p.rig.acknowledged = append(p.rig.acknowledged, a.Header.Get("X-Request-Id"))
		p.rig.mu.Unlock()
	}
	return a
}

// judge holds for every answer: no 500, trouble says for how long in whole
// seconds (I8), and errors are SCIM errors.
func (r *rig) judge(what string, a answer) {
	r.t.Helper()
	if a.Status >= 500 && a.Status != http.StatusServiceUnavailable {
		r.t.Errorf("%s: answered %s", what, a)
	}
	if a.Status == http.StatusServiceUnavailable || a.Status == http.StatusTooManyRequests {
		if n, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || n < 1 {
			r.t.Errorf("%s: %d with Retry-After %q, want a whole number of seconds", what, a.Status, a.Header.Get("Retry-After"))
		}
	}
	if a.Status >= 400 {
		var e struct{ Status, Detail string }
		if err := json.Unmarshal(a.Body, &e); err != nil || e.Status != strconv.Itoa(a.Status) || e.Detail == "" {
			r.t.Errorf("%s: not a SCIM error: %s", what, a)
		}
	}
}

// must is do, and ends the test on another status.
func (p *process) must(status int, method, path, body string, header ...string) answer {
	p.rig.t.Helper()
	a := p.do(method, path, body, header...)
	if !a.is(status, method) {
		p.rig.t.Fatalf("%s %s at %s: got %s, want %d", method, path, p.name, a, status)
	}
	return a
}

// is compares the status. Where a PATCH may be answered 204, it may be 200 as well:
// whether the group is shown depends on the client's kind and on its size.
func (a answer) is(status int, method string) bool {
	return a.Status == status || a.Status == http.StatusOK && status == http.StatusNoContent && method == http.MethodPatch
}

// passing reports an answer after which a client sends the request again.
func (a answer) passing() bool {
	return a.err != nil || a.Status == http.StatusServiceUnavailable || a.Status == http.StatusTooManyRequests
}

// insist sends the request again, as a client does, until the answer is a
// lasting one.
func (p *process) insist(within time.Duration, method, path, body string, header ...string) answer {
	p.rig.t.Helper()
	for end := time.Now().Add(within); ; {
		a := p.do(method, path, body, header...)
		if !a.passing() {
			return a
		}
		if time.Now().After(end) {
			p.rig.t.Errorf("%s %s at %s: still %s after %s", method, path, p.name, a, within)
			return a
		}
		time.Sleep(100 * time.Millisecond) // a patient client would wait for Retry-After
	}
}

// patience is longer than the lease of a process that was killed lasts.
const patience = 90 * time.Second

// insistOn is insist, and fails the test on another status.
func (p *process) insistOn(status int, method, path, body string, header ...string) answer {
	p.rig.t.Helper()
	a := p.insist(patience, method, path, body, header...)
	if !a.is(status, method) {
		p.rig.t.Errorf("%s %s at %s: got %s, want %d", method, path, p.name, a, status)
	}
	return a
}

// find is the id of whoever the filter finds by user name; "" for nobody.
func (p *process) find(userName string) string {
	p.rig.t.Helper()
	a := p.insistOn(200, http.MethodGet, byUserName(userName), "")
	id, _ := a.JSON("Resources.0.id").(string)
	return id
}

// create is a client that wants a person to exist: it sends the POST until it
// is answered, and takes a 409 for a person whom the filter finds.
func (p *process) create(body string) (id string, status int) {
	p.rig.t.Helper()
	a := p.insist(patience, http.MethodPost, "/Users", body)
	switch a.Status {
	case 201:
		return a.ID(), a.Status
	case 409:
		var u struct{ UserName string }
		check(p.rig.t, json.Unmarshal([]byte(body), &u))
		id := p.find(u.UserName)
		if id == "" {
			p.rig.t.Errorf("POST of %s was answered 409, and the filter finds nobody (I7): %s", u.UserName, a)
		}
		return id, a.Status
	}
	p.rig.t.Errorf("POST at %s: %s", p.name, a)
	return "", a.Status
}

func byUserName(name string) string {
	return "/Users?filter=" + url.QueryEscape(fmt.Sprintf("userName eq %q", name))
}

// user is the body of a create; the userName is the address.
func user(email string, more ...string) string { return bridgetest.User(email, more...) }

func patch(ops ...string) string { return bridgetest.PatchOp(ops...) }

func setActive(active bool) string {
	return patch(fmt.Sprintf(`{"op":"replace","path":"active","value":%t}`, active))
}

// address is that of somebody in the verified domain.
func address(format string, args ...any) string { return fmt.Sprintf(format, args...) + "@example.com" }
