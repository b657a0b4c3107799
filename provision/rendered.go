package provision

import (
	"sync"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/store"
)

// renderedBytes bounds what is kept of rendered people, for all tenants.
const renderedBytes = 16 << 20

// renderedKey names a person as lists show it.
type renderedKey struct {
	tenant string
	seq    int64
}

// renderedAs is what a rendering depends on besides the person's row: while it
// stays, so does the text.
type renderedAs struct {
	policy *mapping.Policy
	groups store.GroupsMark
}

// rendered is a person as lists show it, for as long as neither the row nor
// anything else that it depends on changes.
type rendered struct {
	revision int64
	as       renderedAs
	text     []byte
}

// renderings keeps people as lists show them, so that a page costs a look at
// their revisions. There are two generations: when the young one is half of
// what may be kept it becomes the old one, and whoever is not asked for then
// is forgotten. The zero value is ready; it is safe for concurrent use.
type renderings struct {
	mu         sync.Mutex
	young, old map[renderedKey]rendered
	size       int // of young
}

// get returns the text of a person at a revision, or nil.
func (c *renderings) get(k renderedKey, revision int64, as renderedAs) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.young[k]
	if !ok {
		if r, ok = c.old[k]; ok {
			c.add(k, r)
		}
	}
	if !ok || r.revision != revision || r.as != as {
		return nil
	}
	return r.text
}

// put keeps the text, which nobody may change any more.
func (c *renderings) put(k renderedKey, revision int64, as renderedAs, text []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(k, rendered{revision, as, text})
}

func (c *renderings) add(k renderedKey, r rendered) {
	if c.young == nil || c.size > renderedBytes/2 {
		c.young, c.old, c.size = map[renderedKey]rendered{}, c.young, 0
	}
	c.size += len(r.text) + 128 - len(c.young[k].text)
	c.young[k] = r
}
