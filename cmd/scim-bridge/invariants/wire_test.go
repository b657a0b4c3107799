package invariants

import (
	"io"
	"net"
	"sync"
	"testing"
)

// wire passes connections on and can be cut: nobody can connect then, and who
// was connected is not any more.
type wire struct {
	t               testing.TB
	network, listen string
	target          string

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool
	wg       sync.WaitGroup
}

// newWire listens at an address of the network ("tcp" or "unix") until the
// test ends and passes everything on to target.
func newWire(t testing.TB, network, listen, target string) *wire {
	t.Helper()
	w := &wire{t: t, network: network, listen: listen, target: target, conns: map[net.Conn]bool{}}
	w.mend()
	w.listen = w.listener.Addr().String()
	t.Cleanup(w.cut)
	return w
}

// mend lets connections through again.
func (w *wire) mend() {
	w.t.Helper()
	l, err := net.Listen(w.network, w.listen)
	check(w.t, err)
	w.mu.Lock()
	w.listener = l
	w.mu.Unlock()
	w.wg.Go(func() { w.accept(l) })
}

// cut closes everything and refuses new connections.
func (w *wire) cut() {
	w.mu.Lock()
	_ = w.listener.Close() // it may be cut already
	for c := range w.conns {
		_ = c.Close()
	}
	w.mu.Unlock()
	w.wg.Wait()
}

func (w *wire) accept(l net.Listener) {
	for {
		near, err := l.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial(w.network, w.target)
		if err != nil {
			_ = near.Close()
			continue
		}
		w.mu.Lock()
		w.conns[near], w.conns[far] = true, true
		w.mu.Unlock()
		w.wg.Go(func() { w.copy(near, far) })
		w.wg.Go(func() { w.copy(far, near) })
	}
}

func (w *wire) copy(to, from net.Conn) {
	_, _ = io.Copy(to, from) // its end is the end of the connection
	_ = to.Close()
	_ = from.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, to)
	delete(w.conns, from)
}
