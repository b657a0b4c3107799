package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/sharearefund/scim-bridge/provision/requestlog"
	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
)

// subject is whom --user means in one tenant.
type subject struct {
	tenant string
	// ids are the SCIM ids of those who have the name.
	ids []string
	// values are all that requests may call them, the given name included.
	values []string
}

// subjects finds whom a SCIM id, user name, e-mail address or group name means:
// one subject for each tenant, or for the given one.
func (o *office) subjects(ctx context.Context, tenant, user string) ([]subject, error) {
	slugs := []string{tenant}
	if tenant == "" {
		var err error
		if slugs, err = o.slugs(ctx, ""); err != nil {
			return nil, err
		}
	}
	found := make([]subject, len(slugs))
	for i, slug := range slugs {
		s := &found[i]
		s.tenant, s.values = slug, []string{user}
		if uuid.Validate(user) == nil {
			s.ids = []string{user} // it may be of somebody who is forgotten
		}
		if err := o.identify(ctx, s, user); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// identify adds what the store knows of the name.
func (o *office) identify(ctx context.Context, s *subject, user string) error {
	person := func(p *store.Person) {
		s.ids = append(s.ids, p.ID)
		s.values = append(s.values, p.ID, p.UserName, p.Email, p.ExternalID)
	}
	group := func(g *store.Group) {
		s.ids = append(s.ids, g.ID)
		s.values = append(s.values, g.ID, g.DisplayName, g.ExternalID)
	}
	folded := scim.Fold(user)
	for _, find := range []func(context.Context, string, string) (*store.Person, error){
		o.store.Person, o.store.Tombstone,
		func(ctx context.Context, slug, _ string) (*store.Person, error) {
			return o.store.PersonByUserName(ctx, slug, folded)
		},
	} {
		if err := known(person)(find(ctx, s.tenant, user)); err != nil {
			return err
		}
	}
	persons, err := o.store.PersonsByAnyEmail(ctx, s.tenant, folded)
	if err != nil {
		return err
	}
	for _, p := range persons {
		person(p)
	}
	for _, find := range []func(context.Context, string, string) (*store.Group, error){
		o.store.Group, o.store.DeletedGroup,
		func(ctx context.Context, slug, _ string) (*store.Group, error) {
			return o.store.GroupByName(ctx, slug, folded)
		},
	} {
		if err := known(group)(find(ctx, s.tenant, user)); err != nil {
			return err
		}
	}
	for _, list := range []*[]string{&s.ids, &s.values} {
		slices.Sort(*list)
		*list = slices.DeleteFunc(slices.Compact(*list), func(v string) bool { return v == "" })
	}
	return nil
}

// known hands on what was found; what was not is no error.
func known[T any](add func(*T)) func(*T, error) error {
	return func(v *T, err error) error {
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err == nil {
			add(v)
		}
		return err
	}
}

// inRequests are the words by which requests mention a subject: ids as they are,
// and the pseudonyms of values by every key.
func (s *subject) inRequests(names *requestlog.Pseudonyms) []string {
	words := slices.Clone(s.ids)
	for _, v := range s.values {
		words = append(words, names.All(s.tenant, v)...)
	}
	return words
}

func (v *eventsView) showRequests(ctx context.Context, q store.EventQuery) error {
	if v.o.settings.Requests.MaxRows == 0 {
		return errors.New("requests.max_rows is 0: no requests are logged; set it, and restart the servers")
	}
	names, err := pseudonyms(v.o.settings.Secrets)
	if err != nil {
		return err
	}
	tokens := &tokenNames{store: v.o.store, names: map[string]string{}}
	show := func(r *store.Request) error { return v.c.showRequest(r, tokens.of(ctx, r)) }
	if v.json {
		show = func(r *store.Request) error { return v.c.showRequestJSON(r, tokens.of(ctx, r)) }
	}
	return follow(ctx, v.follow, q.Limit, func(r *store.Request) int64 { return r.Seq }, func(after int64, newest bool) ([]*store.Request, error) {
		queries, err := v.requestQueries(ctx, q, names)
		if err != nil {
			return nil, err
		}
		var all []*store.Request
		for _, of := range queries {
			of.After, of.Newest = after, newest
			found, err := v.o.store.Requests(ctx, of)
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
		return all, nil
	}, show, func() {
		v.nothing("request", ": they are kept for as long as requests.keep says, and names are found by the keys in secrets; see the log of requests in docs/operating.md")
	})
}

// requestQueries are what to ask of each tenant; like eventQueries.
func (v *eventsView) requestQueries(ctx context.Context, q store.EventQuery, names *requestlog.Pseudonyms) ([]store.RequestQuery, error) {
	query := store.RequestQuery{Tenant: q.Tenant, RequestID: q.RequestID, Failed: q.Failed, Limit: q.Limit}
	user := cmp.Or(v.user, q.ResourceID)
	if user == "" {
		return []store.RequestQuery{query}, nil
	}
	found, err := v.o.subjects(ctx, q.Tenant, user)
	if err != nil {
		return nil, err
	}
	queries := make([]store.RequestQuery, len(found))
	for i, s := range found {
		queries[i] = query
		queries[i].Tenant, queries[i].Subjects = s.tenant, s.inRequests(names)
	}
	return queries, nil
}

// tokenNames remembers what operators called tokens.
type tokenNames struct {
	store store.Store
	names map[string]string
}

// of is the name of the token that a request came with; "" when it has none, or
// when it cannot be read: the request is shown all the same.
func (t *tokenNames) of(ctx context.Context, r *store.Request) string {
	name, ok := t.names[r.Credential]
	if ok {
		return name
	}
	t.names[r.Credential] = ""
	all, err := t.store.Credentials(ctx, r.Tenant)
	if err != nil {
		return ""
	}
	for _, c := range all {
		t.names[c.ID] = c.Name
	}
	return t.names[r.Credential]
}

// showRequest prints a request on one line, in the columns of events.
func (c *cli) showRequest(r *store.Request, token string) error {
	outcome := store.OutcomeOK
	if r.Failed() {
		outcome = store.OutcomeFailed
	}
	by := "by " + r.Credential
	if token != "" {
		by += " (" + token + ")"
	}
	if r.Dialect != "" {
		by += " as " + r.Dialect
	}
	took := r.Duration.Round(time.Millisecond / 10).String()
	if r.Calls > 0 {
		took += fmt.Sprintf(", upstream calls: %d", r.Calls)
	}
	parts := []string{r.At.UTC().Format("2006-01-02T15:04:05.000Z"), fmt.Sprintf("%-6s", outcome), fmt.Sprintf("%3d", r.Status), r.Tenant, r.Action, r.ResourceID}
	if r.Filter == "" {
		parts = append(parts, r.Names...)
	}
	parts = append(parts, r.Filter, by)
	if r.EntraFlag {
		parts = append(parts, "aadOptscim062020")
	}
	if r.Aborted {
		parts = append(parts, "the answer was cut off")
	}
	detail := r.Detail
	if r.Type != "" {
		detail = r.Type + ": " + detail
	}
	request := "request " + r.RequestID
	if r.Bulk > 0 {
		request += fmt.Sprintf(" operation %d", r.Bulk)
	}
	parts = slices.DeleteFunc(append(parts, detail, took, request), func(p string) bool { return p == "" })
	_, err := fmt.Fprintln(c.stdout, plain(strings.Join(parts, "  ")))
	return err
}

func (c *cli) showRequestJSON(r *store.Request, token string) error {
	return c.printJSON(struct {
		Seq            int64     `json:"seq"`
		At             time.Time `json:"at"`
		Tenant         string    `json:"tenant"`
		Credential     string    `json:"credential"`
		CredentialName string    `json:"credential_name,omitempty"`
		Client         string    `json:"client"`
		Method         string    `json:"method"`
		Route          string    `json:"route"`
		Action         string    `json:"action"`
		ResourceType   string    `json:"resource_type,omitempty"`
		ResourceID     string    `json:"resource_id,omitempty"`
		Names          []string  `json:"names,omitempty"`
		Filter         string    `json:"filter,omitempty"`
		Failed         bool      `json:"failed"`
		Status         int       `json:"status"`
		Type           string    `json:"scim_type,omitempty"`
		Detail         string    `json:"detail,omitempty"`
		Calls          int       `json:"upstream_calls"`
		Duration       float64   `json:"duration_ms"`
		RequestID      string    `json:"request_id"`
		Operation      int       `json:"operation,omitempty"`
		EntraFlag      bool      `json:"entra_flag,omitempty"`
		Aborted        bool      `json:"aborted,omitempty"`
	}{
		r.Seq, r.At, r.Tenant, r.Credential, token, r.Dialect, r.Method, r.Route, r.Action, r.ResourceType, r.ResourceID, r.Names, r.Filter,
		r.Failed(), r.Status, r.Type, r.Detail, r.Calls, float64(r.Duration.Microseconds()) / 1000, r.RequestID, r.Bulk, r.EntraFlag, r.Aborted,
	})
}
