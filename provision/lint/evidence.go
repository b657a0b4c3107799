package lint

import (
	"strings"
	"sync"
	"time"

	"github.com/sharearefund/scim-bridge/scim"
)

const (
	// Bounds of what is held of one tenant between two writes. Beyond them
	// evidence is passed over: what lasts is seen again.
	maxTallies, maxGood, maxRefusals = 4096, 16_384, 64
	// maxSenders is how many credentials are remembered.
	maxSenders = 10_000
	// maxMembers is how many members of a refused change are looked up.
	maxMembers = 200
	// flagEvery is how often it is noted of a credential that its requests
	// carry Entra's flag.
	flagEvery = time.Hour
	// together is the time within which several kinds of client must have used
	// a credential to share it: one that took another's place does not.
	together = day
)

// key is a finding of one tenant: of a credential and a subject.
type key struct {
	credential string
	code       code
	subject    string
}

// tally is what was seen of a key.
type tally struct {
	first, last, settled time.Time
	count                int64
}

// see counts one more.
func (t *tally) see(at time.Time) {
	if t.first.IsZero() || at.Before(t.first) {
		t.first = at
	}
	if at.After(t.last) {
		t.last = at
	}
	t.count++
}

// good says which codes something spoke against, and when last.
type good struct {
	codes mask
	at    time.Time
}

// refusal is a refused change whose reason is looked up in the store later.
type refusal struct {
	credential string
	at         time.Time
	// name and externalID are of a create that was answered 409, id of a
	// change of a user that was answered 403.
	name, externalID, id string
	// subject is the group whose change was answered 400, members those that
	// it names.
	subject string
	members []string
}

// share is what was seen of one tenant. Each has bounds of its own, so that the
// noise of one hides nothing of another.
type share struct {
	// The maps hold pointers: a map that is assigned to takes the new key's
	// memory over, which can be that of a whole request.
	tallies map[key]*tally
	// good is by subject, whichever credential sent it.
	good     map[string]*good
	refusals []refusal
}

// tally is that of a key, nil where there is no room for a new one.
func (s *share) tally(k key) *tally {
	t := s.tallies[k]
	if t == nil && len(s.tallies) < maxTallies {
		k.subject = strings.Clone(k.subject)
		t = new(tally)
		s.tallies[k] = t
	}
	return t
}

// sender is what this process remembers of a credential.
type sender struct {
	// dialects are those that it showed, and when last.
	dialects map[scim.Dialect]time.Time
	// flagged is when it was last noted that its requests carry the flag.
	flagged time.Time
}

// several reports whether several kinds of client use the credential.
func (s *sender) several(at time.Time) bool {
	n := 0
	for _, last := range s.dialects {
		if at.Sub(last) < together {
			n++
		}
	}
	return n > 1
}

// evidence is what was seen since the last write. It is safe for concurrent
// use, and bounded for each tenant.
type evidence struct {
	mu      sync.Mutex
	tenants map[string]*share
	senders map[string]*sender // by credential
}

func newEvidence() *evidence {
	return &evidence{tenants: map[string]*share{}, senders: map[string]*sender{}}
}

// of is a tenant's share. e.mu is held.
func (e *evidence) of(tenant string) *share {
	s := e.tenants[tenant]
	if s == nil {
		s = &share{tallies: map[key]*tally{}, good: map[string]*good{}}
		e.tenants[tenant] = s
	}
	return s
}

// see notes that a key was seen: what spoke against it before counts no more.
// e.mu is held.
func (e *evidence) see(tenant string, k key, at time.Time) {
	s := e.of(tenant)
	if g := s.good[k.subject]; g != nil {
		g.codes &^= maskOf(k.code)
	}
	if t := s.tally(k); t != nil {
		t.see(at)
	}
}

// settle notes what speaks against codes. e.mu is held.
func (e *evidence) settle(tenant, subject string, codes mask, at time.Time) {
	if codes == 0 || subject == "" {
		return
	}
	s := e.of(tenant)
	g := s.good[subject]
	if g == nil {
		if len(s.good) >= maxGood {
			return
		}
		g = new(good)
		s.good[strings.Clone(subject)] = g
	}
	g.codes, g.at = g.codes|codes, at
}

// settleKey notes that the contrary of a key was seen, whether or not the key
// ever was. e.mu is held.
func (e *evidence) settleKey(tenant string, k key, at time.Time) {
	if t := e.of(tenant).tally(k); t != nil {
		t.settled = at
	}
}

// sender notes the dialect of a request, and returns what is remembered of its
// credential. e.mu is held.
func (e *evidence) sender(credential string, d scim.Dialect, at time.Time) *sender {
	s := e.senders[credential]
	if s == nil {
		if len(e.senders) >= maxSenders {
			clear(e.senders)
		}
		s = &sender{dialects: map[scim.Dialect]time.Time{}}
		e.senders[credential] = s
	}
	if d != scim.DialectRFC { // which is everybody's until it is recognised
		s.dialects[d] = at
	}
	return s
}

// refuse keeps a refusal. e.mu is held.
func (e *evidence) refuse(tenant string, r refusal) {
	if s := e.of(tenant); len(s.refusals) < maxRefusals {
		s.refusals = append(s.refusals, r)
	}
}

// take returns what was seen, by tenant, and begins anew.
func (e *evidence) take() map[string]*share {
	e.mu.Lock()
	defer e.mu.Unlock()
	taken := e.tenants
	e.tenants = map[string]*share{}
	return taken
}
