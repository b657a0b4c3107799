package upstream

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/url"
	"strconv"
)

const (
	defaultPage = 200 // as many as the service allows
	minPage     = 20
)

// ListUsersQuery selects accounts.
type ListUsersQuery struct {
	OrganizationIDs []int64 // nil: all that the credential manages
	AccountState    string  // "": all
	PageSize        int     // 0: 200; below 20: 20; above 200: 200
}

// ListInvitesQuery selects invites.
type ListInvitesQuery struct {
	State, Email   string // "": all
	OrganizationID int64  // 0: all that the credential manages
	PageSize       int    // as in ListUsersQuery
}

// ListUsers reads accounts, ordered by id, with one page in memory. Either every account that was there from beginning
// to end is yielded, exactly once, or the sequence ends with an error: pages overlap by at least one entry, which shows
// whether entries moved from one page to another while the list was read.
func (c *Client) ListUsers(ctx context.Context, q ListUsersQuery) iter.Seq2[*Account, error] {
	query := organizationQuery(q.OrganizationIDs)
	if q.AccountState != "" {
		query.Set("account_state", q.AccountState)
	}
	return pager[*Account, int64]{
		client: c, operation: "list_users", query: query, size: q.PageSize,
		key: func(a *Account) int64 { return a.ID },
		read: func(body []byte) (pageHeader, []*Account, error) {
			wire, err := decoded[struct {
				pageHeader
				Users []pascalAccount
			}](body)
			if err != nil {
				return pageHeader{}, nil, err
			}
			list, err := pageOf(wire.Users, (*pascalAccount).account)
			return wire.pageHeader, list, err
		},
	}.all(ctx)
}

// ListInvites reads invites with the same promise as ListUsers.
func (c *Client) ListInvites(ctx context.Context, q ListInvitesQuery) iter.Seq2[*Invite, error] {
	query := url.Values{}
	if q.State != "" {
		query.Set("state", q.State)
	}
	if q.Email != "" {
		query.Set("email", q.Email)
	}
	if q.OrganizationID != 0 {
		query.Set("organization_id", strconv.FormatInt(q.OrganizationID, 10))
	}
	return pager[*Invite, string]{
		client: c, operation: "list_invites", query: query, size: q.PageSize,
		key: func(i *Invite) string { return i.ID },
		read: func(body []byte) (pageHeader, []*Invite, error) {
			wire, err := decoded[struct {
				pageHeader
				Invites []pascalInvite
			}](body)
			if err != nil {
				return pageHeader{}, nil, err
			}
			list, err := pageOf(wire.Invites, (*pascalInvite).invite)
			return wire.pageHeader, list, err
		},
	}.all(ctx)
}

// pageHeader is what every page says about itself.
type pageHeader struct {
	Page     int  `json:"Page"`
	PageSize int  `json:"PageSize"`
	Total    *int `json:"Total"`
}

func pageOf[W, R any](list []W, convert func(*W) (R, error)) ([]R, error) {
	if list == nil {
		return nil, errors.New("the page has no list")
	}
	out := make([]R, len(list))
	for i := range list {
		var err error
		if out[i], err = convert(&list[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// pager reads a list of R, identified by K, page by page.
type pager[R any, K comparable] struct {
	client    *Client
	operation string
	query     url.Values
	size      int
	key       func(R) K
	read      func(body []byte) (pageHeader, []R, error)
}

// page is one page: entries [start, start+len(entries)) of total.
type page[R any] struct {
	start, total int
	size         int // that the service really uses
	entries      []R
}

var errShifted = errors.New("the list changed faster than it could be read; read it again")

func (p pager[R, K]) all(ctx context.Context) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		fail := func(err error) {
			var none R
			yield(none, err)
		}
		size := defaultPage
		if p.size > 0 {
			size = min(max(p.size, minPage), defaultPage)
		}
		seen := map[K]struct{}{}
		reread := 0
		for have := 0; ; {
			number, asked := nextPage(have, size)
			pg, err := p.fetch(ctx, number, asked)
			if err != nil {
				fail(err)
				return
			}
			if pg.size < asked {
				size = pg.size // their limit is lower than ours
			}
			known := 0
			for _, entry := range pg.entries {
				if _, ok := seen[p.key(entry)]; ok {
					known++
				}
			}
			connected := pg.start == 0 || known > 0 || have%asked == 0
			for _, entry := range pg.entries {
				k := p.key(entry)
				if _, ok := seen[k]; ok || !connected {
					continue
				}
				seen[k] = struct{}{}
				if !yield(entry, nil) {
					return
				}
			}
			end := pg.start + len(pg.entries)
			switch {
			case connected && end >= pg.total && len(seen) >= pg.total:
				return
			case connected && len(pg.entries) == pg.size && end < pg.total && end > have:
				have = end
			default:
				// Entries moved, or the page is shorter than the list says. What was yielded is remembered, so going back
				// costs time only.
				if reread++; reread > 3+pg.total/size {
					fail(&Error{Operation: p.operation, Kind: Unavailable, Err: errShifted})
					return
				}
				have = max(0, min(have, pg.total)-size)
				if connected {
					have = 0
				}
			}
		}
	}
}

// nextPage picks the page that continues after have entries with at most most entries a page: one that begins before
// have, so that it repeats what was read last, and ends as late as possible. A few repeated entries more make up for
// entries that vanish meanwhile.
func nextPage(have, most int) (number, size int) {
	if have == 0 {
		return 1, most
	}
	for _, least := range []int{max(most/20, 1), 1} {
		gain := 0
		for s := most; s > gain; s-- {
			if overlap := have % s; overlap >= least && s-overlap > gain {
				number, size, gain = have/s+1, s, s-overlap
			}
		}
		if gain > 0 {
			return number, size
		}
	}
	return have/most + 1, most // every size divides have: only with tiny pages; nothing is repeated then
}

func (p pager[R, K]) fetch(ctx context.Context, number, size int) (page[R], error) {
	var out page[R]
	q := url.Values{"page": {strconv.Itoa(number)}, "page_size": {strconv.Itoa(size)}}
	maps.Copy(q, p.query)
	err := p.client.do(ctx, request{operation: p.operation, query: q, decode: func(body []byte) error {
		h, entries, err := p.read(body)
		switch {
		case err != nil:
			return err
		case h.Total == nil || *h.Total < 0:
			return errors.New("the page has no Total")
		case h.Page != number:
			return fmt.Errorf("the answer is page %d, asked was %d", h.Page, number)
		case h.PageSize < 1 || h.PageSize > size:
			return fmt.Errorf("the answer has the page size %d, asked was %d", h.PageSize, size)
		case len(entries) > h.PageSize:
			return fmt.Errorf("the page has %d entries, more than its size %d", len(entries), h.PageSize)
		}
		out = page[R]{start: (number - 1) * h.PageSize, total: *h.Total, size: h.PageSize, entries: entries}
		return nil
	}})
	return out, err
}
