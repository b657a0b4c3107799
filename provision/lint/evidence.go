package lint

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"sync"
	"time"

	"github.com/sharearefund/scim-bridge/scim"
)

const (
	// Bounds of what is held between two writes. Beyond them evidence is
	// passed over: what lasts is seen again.
	maxTallies, maxGood, maxRefusals, maxClients = 4096, 16_384, 64, 10_000
	// maxMembers is how many members of a refused change are looked up.
	maxMembers = 200
	// flagEvery is how often it is noted of a credential that its requests
	// carry Entra's flag.
	flagEvery = time.Hour
)

// key is a finding of one tenant, credential and subject.
type key struct {
	tenant, credential string
	code               code
	subject            string
}

// tally is what was seen of a key.
type tally struct {
	first, last, settled time.Time
	count                int64
}

// subject is who or what good evidence is about, whichever credential sent it.
type subject struct{ tenant, id string }

// good says which codes something spoke against, and when last.
type good struct {
	codes mask
	at    time.Time
}

// refusal is a refused change whose reason is looked up in the store later.
type refusal struct {
	tenant, credential string
	at                 time.Time
	// name and externalID are of a create that was answered 409, id of a
	// change of a user that was answered 403.
	name, externalID, id string
	// subject is the group whose change was answered 400, members those that
	// it names.
	subject string
	members []string
}

// evidence is what was seen since the last write. It is safe for concurrent
// use, and bounded.
type evidence struct {
	mu       sync.Mutex
	tallies  map[key]tally
	good     map[subject]good
	refusals []refusal

	// clients are the dialects that each credential showed in this process.
	clients map[string]mask
	// flagged is when it was last noted that a credential's requests carry
	// the flag.
	flagged map[string]time.Time
}

func newEvidence() *evidence {
	return &evidence{
		tallies: map[key]tally{}, good: map[subject]good{}, clients: map[string]mask{}, flagged: map[string]time.Time{},
	}
}

// see notes that a key was seen: what spoke against it before counts no more.
// e.mu is held.
func (e *evidence) see(k key, at time.Time) {
	s := subject{k.tenant, k.subject}
	if g, ok := e.good[s]; ok && g.codes.has(k.code) {
		e.good[s] = good{g.codes &^ maskOf(k.code), g.at}
	}
	t, ok := e.tallies[k]
	if !ok && len(e.tallies) >= maxTallies {
		return
	}
	if t.first.IsZero() {
		t.first = at
	}
	if at.After(t.last) {
		t.last = at
	}
	t.count++
	e.tallies[k] = t
}

// settle notes what speaks against codes. e.mu is held.
func (e *evidence) settle(tenant, id string, codes mask, at time.Time) {
	if codes == 0 || id == "" {
		return
	}
	s := subject{tenant, id}
	g, ok := e.good[s]
	if !ok && len(e.good) >= maxGood {
		return
	}
	e.good[s] = good{g.codes | codes, at}
}

// settleKey notes that the contrary of a key was seen, whether or not the key
// ever was. e.mu is held.
func (e *evidence) settleKey(k key, at time.Time) {
	t, ok := e.tallies[k]
	if !ok && len(e.tallies) >= maxTallies {
		return
	}
	t.settled = at
	e.tallies[k] = t
}

// client notes the dialect of a request, and returns all that the credential
// showed. e.mu is held.
func (e *evidence) client(credential string, d scim.Dialect) mask {
	m := e.clients[credential]
	if with := m | 1<<d; with != m {
		if m == 0 && len(e.clients) >= maxClients {
			clear(e.clients)
		}
		e.clients[credential] = with
		return with
	}
	return m
}

// refuse keeps a refusal. e.mu is held.
func (e *evidence) refuse(r refusal) {
	if len(e.refusals) < maxRefusals {
		e.refusals = append(e.refusals, r)
	}
}

// take returns what was seen and begins anew.
func (e *evidence) take() (tallies map[key]tally, settled map[subject]good, refusals []refusal) {
	e.mu.Lock()
	defer e.mu.Unlock()
	tallies, settled, refusals = e.tallies, e.good, e.refusals
	e.tallies, e.good, e.refusals = map[key]tally{}, map[subject]good{}, nil
	return tallies, settled, refusals
}

// pseudonym begins the subject of something that has no id yet.
const pseudonym = "new-"

// unnamed is the subject of a person or group that could not be created: the
// same for the same name, which it does not show.
func unnamed(tenant, resource, name string) string {
	if name == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(tenant + "\x00" + resource + "\x00" + scim.Fold(name)))
	return pseudonym + hex.EncodeToString(sum[:8])
}

// shownName is an attribute's name without what a path says in brackets; "" for
// what is no name and could be somebody's.
func shownName(path string) string {
	if i := strings.LastIndex(path, ": "); i >= 0 {
		path = path[i+2:]
	}
	var b strings.Builder
	for len(path) > 0 {
		i := strings.IndexByte(path, '[')
		if i < 0 {
			b.WriteString(path)
			break
		}
		b.WriteString(path[:i])
		end := strings.LastIndexByte(path, ']')
		if end < i {
			break
		}
		path = path[end+1:]
	}
	name := b.String()
	if name == "" || len(name) > 160 {
		return ""
	}
	for i := range len(name) {
		c := name[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("_-.:$/", rune(c)) {
			return ""
		}
	}
	return name
}
