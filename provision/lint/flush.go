package lint

import (
	"context"
	"errors"
	"time"

	"github.com/sharearefund/scim-bridge/scim"
	"github.com/sharearefund/scim-bridge/store"
)

// Flush merges what was seen into the store. What cannot be written is lost.
// One runs at a time.
func (l *Linter) Flush(ctx context.Context) error {
	select {
	case l.flushing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-l.flushing }()
	tallies, settled, refusals := l.seen.take()
	before := l.before
	l.before = settled
	if len(tallies)+len(settled)+len(refusals) == 0 {
		return nil
	}
	var errs []error
	for _, r := range refusals {
		if err := l.explain(ctx, r, tallies); err != nil {
			errs = append(errs, err)
		}
	}
	byTenant := map[string]map[key]tally{}
	for k, t := range tallies {
		if byTenant[k.tenant] == nil {
			byTenant[k.tenant] = map[key]tally{}
		}
		byTenant[k.tenant][k] = t
	}
	for s := range settled {
		if byTenant[s.tenant] == nil {
			byTenant[s.tenant] = map[key]tally{}
		}
	}
	for tenant, seen := range byTenant {
		if err := l.merge(ctx, tenant, seen, settled, before); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// merge writes what was seen of one tenant, and what is over.
func (l *Linter) merge(ctx context.Context, tenant string, seen map[key]tally, settled, before map[subject]good) error {
	kept, err := l.store.Findings(ctx, tenant)
	if err != nil {
		return err
	}
	type place struct {
		credential string
		code       code
	}
	known, open := map[key]bool{}, map[place]int{}
	var write []store.Finding
	for _, f := range kept {
		c, ok := byCode[f.Code]
		if !ok {
			continue // of a newer or older version
		}
		k := key{tenant, f.Credential, c, f.Subject}
		known[k] = true
		if !f.Open() {
			continue
		}
		open[place{f.Credential, c}]++
		if _, again := seen[k]; again {
			continue
		}
		if at := contrary(k, settled, before); at.After(f.LastSeen) {
			write = append(write, store.Finding{
				Tenant: tenant, Credential: f.Credential, Code: f.Code, Subject: f.Subject, SettledAt: at,
			})
		}
	}
	for k, t := range seen {
		p := place{k.credential, k.code}
		if at := contrary(k, settled, before); at.After(t.settled) {
			t.settled = at
		}
		if !known[k] && !t.last.IsZero() {
			if open[p] >= maxSubjects || trafficRules[k.code].grace == 0 && !t.last.After(t.settled) {
				continue
			}
			open[p]++
		}
		write = append(write, store.Finding{
			Tenant: tenant, Credential: k.credential, Code: trafficRules[k.code].Code, Subject: k.subject,
			FirstSeen: t.first, LastSeen: t.last, SettledAt: t.settled, Count: t.count,
		})
	}
	return l.store.MergeFindings(ctx, tenant, write)
}

// contrary is when something last spoke against a key; zero: not lately.
func contrary(k key, periods ...map[subject]good) time.Time {
	for _, p := range periods {
		if g, ok := p[subject{k.tenant, k.subject}]; ok && g.codes.has(k.code) {
			return g.at
		}
	}
	return time.Time{}
}

// explain finds out in the store why a change was refused, and adds that to
// what was seen.
func (l *Linter) explain(ctx context.Context, r refusal, into map[key]tally) error {
	add := func(c code, subject string) {
		k := key{r.tenant, r.credential, c, subject}
		t := into[k]
		if t.first.IsZero() || r.at.Before(t.first) {
			t.first = r.at
		}
		if r.at.After(t.last) {
			t.last = r.at
		}
		t.count++
		into[k] = t
	}
	if len(r.members) > 0 {
		return l.explainMembers(ctx, r, add)
	}
	p, err := l.store.Person(ctx, r.tenant, r.id)
	if r.name != "" {
		p, err = l.store.PersonByUserName(ctx, r.tenant, scim.Fold(r.name))
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	case !p.Managed:
		add(notAdopted, p.ID)
	case r.name != "" && r.externalID != "" && p.ExternalID != "" && p.ExternalID != r.externalID:
		add(recreated, p.ID)
	}
	return nil
}

func (l *Linter) explainMembers(ctx context.Context, r refusal, add func(code, string)) error {
	people, err := l.store.PersonsByID(ctx, r.tenant, r.members)
	if err != nil {
		return err
	}
	const most = 20 // look-ups
	looked, unknown := 0, false
	for _, id := range r.members {
		if people[id] != nil {
			continue
		}
		unknown = true
		if looked++; looked > most {
			break
		}
		switch _, err := l.store.Group(ctx, r.tenant, id); {
		case err == nil:
			add(nested, r.subject)
			return nil
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
	}
	if unknown {
		add(memberUnknown, r.subject)
	}
	return nil
}
