package scim_test

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const wireDir = "testdata/wire"

// wireStack is the whole bridge over a sandbox of its own, for one tenant:
// organizations 113 and 114 (an owner account in each), default role Viewer
// (5), verified domain example.com, invite mails on, no identity provider.
// The first scan of the directory is complete before it is handed out.
type wireStack interface {
	// BaseURL is the public SCIM base without a trailing slash, as
	// meta.location shows it. Request targets are appended to it.
	BaseURL() string
	// Do sends a request, with the tenant's credential when the request has
	// no Authorization header. Failing to get an answer fails the test.
	Do(req *http.Request) *http.Response
	// Accept makes the person accept the pending invite.
	Accept(email string) error
	// Edit changes an account upstream behind the bridge's back:
	// {"email": …, and the profile fields to set, in the names of the Users API}.
	Edit(json string) error
	// Faults replaces the sandbox's fault rules: {"rules": […]}.
	Faults(json string) error
	// Scan reads the directory and returns when the roles that follow from it
	// are given.
	Scan() error
	// Ledger is every effect upstream so far, oldest first.
	Ledger() []wireEntry
}

// wireConfig is what fixtures vary about the stack.
type wireConfig struct {
	Client  string            // kind of the credential, "auto" included
	Invites string            // "immediate" or "deferred"
	Policy  map[string]string // lines of tenant.yaml, by key: provisioning=create
}

// wireEntry is an entry of the sandbox's ledger.
type wireEntry struct {
	Operation     string // operation id of the upstream contract
	Credential    string // empty for what did not come through the API: accept, edit
	Email         string
	Organizations []int           // concerned by the effect
	Before, After json.RawMessage // record of the account or invite; null or empty: none
}

// wireFields are the record's fields that a ledger line shows when they
// changed, in this order, under the names of the Users API.
var wireFields = []string{"role", "email", "first_name", "last_name", "country_id", "other_id", "identity_provider_id"}

// wireScoped are the operations whose call names organizations.
var wireScoped = []string{"invite_users", "revoke_invite", "set_role", "deactivate_user", "activate_user", "remove_user"}

