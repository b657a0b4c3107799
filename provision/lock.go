package provision

import (
	"context"
	"sync"
)

// keyedLocks serialise requests of this process for one person, before they
// compete for the database's lease. The zero value is ready.
type keyedLocks struct {
	mu   sync.Mutex
	held map[string]*keyedLock
}

type keyedLock struct {
	slot    chan struct{} // holds one token while free
	waiting int
}

// lock waits for the key; the caller calls unlock exactly once.
func (l *keyedLocks) lock(ctx context.Context, key string) (unlock func(), err error) {
	l.mu.Lock()
	if l.held == nil {
		l.held = map[string]*keyedLock{}
	}
	k := l.held[key]
	if k == nil {
		k = &keyedLock{slot: make(chan struct{}, 1)}
		k.slot <- struct{}{}
		l.held[key] = k
	}
	k.waiting++
	l.mu.Unlock()

	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if k.waiting--; k.waiting == 0 {
			delete(l.held, key)
		}
	}
	select {
	case <-k.slot:
		return func() {
			k.slot <- struct{}{}
			leave()
		}, nil
	case <-ctx.Done():
		leave()
		return nil, context.Cause(ctx)
	}
}
