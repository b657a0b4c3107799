package upstream

import (
	"context"
	"errors"
	"slices"
	"time"
)

const (
	maxSplitCalls  = 40 // invite_users calls that one batch may take: enough to single out two bad people of a hundred
	fewPeople      = 3  // up to so many are looked up by e-mail; more are found by reading pages
	secondLookWait = time.Second
)

// shipment is a batch under way. Only its own goroutine touches it.
type shipment struct {
	client *Client
	orgIDs []int64
	stats  Batch
}

// send delivers an outcome to everybody in the sealed batch, whoever still waits for it.
func (i *Inviter) send(b *batch) {
	ctx, cancel := context.WithTimeout(context.Background(), i.o.Deadline)
	defer cancel()
	s := &shipment{client: i.o.Client, orgIDs: b.orgIDs}
	s.stats.People, s.stats.Waited = len(b.people), time.Since(b.born)
	start := time.Now()
	unclear := s.deliver(ctx, b.people, true)
	s.resolve(ctx, unclear)
	s.stats.Duration = time.Since(start)
	i.o.Observe(s.stats)
}

// lost is a person of whom nobody knows whether the invite took effect, and the error of the call that carried it.
type lost struct {
	*guest
	err *Error
}

// deliver sends people in one call. When the service refuses the call as a whole, which means that nothing happened,
// it is repeated in halves until the refusal meets only the person it is about. It returns the people whose outcome is
// unclear; everybody else has got theirs.
func (s *shipment) deliver(ctx context.Context, people []*guest, first bool) []lost {
	if !first && (s.stats.Calls >= maxSplitCalls || ctx.Err() != nil) {
		finish(people, neverSent(errors.New("the batch was refused because of several people in it; send this person again")))
		return nil
	}
	users := make([]InviteUser, len(people))
	for i, g := range people {
		users[i] = g.user
	}
	s.stats.Calls++
	results, err := s.client.inviteUsers(withCountsOf(ctx, people), users, s.orgIDs, first)
	if first {
		s.stats.Err = err
	}
	if err == nil {
		for i, g := range people {
			out := outcome{result: results[i]}
			if results[i].Error != nil {
				out.err = results[i].Error
			}
			g.outcome <- out
		}
		return nil
	}
	failure, _ := errors.AsType[*Error](err)
	switch failure.Kind {
	case Ambiguous:
		unclear := make([]lost, len(people))
		for i, g := range people {
			unclear[i] = lost{g, failure}
		}
		return unclear
	case Invalid, Forbidden, Conflict:
		if len(people) > 1 {
			half := len(people) / 2
			return slices.Concat(s.deliver(ctx, people[:half], false), s.deliver(ctx, people[half:], false))
		}
	}
	finish(people, failure)
	return nil
}

// finish gives everybody the same failure, each a copy of their own.
func finish(people []*guest, failure *Error) {
	for _, g := range people {
		e := *failure
		g.outcome <- outcome{err: &e}
	}
}

// resolve reads the pending invites back to find the people whose answer was lost. Whoever is found is invited; of the
// others nothing is known, since the service may still be working or not show fresh invites yet.
func (s *shipment) resolve(ctx context.Context, unclear []lost) {
	for look := 0; look < 2 && len(unclear) > 0; look++ {
		if look > 0 && sleep(ctx, secondLookWait) != nil {
			break
		}
		found, err := s.pending(ctx, unclear)
		unclear = slices.DeleteFunc(unclear, func(l lost) bool {
			invite, ok := found[l.email]
			if ok {
				s.stats.Resolved++
				l.outcome <- outcome{result: InviteResult{
					Email: l.user.Email, Status: Invited, InviteID: invite.ID, UserID: invite.UserID, Resolved: true,
					CreatedAt: invite.CreatedAt,
				}}
			}
			return ok
		})
		if err != nil {
			break
		}
	}
	for _, l := range unclear {
		finish([]*guest{l.guest}, l.err)
	}
}

// pending finds pending invites of the people that cover all the batch's organizations, by folded e-mail. It stops
// reading when everybody is found. With an error it gives what it found until then.
func (s *shipment) pending(ctx context.Context, people []lost) (map[string]*Invite, error) {
	wanted := make(map[string]bool, len(people))
	guests := make([]*guest, len(people))
	queries := []ListInvitesQuery{{State: InvitePending, OrganizationID: s.orgIDs[0]}}
	if len(people) <= fewPeople {
		queries = nil
	}
	for i, l := range people {
		wanted[l.email], guests[i] = true, l.guest
		if len(people) <= fewPeople {
			queries = append(queries, ListInvitesQuery{State: InvitePending, OrganizationID: s.orgIDs[0], Email: l.user.Email})
		}
	}
	ctx = withCountsOf(ctx, guests)
	found := make(map[string]*Invite, len(people))
	for _, q := range queries {
		for invite, err := range s.client.ListInvites(ctx, q) {
			if err != nil {
				return found, err
			}
			email := fold(invite.Email)
			if wanted[email] && invite.State == InvitePending && covers(invite.OrganizationIDs, s.orgIDs) {
				if found[email] = invite; len(found) == len(wanted) {
					return found, nil
				}
			}
		}
	}
	return found, nil
}

// covers tells that all holds every id of some.
func covers(all, some []int64) bool {
	for _, id := range some {
		if !slices.Contains(all, id) {
			return false
		}
	}
	return true
}
