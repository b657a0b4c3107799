package sandbox

import (
	"slices"
	"strconv"
)

const (
	defaultPageSize = 100
	maxPageSize     = 200
)

type page struct{ number, size int }

// page reads ?page= and ?page_size=.
func (c *call) page() (page, error) {
	p := page{1, defaultPageSize}
	for _, f := range []struct {
		name string
		to   *int
		max  int
	}{{"page", &p.number, 1 << 30}, {"page_size", &p.size, maxPageSize}} {
		v, err := c.one(f.name)
		if err != nil {
			return page{}, err
		}
		if v == "" {
			continue
		}
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > f.max {
			return page{}, invalidRequest(f.name, "%s must be a number from 1 to %d, not %q", f.name, f.max, v)
		}
		*f.to = n
	}
	return p, nil
}

// cut returns a page of the records that the filter keeps, and how many it keeps in all. A nil filter keeps all and
// costs the page only.
func cut[R any](l list[R], p page, keep func(R) bool) (out []R, total int) {
	from := (p.number - 1) * p.size
	if keep == nil {
		ids := l.ids[min(from, len(l.ids)):min(from+p.size, len(l.ids))]
		for _, id := range ids {
			out = append(out, l.get(id))
		}
		return out, len(l.ids)
	}
	for _, id := range l.ids {
		r := l.get(id)
		if !keep(r) {
			continue
		}
		if total >= from && total < from+p.size {
			out = append(out, r)
		}
		total++
	}
	return out, total
}

func (s *Sandbox) listUsers(c *call) (answer, error) {
	if err := c.parameters("organization_id", "account_state", "page", "page_size"); err != nil {
		return answer{}, err
	}
	ids, err := c.organizations()
	if err != nil {
		return answer{}, err
	}
	p, err := c.page()
	if err != nil {
		return answer{}, err
	}
	wanted, err := c.choice("account_state", StateNew, StateActive, StateLocked, StateBlocked)
	if err != nil {
		return answer{}, err
	}
	var keep func(*account) bool
	if wanted != "" {
		keep = func(a *account) bool { return a.State == wanted }
	}
	return s.read(c, func(r reader) (answer, error) {
		accounts, total := cut(r.accountList(ids), p, keep)
		users := make([]platformUser, len(accounts))
		for i, a := range accounts {
			users[i] = a.platform()
		}
		return ok(struct {
			Users    []platformUser `json:"Users"`
			Page     int            `json:"Page"`
			PageSize int            `json:"PageSize"`
			Total    int            `json:"Total"`
		}{users, p.number, p.size, total})
	})
}

// choice returns a query parameter that takes one of some values; "" when it is empty or absent.
func (c *call) choice(name string, values ...string) (string, error) {
	v, err := c.one(name)
	if err != nil || v == "" {
		return "", err
	}
	if !slices.Contains(values, v) {
		return "", invalidRequest(name, "unknown %s %q: use one of %q", name, v, values)
	}
	return v, nil
}

func (s *Sandbox) listInvites(c *call) (answer, error) {
	if err := c.parameters("state", "email", "organization_id", "page", "page_size"); err != nil {
		return answer{}, err
	}
	ids, err := c.organizations()
	if err != nil {
		return answer{}, err
	}
	p, err := c.page()
	if err != nil {
		return answer{}, err
	}
	wanted, err := c.choice("state", StatePending, StateAccepted, StateRevoked, StateExpired)
	if err != nil {
		return answer{}, err
	}
	email, err := c.one("email")
	if err != nil {
		return answer{}, err
	}
	return s.read(c, func(r reader) (answer, error) {
		now := s.now()
		var keep func(*invite) bool
		if wanted != "" {
			keep = func(i *invite) bool { return i.state(now) == wanted }
		}
		l := r.inviteList(ids)
		if email != "" {
			seqs := slices.Clone(r.byPerson[fold(email)])
			l.ids = slices.DeleteFunc(seqs, func(seq int64) bool { return !l.get(seq).in(ids) })
		}
		invites, total := cut(l, p, keep)
		records := make([]*Invite, len(invites))
		for k, i := range invites {
			records[k] = i.record(now)
		}
		return ok(struct {
			Invites  []*Invite `json:"Invites"`
			Page     int       `json:"Page"`
			PageSize int       `json:"PageSize"`
			Total    int       `json:"Total"`
		}{records, p.number, p.size, total})
	})
}

func (s *Sandbox) getInvite(c *call) (answer, error) {
	if err := c.parameters(); err != nil {
		return answer{}, err
	}
	return s.read(c, func(r reader) (answer, error) {
		i, err := c.invite(r.invite)
		if err != nil {
			return answer{}, err
		}
		return ok(swapped(c, i, i.Seq, r.inviteList(c.cred.organizations)).record(s.now()))
	})
}

// invite returns the invite that the path names, or 404 when there is none that the credential may see.
func (c *call) invite(find func(string) *invite) (*invite, error) {
	if i := find(c.args[0]); i.in(c.cred.organizations) {
		return i, nil
	}
	return nil, notFound("no such invite")
}