// line renders an entry: operation, subject, organizations, changed fields.
func (e wireEntry) line() (string, error) {
	before, err := e.fields(e.Before)
	if err != nil {
		return "", err
	}
	after, err := e.fields(e.After)
	if err != nil {
		return "", err
	}
	subject := e.Email
	if s, ok := before["email"].(string); ok && s != "" {
		subject = s
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", e.Operation, subject)
	if slices.Contains(wireScoped, e.Operation) {
		fmt.Fprintf(&b, " %v", e.Organizations)
	}
	for _, name := range wireFields {
		val, ok := after[name]
		if _, had := before[name]; !ok && had && after != nil && name != "role" {
			val, ok = "", true // the field was emptied
		}
		if !ok || cmp.Equal(val, before[name]) || name == "email" && val == any(subject) {
			continue
		}
		fmt.Fprintf(&b, " %s=%s", name, wireJSON(val))
	}
	return b.String(), nil
}

// fields reads the fields of a record in either casing of the contract. The
// role is the one held, or invited to, in the entry's organizations.
func (e wireEntry) fields(record json.RawMessage) (map[string]any, error) {
	if len(record) == 0 {
		return nil, nil
	}
	v, err := decodeWireJSON(record)
	if err != nil {
		return nil, fmt.Errorf("record of %s: %w", e.Operation, err)
	}
	obj, _ := v.(map[string]any)
	if obj == nil {
		return nil, nil // null: there is no record
	}
	out := map[string]any{}
	for k, val := range obj {
		name := snake(k)
		if name == "role_id" {
			name = "role"
		}
		if slices.Contains(wireFields, name) && val != nil && val != any("") {
			if _, nested := val.(map[string]any); !nested {
				out[name] = val
			}
		}
		if name == "memberships" {
			e.roleOf(val, out)
		}
	}
	return out, nil
}

func (e wireEntry) roleOf(memberships any, out map[string]any) {
	list, _ := memberships.([]any)
	for _, m := range list {
		member := map[string]any{}
		obj, _ := m.(map[string]any)
		for k, val := range obj {
			member[snake(k)] = val
		}
		for _, org := range e.Organizations {
			if member["organization_id"] == any(json.Number(fmt.Sprint(org))) {
				out["role"] = member["role_id"]
			}
		}
	}
}

// snake turns FirstName into first_name; snake case stays as it is.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if 'A' <= r && r <= 'Z' {
			if i > 0 {
				b.WriteByte('_')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// wireOutcome is what running a fixture showed.
type wireOutcome struct {
	Step     int // the request whose response differs; 0: none, or only upstream
	Status   int // of that response
	ScimType string
	Body     string
	Diffs    []string // empty: the fixture holds
}

func (o wireOutcome) String() string {
	where := "upstream"
	if o.Step > 0 {
		where = fmt.Sprintf("response %d", o.Step)
	}
	s := where + " differs:\n\t" + strings.Join(o.Diffs, "\n\t")
	if o.Body != "" {
		s += "\n\tthe body was " + o.Body
	}
	return s
}

// runWire plays a fixture against a stack. It stops at the first response
// that differs; an error means that the fixture could not be played.
func runWire(s wireStack, f *wireFixture, mode string) (wireOutcome, error) {
	vars := newWireVars(s.BaseURL())
	for _, step := range f.Steps {
		if step.Actions != nil {
			if err := playActions(s, vars, step.Actions); err != nil {
				return wireOutcome{}, fmt.Errorf("action %d: %w", step.N, err)
			}
			continue
		}
		before := len(s.Ledger())
		out, err := playRequest(s, vars, step)
		if err != nil {
			return out, fmt.Errorf("request %d: %w", step.N, err)
		}
		// A refused request changed nothing (I9).
		if grown := len(s.Ledger()) - before; out.Status >= 400 && out.Status < 500 && grown != 0 {
			out.Diffs = append(out.Diffs, fmt.Sprintf("a %d made %d changes upstream", out.Status, grown))
		}
		if len(out.Diffs) > 0 {
			out.Step = step.N
			return out, nil
		}
	}
	got := []string{}
	for _, e := range s.Ledger() {
		if e.Credential == "" {
			continue
		}
		line, err := e.line()
		if err != nil {
			return wireOutcome{}, err
		}
		got = append(got, line)
	}
	if diff := cmp.Diff(f.Upstream[mode], got); diff != "" {
		return wireOutcome{Diffs: []string{"(-want +got)\n" + diff}}, nil
	}
	return wireOutcome{}, nil
}

func playActions(s wireStack, vars *wireVars, actions []wireAction) error {
	do := map[string]func(string) error{
		"accept": s.Accept, "edit": s.Edit, "fault": s.Faults, "scan": func(string) error { return s.Scan() },
	}
	for _, a := range actions {
		arg, err := vars.Expand(a.Arg)
		if err != nil {
			return err
		}
		if err := do[a.Verb](arg); err != nil {
			return fmt.Errorf("%s %s: %w", a.Verb, arg, err)
		}
	}
	return nil
}

func playRequest(s wireStack, vars *wireVars, step wireStep) (wireOutcome, error) {
	res, data, err := sendWire(s, vars, step.Request)
	if err != nil {
		return wireOutcome{}, err
	}
	out := wireOutcome{Status: res.StatusCode, Body: string(data)}
	var scimError struct{ ScimType string }
	if json.Unmarshal(data, &scimError) == nil {
		out.ScimType = scimError.ScimType
	}
	out.Diffs = vars.matchResponse(step.Response, res, data)
	return out, nil
}

// sendWire sends a request with its values filled in and reads the answer.
func sendWire(s wireStack, vars *wireVars, r wireRequest) (*http.Response, []byte, error) {
	target, err := vars.Expand(r.Target)
	if err != nil {
		return nil, nil, err
	}
	text, err := vars.Expand(r.Body)
	if err != nil {
		return nil, nil, err
	}
	var body io.Reader // nil rather than empty: a GET has no body at all
	if text != "" {
		body = strings.NewReader(text)
	}
	req, err := http.NewRequest(r.Method, s.BaseURL()+target, body)
	if err != nil {
		return nil, nil, err
	}
	for name, values := range r.Header {
		for _, val := range values {
			if val, err = vars.Expand(val); err != nil {
				return nil, nil, err
			}
			req.Header.Add(name, val)
		}
	}
	res := s.Do(req)
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	return res, data, err
}

// loadWire reads every fixture, by its path below testdata/wire.
func loadWire(t *testing.T) map[string]*wireFixture {
	t.Helper()
	all := map[string]*wireFixture{}
	err := fs.WalkDir(os.DirFS(wireDir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".txtar" {
			return err
		}
		data, err := os.ReadFile(filepath.Join(wireDir, path))
		if err != nil {
			return err
		}
		f, err := parseWire(data)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return nil
		}
		all[strings.TrimSuffix(path, ".txtar")] = f
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatalf("no fixtures in %s", wireDir)
	}
	return all
}

func loadTolerances(t *testing.T) map[string]wireTolerance {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(wireDir, "tolerances.txt"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := parseTolerances(string(data))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestWire plays every fixture with every kind of credential and every invite
// mode that it names.
func TestWire(t *testing.T) {
	all, n := loadWire(t), 0
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f := all[name]
		for _, client := range f.Clients {
			for _, mode := range f.Invites {
				if n++; raced && n%5 != 0 {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/%s", name, client, mode), func(t *testing.T) {
					t.Parallel()
					s := newWireStack(t, wireConfig{Client: client, Invites: mode, Policy: f.Policy})
					out, err := runWire(s, f, mode)
					if err != nil {
						t.Fatal(err)
					}
					if len(out.Diffs) > 0 {
						t.Errorf("%s\n%s", f.Text, out)
					}
				})
			}
		}
	}
}

func TestWireLedgerLine(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   wireEntry
		want string
	}{
		{"an invite", wireEntry{Operation: "invite_users", Email: "jamie@example.com", Organizations: []int{113, 114},
			After: json.RawMessage(`{"Id":"inv_1","Email":"jamie@example.com","FirstName":"Jamie","LastName":"","OtherId":"00u1","RoleId":5,"OrganizationIds":[113,114]}`)},
			`invite_users jamie@example.com [113 114] role=5 first_name="Jamie" other_id="00u1"`},
		{"an account that an invite made", wireEntry{Operation: "invite_users", Email: "jamie@example.com", Organizations: []int{113},
			After: json.RawMessage(`{"id":9,"email":"jamie@example.com","role":{"id":5},"memberships":[{"organization_id":113,"role_id":5,"state":"invited"}]}`)},
			`invite_users jamie@example.com [113] role=5`},
		{"an update", wireEntry{Operation: "update_user", Email: "j@example.com", Organizations: []int{113, 114},
			Before: json.RawMessage(`{"email":"jamie@example.com","first_name":"Jamie","last_name":"Jackson"}`),
			After:  json.RawMessage(`{"email":"j@example.com","first_name":"J","last_name":"Jackson"}`)},
			`update_user jamie@example.com email="j@example.com" first_name="J"`},
		{"a cleared field", wireEntry{Operation: "update_user", Email: "jamie@example.com",
			Before: json.RawMessage(`{"email":"jamie@example.com","country_id":"CA"}`), After: json.RawMessage(`{"email":"jamie@example.com","country_id":null}`)},
			`update_user jamie@example.com country_id=""`},
		{"a deactivation", wireEntry{Operation: "deactivate_user", Email: "jamie@example.com", Organizations: []int{113, 114},
			Before: json.RawMessage(`{"email":"jamie@example.com","account_state":"active","memberships":[{"organization_id":113,"role_id":5,"state":"active"}]}`),
			After:  json.RawMessage(`{"email":"jamie@example.com","account_state":"blocked","memberships":[{"organization_id":113,"role_id":5,"state":"suspended"}]}`)},
			`deactivate_user jamie@example.com [113 114]`},
		{"a role", wireEntry{Operation: "set_role", Email: "jamie@example.com", Organizations: []int{114},
			Before: json.RawMessage(`{"email":"jamie@example.com","memberships":[{"organization_id":113,"role_id":5},{"organization_id":114,"role_id":5}]}`),
			After:  json.RawMessage(`{"email":"jamie@example.com","memberships":[{"organization_id":113,"role_id":5},{"organization_id":114,"role_id":3}]}`)},
			`set_role jamie@example.com [114] role=3`},
		{"a removal", wireEntry{Operation: "remove_user", Email: "jamie@example.com", Organizations: []int{113},
			Before: json.RawMessage(`{"email":"jamie@example.com","first_name":"Jamie"}`), After: json.RawMessage(`null`)},
			`remove_user jamie@example.com [113]`},
	} {
		t.Run("it renders "+tt.name, func(t *testing.T) {
			got, err := tt.in.line()
			if err != nil || got != tt.want {
				t.Errorf("got %s, %v\nwant %s", got, err, tt.want)
			}
		})
	}
}

// wireScript is a stack that answers from a list: it tests the runner.
type wireScript struct {
	answers []wireAnswer
	ledger  []wireEntry
	targets []string
	acts    []string
}

type wireAnswer struct {
	status  int
	body    string
	effects []wireEntry
}

func (s *wireScript) BaseURL() string     { return "https://bridge.example/scim/v2" }
func (s *wireScript) Ledger() []wireEntry { return s.ledger }

func (s *wireScript) Do(req *http.Request) *http.Response {
	s.targets = append(s.targets, req.Method+" "+req.URL.String())
	a := s.answers[0]
	s.answers = s.answers[1:]
	s.ledger = append(s.ledger, a.effects...)
	h := http.Header{}
	if a.body != "" {
		h.Set("Content-Type", "application/scim+json")
	}
	if a.status == http.StatusCreated {
		h.Set("Location", "https://bridge.example/scim/v2/Users/7")
	}
	return &http.Response{StatusCode: a.status, Header: h, Body: io.NopCloser(strings.NewReader(a.body))}
}

func (s *wireScript) Accept(email string) error {
	s.acts = append(s.acts, email)
	s.ledger = append(s.ledger, wireEntry{Operation: "accept_invite", Email: email})
	return nil
}

func (s *wireScript) Edit(string) error   { return nil }
func (s *wireScript) Faults(string) error { return nil }
func (s *wireScript) Scan() error         { return nil }

func TestWireRunner(t *testing.T) {
	const created = `{"id":"7","meta":{"location":"https://bridge.example/scim/v2/Users/7"}}`
	invite := wireEntry{Operation: "invite_users", Credential: "acme", Email: "jamie@example.com", Organizations: []int{113, 114},
		After: json.RawMessage(`{"Email":"jamie@example.com","RoleId":5}`)}
	f, err := parseWire([]byte(wireSample))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name     string
		answers  []wireAnswer
		wantStep int
		wantDiff string
	}{
		{"a conversation as expected", []wireAnswer{{201, created, []wireEntry{invite}}, {204, "", nil}}, 0, ""},
		{"another status", []wireAnswer{{201, created, []wireEntry{invite}}, {404, `{"schemas":["` + wireErrorSchema + `"],"status":"404","detail":"no"}`, nil}}, 3, "status: got 404, want 204"},
		{"a call that is missing upstream", []wireAnswer{{201, created, nil}, {204, "", nil}}, 0, "-want +got"},
		{"a call too many upstream", []wireAnswer{{201, created, []wireEntry{invite, invite}}, {204, "", nil}}, 0, "-want +got"},
		{"a refusal that changed something", []wireAnswer{{409, `{"schemas":["` + wireErrorSchema + `"],"status":"409","detail":"no"}`, []wireEntry{invite}}}, 1, "a 409 made 1 changes upstream"},
	} {
		t.Run("it judges "+tt.name, func(t *testing.T) {
			s := &wireScript{answers: tt.answers}
			out, err := runWire(s, f, "immediate")
			if err != nil {
				t.Fatal(err)
			}
			diff := strings.Join(out.Diffs, "\n")
			if out.Step != tt.wantStep || (diff == "") != (tt.wantDiff == "") || !strings.Contains(diff, tt.wantDiff) {
				t.Errorf("step %d, differences %q; want step %d, %q", out.Step, diff, tt.wantStep, tt.wantDiff)
			}
			if want := "DELETE https://bridge.example/scim/v2/Users/7"; len(s.targets) > 1 && s.targets[1] != want {
				t.Errorf("second request %s, want %s", s.targets[1], want)
			}
		})
	}
}
