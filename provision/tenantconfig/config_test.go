package tenantconfig

import (
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/store"
)

const canary = "canary-Secret-4711"

func env(name string) (string, bool) {
	v, ok := map[string]string{"ACME_SECRET": canary, "EMPTY": " ", "SPLIT": "two words"}[name]
	return v, ok
}

func readFile(name string) ([]byte, error) {
	if b, ok := map[string]string{"/run/key": canary + "\n", "/run/empty": "\n", "/run/two": "a\nb\n"}[name]; ok {
		return []byte(b), nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

const minimal = `slug: acme
upstream:
  base_url: https://api.example.com
  client_id: acme
  client_secret_env: ACME_SECRET
organizations: [113, 114]
default_role: Viewer
`

func TestParse(t *testing.T) {
	full := `
slug: acme-2
name: "Acme Freight"   # for people
upstream:
  base_url: HTTPS://API.example.com:443/v1/
  api_key_file: /run/key
  endpoints:
    deactivate_user: "PUT /v2/members/{id}/disable"
  rate: 2.5
  burst: 10
organizations:
  - 113
domains: [Example.com, sub.example.org]
default_role: Viewer
provisioning: create
send_mail: false
identity_provider: 2
adopt: never
reset_password: true
`
	tests := []struct {
		name, in string
		want     Config
	}{
		{"it fills the defaults in", minimal, Config{
			Slug: "acme", Name: "acme",
			Upstream:      Upstream{BaseURL: "https://api.example.com", ClientID: "acme", ClientSecret: canary},
			Organizations: []int64{113, 114}, DefaultRole: "Viewer", Provisioning: Invite, SendMail: true, Adopt: mapping.AdoptVerifiedDomain,
			Invites: Invites{ResendExpired: 3}, Guards: defaultGuards(),
		}},
		{"it reads every field", full, Config{
			Slug: "acme-2", Name: "Acme Freight",
			Upstream: Upstream{
				BaseURL: "https://api.example.com/v1", APIKey: canary, Rate: 2.5, Burst: 10,
				Endpoints: map[string]string{"deactivate_user": "PUT /v2/members/{id}/disable"},
			},
			Organizations: []int64{113}, Domains: []string{"example.com", "sub.example.org"}, DefaultRole: "Viewer",
			Provisioning: Create, IdentityProvider: "2", Adopt: mapping.AdoptNever, ResetPassword: true,
			Invites: Invites{ResendExpired: 3}, Guards: defaultGuards(),
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse([]byte(tt.in), env, readFile)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, *got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestParseFaults(t *testing.T) {
	with := func(old, new string) string {
		if !strings.Contains(minimal, old) {
			t.Fatalf("%q is not in the minimal document", old)
		}
		return strings.Replace(minimal, old, new, 1)
	}
	const pick = "use 1 to 63 lower-case letters, digits and hyphens, beginning with a letter or digit"
	tests := []struct{ name, in, want string }{
		{"empty", "", "empty document; see `scim-bridge help tenant apply` for an example"},
		{"comment only", "# nothing\n", "empty document; see `scim-bridge help tenant apply` for an example"},
		{"a list", "- a\n", "is a list, not a mapping; write it as key: value lines"},
		{"two documents", minimal + "---\n" + minimal, "2 documents in one file; give one tenant per file"},
		{"unknown key", with("slug: acme", "slug: acme\norganisations: [1]"), `organisations: unknown key; did you mean "organizations"?`},
		{"unknown nested key", with("client_id: acme", "client_id: acme\n  xyzzyplugh: 1"), "upstream.xyzzyplugh: unknown key; have api_key_env, api_key_file, base_url, burst, client_id, client_secret_env, client_secret_file, endpoints, rate"},
		{"a secret in the file", with("client_secret_env: ACME_SECRET", "client_secret_env: ACME_SECRET\n  client_secret: "+canary), "upstream.client_secret: secrets are not written into this file; name an environment variable by client_secret_env or a file by client_secret_file"},
		{"slug missing", with("slug: acme\n", ""), "slug: missing; give the tenant a short name such as acme, for ever"},
		{"slug null", with("slug: acme", "slug: ~"), "slug: missing; give the tenant a short name such as acme, for ever"},
		{"slug upper case", with("slug: acme", "slug: Acme"), `slug: "Acme": not a slug; ` + pick},
		{"slug with a path", with("slug: acme", `slug: "../x"`), `slug: "../x": not a slug; ` + pick},
		{"slug too long", with("slug: acme", "slug: "+strings.Repeat("a", 64)), `slug: "` + strings.Repeat("a", 64) + `": not a slug; ` + pick},
		{"slug reserved", with("slug: acme", "slug: console"), `slug: "console": this name is reserved; choose another one, such as console-corp`},
		{"slug a list", with("slug: acme", "slug: [a]"), "slug: is a list, not a text; write a text, in quotes if need be"},
		{"plain http", with("https://api.example.com", "http://api.example.com"), `upstream.base_url: "http://api.example.com": unencrypted: credentials and people's data would cross the network in the clear; use https (http is for loopback addresses only)`},
		{"base_url with credentials", with("https://api.example.com", "https://me:"+canary+"@api.example.com"), "upstream.base_url: contains a user, query or fragment; write https://host[:port][/prefix]; credentials have keys of their own"},
		{"base_url relative", with("https://api.example.com", "api.example.com"), `upstream.base_url: "api.example.com": not an absolute http URL; write https://host[:port][/prefix]`},
		{"no upstream", "slug: acme\norganizations: [1]\ndefault_role: Viewer\n", "upstream.base_url: missing; give the address of the Share A Refund API, such as https://api.example.com\nupstream: no credential; give client_id and client_secret_env (or client_secret_file), or api_key_env (or api_key_file)"},
		{"two credentials", with("client_id: acme", "client_id: acme\n  api_key_file: /run/key"), "upstream: two credentials; leave out either client_id and client_secret_env (or _file), or api_key_env (or _file)"},
		{"no client id", with("  client_id: acme\n", ""), "upstream.client_id: missing; give the id that belongs to the client secret"},
		{"no client secret", with("  client_secret_env: ACME_SECRET\n", ""), "upstream.client_secret_env: missing; name the environment variable that holds the secret, or a file by client_secret_file"},
		{"env not set", with("ACME_SECRET", "NOPE"), `upstream.client_secret_env: "NOPE": this environment variable is not set or empty; export NOPE with the secret as its value`},
		{"env blank", with("ACME_SECRET", "EMPTY"), `upstream.client_secret_env: "EMPTY": this environment variable is not set or empty; export EMPTY with the secret as its value`},
		{"env with a space", with("ACME_SECRET", "SPLIT"), `upstream.client_secret_env: "SPLIT": the secret contains a space or a control character; give the secret alone, on one line`},
		{"file missing", with("client_secret_env: ACME_SECRET", "client_secret_file: /run/none"), `upstream.client_secret_file: "/run/none": cannot be read: open /run/none: file does not exist; create the file with the secret as its only line, readable by this user`},
		{"file empty", with("client_secret_env: ACME_SECRET", "client_secret_file: /run/empty"), `upstream.client_secret_file: "/run/empty": this file is empty; write the secret into it`},
		{"file of two lines", with("client_secret_env: ACME_SECRET", "client_secret_file: /run/two"), `upstream.client_secret_file: "/run/two": the secret contains a space or a control character; give the secret alone, on one line`},
		{"named twice", with("client_secret_env: ACME_SECRET", "client_secret_env: ACME_SECRET\n  client_secret_file: /run/key"), `upstream.client_secret_file: "/run/key": the secret is named twice; leave client_secret_env or client_secret_file out`},
		{"unknown operation", with("client_id: acme", "client_id: acme\n  endpoints: {disable: PUT /x}"), "upstream.endpoints.disable: unknown operation (have"},
		{"endpoint without placeholder", with("client_id: acme", "client_id: acme\n  endpoints: {get_user: GET /x}"), `upstream.endpoints.get_user: "GET /x": the placeholder {id} must occur once, it occurs 0 times`},
		{"rate a text", with("client_id: acme", "client_id: acme\n  rate: fast"), `upstream.rate: "fast": is not a number; write a number such as 20 or 0.5`},
		{"rate negative", with("client_id: acme", "client_id: acme\n  rate: -1"), `upstream.rate: "-1": not between 0 and 1000000; give the calls a second that the credential is allowed; 0 is no limit`},
		{"burst a fraction", with("client_id: acme", "client_id: acme\n  burst: 1.5"), `upstream.burst: "1.5": is not a whole number that fits; write a whole number, without quotes`},
		{"burst negative", with("client_id: acme", "client_id: acme\n  burst: -5"), "upstream.burst: not between 0 and 10000; give how many calls may go out at once after a pause; 0 is one"},
		{"no organizations", with("organizations: [113, 114]\n", ""), "organizations: missing; list the ids of the upstream organizations to manage, the default one first: [113, 114]"},
		{"organizations not a list", with("[113, 114]", "113"), `organizations: "113": is a number, not a list; write it as [a, b] or as lines that begin with -`},
		{"organization repeated", with("[113, 114]", "[113, 113]"), `organizations[1]: "113": repeated; list each organization once`},
		{"organization negative", with("[113, 114]", "[-1]"), `organizations[0]: "-1": not a positive id; write the id that upstream shows`},
		{"organization by name", with("[113, 114]", "[113, Acme]"), `organizations[1]: "Acme": is not a whole number that fits; write a whole number, without quotes`},
		{"no role", with("default_role: Viewer\n", ""), "default_role: missing; name the upstream role that people get, such as Viewer"},
		{"domain with @", minimal + "domains: ['@example.com']\n", `domains[0]: "@example.com": not a domain name; write a domain such as example.com, without @; for one with other letters its ASCII form, xn--…`},
		{"domain repeated", minimal + "domains: [example.com, EXAMPLE.com]\n", `domains[1]: "EXAMPLE.com": repeated; list each domain once`},
		{"provisioning", minimal + "provisioning: invites\n", `provisioning: "invites": unknown choice; did you mean "invite"?`},
		{"adopt", minimal + "adopt: whenever-possible\n", `adopt: "whenever-possible": unknown choice; use never or verified_domain`},
		{"a quoted boolean", minimal + "send_mail: 'no'\n", `send_mail: "no": is a text, not true or false; write true or false, without quotes`},
		{"syntax", "slug: [acme\n", "[1:7] sequence end token ']' not found; correct the YAML syntax there"},
		{"a repeated key", minimal + "slug: b\n", `[8:1] mapping key "slug" already defined at [1:1]; correct the YAML syntax there`},
		{"an alias", with("slug: acme", "name: &n acme\nslug: *n"), "name: is a YAML anchor, alias or tag, not a text; write a text, in quotes if need be\nslug: is a YAML anchor, alias or tag, not a text; write a text, in quotes if need be"},
		{"many at once", "slug: Acme\nnmae: x\norganizations: []\ndefault_role: Viewer\nupstream:\n  base_url: ftp://x\n  client_id: acme\n  client_secret_env: NOPE\n",
			`nmae: unknown key; did you mean "name"?` + "\n" +
				`upstream.client_secret_env: "NOPE": this environment variable is not set or empty; export NOPE with the secret as its value` + "\n" +
				`slug: "Acme": not a slug; ` + pick + "\n" +
				`upstream.base_url: "ftp://x": not an absolute http URL; write https://host[:port][/prefix]` + "\n" +
				"organizations: missing; list the ids of the upstream organizations to manage, the default one first: [113, 114]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse([]byte(tt.in), env, readFile)
			faults, ok := errors.AsType[Faults](err)
			if !ok {
				t.Fatalf("error %v is not Faults", err)
			}
			got := faults.Error()
			if strings.HasSuffix(tt.want, "(have") {
				if !strings.HasPrefix(got, tt.want) || strings.Contains(got, "\n") {
					t.Errorf("got %s\nwant the beginning %s", got, tt.want)
				}
			} else if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
			if strings.Contains(got, canary) {
				t.Errorf("the fault shows a secret: %s", got)
			}
		})
	}
}

// The seal is a visible one: what matters here is what is sealed, and to what
// it is bound.
func sealFor(plain, aad []byte) ([]byte, error) {
	return append(append([]byte("sealed:"), aad...), append([]byte("\x00"), plain...)...), nil
}

func openFor(sealed, aad []byte) ([]byte, error) {
	plain, ok := strings.CutPrefix(string(sealed), "sealed:"+string(aad)+"\x00")
	if !ok {
		return nil, errors.New("sealed for another tenant, or damaged")
	}
	return []byte(plain), nil
}

func TestStored(t *testing.T) {
	c, err := Parse([]byte(minimal+"domains: [example.com]\nsend_mail: false\n"), env, readFile)
	if err != nil {
		t.Fatal(err)
	}
	row, err := c.ToStore(sealFor)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("it keeps no secret in the clear (I14)", func(t *testing.T) {
		if strings.Contains(string(row.Spec), canary) {
			t.Errorf("the spec holds the secret: %s", row.Spec)
		}
		b, err := json.Marshal(c)
		if err != nil || strings.Contains(string(b), canary) {
			t.Errorf("the JSON holds the secret: %s, %v", b, err)
		}
	})
	t.Run("it comes back whole", func(t *testing.T) {
		got, err := FromStore(row, openFor)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c, got); d != "" {
			t.Error(d)
		}
	})
	t.Run("it is readable without the key", func(t *testing.T) {
		got, err := FromStore(row, nil)
		if err != nil || got.Upstream.ClientSecret != "" || got.DefaultRole != "Viewer" {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	damage := []struct {
		name   string
		damage func(*store.Tenant)
		want   string
	}{
		{"it refuses another tenant's secrets", func(r *store.Tenant) { r.Secrets, _ = sealFor([]byte("{}"), []byte("globex")) }, "cannot be opened"},
		{"it refuses another tenant's spec", func(r *store.Tenant) { r.Slug = "globex" }, `is that of "acme"`},
		{"it refuses a damaged spec", func(r *store.Tenant) { r.Spec = r.Spec[:10] }, "damaged"},
	}
	for _, tt := range damage {
		t.Run(tt.name, func(t *testing.T) {
			r := *row
			tt.damage(&r)
			_, err := FromStore(&r, openFor)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "apply its tenant.yaml again") {
				t.Errorf("got error %v, want one with %q and the remedy", err, tt.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(minimal)
	f.Add("slug: [acme\n")
	f.Add("a: &a [*a]\n? {b: c}\n: d\n")
	f.Add("upstream: {endpoints: {1: 2, ~: x}}\n")
	f.Add(minimal + "rules: [{match: {glob: a*}, when: 'active', role: r, organizations: [114]}, {match: {regex: a+}, role: r}]\n")
	f.Add(minimal + "guards: {deactivations: off, invites: {limit: 1, window: 90s}, protected: {emails: [A@b.example], role: Owner}}\n")
	f.Fuzz(func(t *testing.T, doc string) {
		c, err := Parse([]byte(doc), env, readFile)
		if err != nil {
			return
		}
		row, err := c.ToStore(sealFor)
		if err != nil {
			t.Fatal(err)
		}
		back, err := FromStore(row, openFor)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c, back); d != "" {
			t.Error(d)
		}
	})
}
