// Package redistest runs redis-server as a child process of a test, to be
// killed, stopped and restarted, and puts a faulty network before it.
package redistest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Options configures Start. The zero value is a plain server without a
// password that keeps nothing on disk.
type Options struct {
	// Args are added to the command line, for example "--maxmemory", "1mb".
	Args []string
	// Password makes the server ask for one; "" means it does not.
	Password string
	// Cluster makes the server a cluster of one node that holds every slot.
	Cluster bool

	sentinel []string // a sentinel's configuration, when it is one
}

// Server is a running redis-server. It is not safe for concurrent use, except
// for Addr and URL.
type Server struct {
	t       testing.TB
	o       Options
	bin     string
	dir     string
	port    int
	busPort int
	cmd     *exec.Cmd
	output  *lockedBuffer
	exited  chan struct{}
}

// startWithin bounds how long a server may take to answer.
const startWithin = 15 * time.Second

// Start runs a server until the test ends. Without redis-server on the machine
// the test is skipped, or fails when CI=true.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := &Server{t: t, o: o, bin: lookPath(t), dir: t.TempDir()}
	t.Cleanup(s.Kill)
	for attempt := 1; ; attempt++ {
		s.port, s.busPort = freePort(t), freePort(t)
		err := s.run()
		if err == nil {
			break
		}
		if attempt == 10 {
			t.Fatalf("redis-server did not start: %v\n%s", err, s.output)
		}
	}
	if o.Cluster {
		s.takeAllSlots()
	}
	return s
}

// StartSentinel runs a sentinel that watches master under name, until the test
// ends.
func StartSentinel(t testing.TB, master *Server, name string) *Server {
	t.Helper()
	return Start(t, Options{sentinel: []string{
		fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d 1", name, master.port),
		"protected-mode no",
	}})
}

func lookPath(t testing.TB) string {
	t.Helper()
	bin, err := exec.LookPath("redis-server")
	if err == nil {
		return bin
	}
	const missing = "redis-server is not installed; get it with: apt-get install redis-server"
	if os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// freePort returns a port that was free a moment ago. Somebody may take it
// before the server does: run notices and Start then tries another one.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// run starts the child and returns once it answers, or why it did not.
func (s *Server) run() error {
	args := []string{"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.dir}
	if s.o.sentinel == nil {
		args = append(args, "--save", "", "--appendonly", "no")
	} else {
		file := filepath.Join(s.dir, "sentinel.conf")
		if err := os.WriteFile(file, []byte(strings.Join(s.o.sentinel, "\n")+"\n"), 0o600); err != nil {
			return err
		}
		args = append([]string{file, "--sentinel"}, args...)
	}
	if s.o.Password != "" {
		args = append(args, "--requirepass", s.o.Password)
	}
	if s.o.Cluster {
		args = append(args, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(s.busPort),
			"--cluster-config-file", filepath.Join(s.dir, "nodes.conf"))
	}
	s.output = &lockedBuffer{}
	s.cmd = exec.Command(s.bin, append(args, s.o.Args...)...)
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	s.cmd.SysProcAttr = childAttr()
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait() // it is killed in the end, so the status says nothing
		close(exited)
	}(s.cmd, s.exited)
	err := s.answers()
	if err != nil {
		s.Kill()
	}
	return err
}

// answers waits until the child, and nobody else on its port, answers.
func (s *Server) answers() error {
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	pid := fmt.Sprintf("process_id:%d\r\n", s.cmd.Process.Pid)
	for {
		info, err := s.info(ctx)
		switch {
		case err == nil && strings.Contains(info, pid):
			return nil
		case err == nil:
			return fmt.Errorf("port %d belongs to another server", s.port)
		}
		select {
		case <-s.exited:
			return errors.New("it ended")
		case <-ctx.Done():
			return fmt.Errorf("no answer within %s: %w", startWithin, err)
		case <-time.After(2 * time.Millisecond): // until another process is ready
		}
	}
}

// info uses a client of its own, as a client's pool waits a second after a
// refused connection.
func (s *Server) info(ctx context.Context) (string, error) {
	admin := s.Admin()
	defer admin.Close()
	return admin.Info(ctx, "server").Result()
}

func (s *Server) takeAllSlots() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	admin := s.Admin()
	defer admin.Close()
	if err := admin.ClusterAddSlotsRange(ctx, 0, 16383).Err(); err != nil {
		s.t.Fatalf("giving the node its slots: %v", err)
	}
	for {
		info, err := admin.ClusterInfo(ctx).Result()
		if err == nil && strings.Contains(info, "cluster_state:ok") {
			return
		}
		select {
		case <-ctx.Done():
			s.t.Fatalf("the cluster did not form: %v\n%s", err, info)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Addr is where the server listens; it stays the same after a Restart.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// URL is the server's, without its password.
func (s *Server) URL() string {
	if s.o.Cluster {
		return "redis+cluster://" + s.Addr()
	}
	return "redis://" + s.Addr()
}

// Admin returns a plain client with generous timeouts, for the caller to close.
func (s *Server) Admin() *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: s.Addr(), Password: s.o.Password, Protocol: 2, DisableIdentity: true,
		MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
	})
}

// Do runs one command and returns its reply; an error reply ends the test.
func (s *Server) Do(args ...any) any {
	s.t.Helper()
	admin := s.Admin()
	defer admin.Close()
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	reply, err := admin.Do(ctx, args...).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		s.t.Fatalf("redis command %v: %v", args, err)
	}
	return reply
}

// Kill ends the server with SIGKILL. Killing a killed one does nothing.
func (s *Server) Kill() {
	if s.exited == nil {
		return
	}
	_ = s.cmd.Process.Kill() // fails only when it has ended by itself
	<-s.exited
}

// Restart kills the server, if it runs, and starts an empty one on its port.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	var err error
	for range 10 {
		if err = s.run(); err == nil {
			return
		}
	}
	s.t.Fatalf("redis-server did not start again: %v\n%s", err, s.output)
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
