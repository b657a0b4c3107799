// Package tenantconfig is a tenant's configuration: the document tenant.yaml
// that operators apply, and the form in which the store keeps it.
package tenantconfig

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/upstream"
)

// Provisioning says how a person comes into being upstream.
type Provisioning string

const (
	// Invite sends an invite, which the person accepts.
	Invite Provisioning = "invite"
	// Create makes an active account at once.
	Create Provisioning = "create"
)

// Config is one tenant. Its JSON is what the store keeps in the clear: it
// carries no secret.
type Config struct {
	// Slug names the tenant for ever: lower-case letters, digits and "-".
	Slug string `json:"slug"`
	// Name is for people.
	Name string `json:"name"`
	// Upstream says where the accounts are and how to reach them.
	Upstream Upstream `json:"upstream"`
	// Organizations are the upstream organizations that the tenant manages;
	// the first is the default one. Never empty.
	Organizations []int64 `json:"organizations"`
	// Domains are the tenant's verified e-mail domains, lower case.
	Domains []string `json:"domains,omitempty"`
	// DefaultRole is the name of the role that people get.
	DefaultRole string `json:"default_role"`
	// Provisioning is Invite or Create.
	Provisioning Provisioning `json:"provisioning"`
	// SendMail lets upstream mail the invite.
	SendMail bool `json:"send_mail"`
	// IdentityProvider is the name, prefix or decimal id of the upstream
	// identity provider that invites name; "" names none.
	IdentityProvider string `json:"identity_provider,omitempty"`
	// Adopt says whether a client's first write may take an account over
	// that was there before.
	Adopt mapping.Adoption `json:"adopt"`
	// ResetPassword passes a client's password on, for accounts that the
	// bridge created and no other organization holds.
	ResetPassword bool `json:"reset_password"`
	// Rules give roles to groups and people, in the order of the document.
	Rules []Rule `json:"rules,omitempty"`
	// RequireGroup gives access to members of a group that a rule matches
	// alone.
	RequireGroup bool `json:"require_group,omitempty"`
	// RolesAttribute lets the attribute roles of a user name roles.
	RolesAttribute bool `json:"roles_attribute,omitempty"`
	// Ceiling is the name of the highest role that is given; "" is the
	// highest below the top.
	Ceiling string `json:"ceiling,omitempty"`
	// DefaultOrganizations are those among Organizations that people join
	// when neither a rule nor their client names any; empty: all.
	DefaultOrganizations []int64 `json:"default_organizations,omitempty"`
	Invites              Invites `json:"invites"`
	Guards               Guards  `json:"guards"`
}

// Upstream is where a tenant's accounts are. Exactly one of ClientSecret
// (with ClientID) and APIKey is set.
type Upstream struct {
	BaseURL      string          `json:"base_url"`
	ClientID     string          `json:"client_id,omitempty"`
	ClientSecret upstream.Secret `json:"-"`
	APIKey       upstream.Secret `json:"-"`
	// Endpoints overrides rows of the client's endpoint table: operation to
	// "METHOD /path".
	Endpoints map[string]string `json:"endpoints,omitempty"`
	// Rate is in calls a second over all replicas; 0 is no limit.
	Rate float64 `json:"rate,omitempty"`
	// Burst is how many calls may go out at once after a pause; 0 is one.
	Burst int `json:"burst,omitempty"`
}

// Credential names the upstream credential, for telling whether two tenants
// share one; it holds no secret.
func (u Upstream) Credential() string {
	if u.ClientID != "" {
		return "client " + u.ClientID
	}
	return "API key"
}

// defaults is what a document, or what is stored of an older one, leaves out.
func defaults() Config {
	return Config{
		Provisioning: Invite, SendMail: true, Adopt: mapping.AdoptVerifiedDomain,
		Invites: Invites{ResendExpired: 3}, Guards: defaultGuards(),
	}
}

