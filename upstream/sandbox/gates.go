package sandbox

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

func (g *gate) isOpen() bool {
	select {
	case <-g.open:
		return true
	default:
		return false
	}
}

func (g *gate) release() {
	if !g.isOpen() {
		close(g.open)
	}
}

// notify wakes those who watch the gates; f.mu is held.
func (f *faults) notify() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// wait holds the call at the gate, if any; false: the client left, or the sandbox closed.
func (f *faults) wait(ctx context.Context, g *gate) bool {
	if g == nil {
		return true
	}
	f.count(g, 1)
	defer f.count(g, -1)
	select {
	case <-g.open:
		return true
	case <-ctx.Done():
	case <-f.closed:
	}
	return false
}

func (f *faults) count(g *gate, by int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g.waiting += by
	f.notify()
}

// Gates returns the gates that the rules name, by name.
func (s *Sandbox) Gates() []Gate {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	out := []Gate{}
	for name, g := range s.faults.gates {
		out = append(out, Gate{name, g.isOpen(), g.waiting})
	}
	slices.SortFunc(out, func(a, b Gate) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// OpenGate lets the calls at the gate go on, and later ones pass until the rules are replaced.
func (s *Sandbox) OpenGate(name string) error {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	g := s.faults.gates[name]
	if g == nil {
		return fmt.Errorf("no rule has a gate %q", name)
	}
	g.release()
	s.faults.notify()
	return nil
}

// AwaitGate returns when at least n calls wait at the gate, or with the context's error.
func (s *Sandbox) AwaitGate(ctx context.Context, name string, n int) error {
	for {
		s.faults.mu.Lock()
		g, changed := s.faults.gates[name], s.faults.changed
		reached := g != nil && g.waiting >= n
		s.faults.mu.Unlock()
		switch {
		case g == nil:
			return fmt.Errorf("no rule has a gate %q", name)
		case reached:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %d calls at gate %q: %w", n, name, ctx.Err())
		}
	}
}
