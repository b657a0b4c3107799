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
	taken, before := l.seen.take(), l.before
	l.before = make(map[string]map[string]*good, len(taken))
	var errs []error
	for tenant, seen := range taken {
		l.before[tenant] = seen.good
		if err := l.write(ctx, tenant, seen, before[tenant]); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// write writes what was seen of one tenant. What it takes from the time of the
// others is bounded, and looking for reasons leaves time to write.
func (l *Linter) write(ctx context.Context, tenant string, seen *share, before map[string]*good) error {
	looking, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	var explained error
	for _, r := range seen.refusals {
		if explained = l.explain(looking, tenant, r, seen); explained != nil {
			break
		}
	}
	writing, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return errors.Join(explained, l.merge(writing, tenant, seen, before))
}

// merge writes what was seen of one tenant, and what is over.
func (l *Linter) merge(ctx context.Context, tenant string, seen *share, before map[string]*good) error {
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
		k := key{f.Credential, c, f.Subject}
		known[k] = true
		if !f.Open() {
			continue
		}
		open[place{f.Credential, c}]++
		if seen.tallies[k] != nil {
			continue
		}
		if at := contrary(k, seen.good, before); at.After(f.LastSeen) {
			write = append(write, store.Finding{
				Tenant: tenant, Credential: f.Credential, Code: f.Code, Subject: f.Subject, SettledAt: at,
			})
		}
	}
	for k, t := range seen.tallies {
		p := place{k.credential, k.code}
		if at := contrary(k, seen.good, before); at.After(t.settled) {
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
func contrary(k key, periods ...map[string]*good) time.Time {
	for _, p := range periods {
		if g := p[k.subject]; g != nil && g.codes.has(k.code) {
			return g.at
		}
	}
	return time.Time{}
}

// explain finds out in the store why a change was refused, and adds that to
// what was seen.
func (l *Linter) explain(ctx context.Context, tenant string, r refusal, into *share) error {
	add := func(c code, subject string) {
		if t := into.tally(key{r.credential, c, subject}); t != nil {
			t.see(r.at)
		}
	}
	if len(r.members) > 0 {
		return l.explainMembers(ctx, tenant, r, add)
	}
	p, err := l.store.Person(ctx, tenant, r.id)
	if r.name != "" {
		p, err = l.store.PersonByUserName(ctx, tenant, scim.Fold(r.name))
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

func (l *Linter) explainMembers(ctx context.Context, tenant string, r refusal, add func(code, string)) error {
	people, err := l.store.PersonsByID(ctx, tenant, r.members)
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
		switch _, err := l.store.Group(ctx, tenant, id); {
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