// Parse reads a document. Secrets come from where it says: env looks an
// environment variable up, readFile reads a file. The error is Faults: all of
// them, not the first.
func Parse(data []byte, env func(name string) (string, bool), readFile func(name string) ([]byte, error)) (*Config, error) {
	c := defaults()
	var burst int64
	secret, key := secretSource{name: "client_secret"}, secretSource{name: "api_key"}
	r := &reader{meant: map[string]bool{}}
	r.read(data, map[string]value{
		"slug": r.text(&c.Slug),
		"name": r.text(&c.Name),
		"upstream": r.object(map[string]value{
			"base_url":           r.text(&c.Upstream.BaseURL),
			"client_id":          r.text(&c.Upstream.ClientID),
			"client_secret_env":  r.text(&secret.env),
			"client_secret_file": r.text(&secret.file),
			"api_key_env":        r.text(&key.env),
			"api_key_file":       r.text(&key.file),
			"endpoints":          r.table(&c.Upstream.Endpoints),
			"rate":               r.number(&c.Upstream.Rate),
			"burst":              r.integer(&burst),
		}),
		"organizations":     r.integers(&c.Organizations),
		"domains":           r.texts(&c.Domains),
		"default_role":      r.text(&c.DefaultRole),
		"provisioning":      r.text((*string)(&c.Provisioning)),
		"send_mail":         r.boolean(&c.SendMail),
		"identity_provider": r.text(&c.IdentityProvider),
		"adopt":             r.text((*string)(&c.Adopt)),
		"reset_password":    r.boolean(&c.ResetPassword),

		"rules":                 r.rules(&c.Rules),
		"require_group":         r.boolean(&c.RequireGroup),
		"roles_attribute":       r.boolean(&c.RolesAttribute),
		"ceiling":               r.text(&c.Ceiling),
		"default_organizations": r.someIntegers(&c.DefaultOrganizations),
		"invites": r.object(map[string]value{
			"resend_expired": r.between(&c.Invites.ResendExpired, 0, maxResends),
		}),
		"guards": r.guards(&c.Guards),
	})
	if !slices.ContainsFunc(r.faults, func(f Fault) bool { return f.Path == "" }) {
		c.Upstream.Burst = int(max(-1, min(burst, maxBurst+1)))
		c.Upstream.ClientSecret = secret.read(r, env, readFile)
		c.Upstream.APIKey = key.read(r, env, readFile)
		r.check(&c, secret, key)
	}
	if len(r.faults) > 0 {
		return nil, r.faults
	}
	return &c, nil
}

// secretSource says where a secret is.
type secretSource struct{ name, env, file string }

func (s secretSource) given() bool { return s.env != "" || s.file != "" }

// read fetches the secret. What is wrong with it is told without its value.
func (s secretSource) read(r *reader, env func(string) (string, bool), readFile func(string) ([]byte, error)) upstream.Secret {
	path := "upstream." + s.name
	var text string
	switch {
	case s.env != "" && s.file != "":
		r.fault(path+"_file", s.file, fmt.Sprintf("leave %s_env or %s_file out", s.name, s.name), "the secret is named twice")
		return ""
	case s.env != "":
		path += "_env"
		v, ok := env(s.env)
		if !ok || strings.TrimSpace(v) == "" {
			r.fault(path, s.env, fmt.Sprintf("export %s with the secret as its value", s.env), "this environment variable is not set or empty")
			return ""
		}
		text = v
	case s.file != "":
		path += "_file"
		b, err := readFile(s.file)
		if err != nil {
			r.fault(path, s.file, "create the file with the secret as its only line, readable by this user", "cannot be read: %v", err)
			return ""
		}
		if text = string(b); strings.TrimSpace(text) == "" {
			r.fault(path, s.file, "write the secret into it", "this file is empty")
			return ""
		}
	default:
		return ""
	}
	text = strings.TrimRight(text, "\r\n")
	if strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		r.fault(path, s.env+s.file, "give the secret alone, on one line", "the secret contains a space or a control character")
		return ""
	}
	return upstream.Secret(text)
}
