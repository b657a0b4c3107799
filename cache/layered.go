package cache

import (
	"context"
	"errors"
)

// Layered asks a near cache before a far one. Create it with NewLayered.
type Layered struct{ near, far Cache }

// NewLayered returns a cache that answers from near when it can, else from
// far, and then remembers the answer in near. It owns both.
//
// Nothing tells near what other processes store in far, so near should forget
// soon (NearTTL): until then it may answer what was replaced or deleted
// elsewhere, which is allowed, as a cache is only a hint. For the same reason a
// Get that is under way during a Delete may bring the deleted mapping back into
// near for that long.
func NewLayered(near, far Cache) *Layered { return &Layered{near: near, far: far} }

// Get implements Cache.
func (c *Layered) Get(ctx context.Context, k Key) (Mapping, bool) {
	if m, ok := c.near.Get(ctx, k); ok {
		return m, true
	}
	m, ok := c.far.Get(ctx, k)
	if ok {
		c.near.Set(ctx, m, k)
	}
	return m, ok
}

// Set implements Cache. Near comes first, so that this process sees the
// mapping at once however slow far is.
func (c *Layered) Set(ctx context.Context, m Mapping, keys ...Key) {
	c.near.Set(ctx, m, keys...)
	c.far.Set(ctx, m, keys...)
}

// Delete implements Cache. Near is cleared on both sides of far: before, as
// far may be slow; after, as a Get in between may have refilled it.
func (c *Layered) Delete(ctx context.Context, keys ...Key) {
	c.near.Delete(ctx, keys...)
	c.far.Delete(ctx, keys...)
	c.near.Delete(ctx, keys...)
}

// Ping implements Cache: both must work.
func (c *Layered) Ping(ctx context.Context) error {
	return errors.Join(c.near.Ping(ctx), c.far.Ping(ctx))
}

// Close closes both.
func (c *Layered) Close() error { return errors.Join(c.near.Close(), c.far.Close()) }
