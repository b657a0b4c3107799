package redistest

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Fault says what becomes of one piece of a reply on its way to the client.
type Fault struct {
	// Swallow drops the piece.
	Swallow bool
	// Delay holds the piece back. Zero means not at all.
	Delay time.Duration
	// CloseAfter passes on that many bytes of the piece less one and then
	// closes the connection; 0 means it stays open.
	CloseAfter int
}

// Proxy is a TCP proxy whose replies can be damaged. It is safe for concurrent
// use.
type Proxy struct {
	listener net.Listener
	target   string

	mu     sync.Mutex
	fault  func(reply []byte) Fault
	conns  map[net.Conn]bool
	closed bool
	wg     sync.WaitGroup
}

// NewProxy listens on a port of its own until the test ends and passes
// everything on to target, a host:port.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: l, target: target, conns: map[net.Conn]bool{}}
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// SetFault sets who decides about each piece of a reply, as it was read from
// the server; nil means all are passed on. f may be called concurrently and
// must not keep the piece.
func (p *Proxy) SetFault(f func(reply []byte) Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

// Once returns a fault that befalls only the first piece that match accepts;
// a nil match accepts any.
func Once(fault Fault, match func(reply []byte) bool) func([]byte) Fault {
	var mu sync.Mutex
	var done bool
	return func(reply []byte) Fault {
		mu.Lock()
		defer mu.Unlock()
		if done || match != nil && !match(reply) {
			return Fault{}
		}
		done = true
		return fault
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			client.Close()
			continue
		}
		if !p.hold(client, server) {
			return
		}
		p.wg.Go(func() {
			defer p.drop(client, server)
			_, _ = io.Copy(server, client) // ends when either side does
		})
		p.wg.Go(func() {
			defer p.drop(client, server)
			_ = p.replies(client, server) // likewise
		})
	}
}

func (p *Proxy) hold(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		if p.closed {
			c.Close()
		} else {
			p.conns[c] = true
		}
	}
	return !p.closed
}

func (p *Proxy) drop(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		c.Close()
		delete(p.conns, c)
	}
}

var errCut = errors.New("the proxy cut the connection")

func (p *Proxy) replies(client io.Writer, server io.Reader) error {
	buf := make([]byte, 32<<10)
	for {
		n, err := server.Read(buf)
		if err != nil {
			return err
		}
		p.mu.Lock()
		decide := p.fault
		p.mu.Unlock()
		var f Fault
		if decide != nil {
			f = decide(buf[:n])
		}
		piece := buf[:n]
		if f.CloseAfter > 0 {
			piece = piece[:min(n, f.CloseAfter-1)]
		}
		if f.Delay > 0 {
			time.Sleep(f.Delay) // this is the fault
		}
		if !f.Swallow {
			if _, err := client.Write(piece); err != nil {
				return err
			}
		}
		if f.CloseAfter > 0 {
			return errCut
		}
	}
}

func (p *Proxy) close() {
	p.listener.Close()
	p.mu.Lock()
	p.closed = true
	for c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
}
