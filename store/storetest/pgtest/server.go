package pgtest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// MissingError says that the machine has no PostgreSQL.
type MissingError struct{}

func (*MissingError) Error() string {
	return "PostgreSQL is not installed here (looked for postgres and initdb in PATH and /usr/lib/postgresql): apt-get install postgresql"
}

// Server is a running PostgreSQL.
type Server struct {
	dir    string
	cmd    *exec.Cmd
	exited chan error
}

// Start creates a database cluster in a temporary directory and starts a server
// on it: half a second. As root it runs as the user postgres, else nobody.
// *MissingError when there is no PostgreSQL.
func Start() (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	// Not a test's own directory: that is closed to other users.
	dir, err := os.MkdirTemp("", "pgtest")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, exited: make(chan error, 1)}
	if err := s.start(bin); err != nil {
		return nil, errors.Join(fmt.Errorf("starting PostgreSQL: %w", err), os.RemoveAll(dir))
	}
	return s, nil
}

// Stop stops the server at once and removes its directory.
func (s *Server) Stop() error {
	err := s.cmd.Process.Signal(syscall.SIGQUIT)
	if err == nil || errors.Is(err, os.ErrProcessDone) {
		err = nil
		select {
		case <-s.exited: // the status of an immediate shutdown says nothing
		case <-time.After(30 * time.Second):
			err = errors.Join(fmt.Errorf("PostgreSQL (process %d) does not stop", s.cmd.Process.Pid), s.cmd.Process.Kill())
		}
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// binaries is the directory that has postgres and initdb.
func binaries() (string, error) {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	installed, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	slices.Reverse(installed)
	for _, dir := range append(dirs, installed...) {
		_, err1 := os.Stat(filepath.Join(dir, "postgres"))
		_, err2 := os.Stat(filepath.Join(dir, "initdb"))
		if err1 == nil && err2 == nil {
			return dir, nil
		}
	}
	return "", &MissingError{}
}

func (s *Server) start(bin string) error {
	attr, err := account(s.dir)
	if err != nil {
		return err
	}
	data := filepath.Join(s.dir, "data")
	initdb := s.command(attr, filepath.Join(bin, "initdb"), "-D", data,
		"-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	s.cmd = s.command(attr, filepath.Join(bin, "postgres"), "-D", data, "-k", s.dir,
		"-c", "listen_addresses=", "-c", "fsync=off", "-c", "full_page_writes=off",
		"-c", "shared_buffers=32MB", "-c", "max_connections=250", "-c", "deadlock_timeout=20ms",
		"-c", "autovacuum_naptime=10s")
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		return err
	}
	started := make(chan error, 1)
	go func() {
		// The child is told of the death of the thread that started it, so
		// the thread must live as long as the child.
		runtime.LockOSThread()
		err := s.cmd.Start()
		started <- err
		if err == nil {
			s.wait(stderr, started)
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	return <-started
}

// wait reads the server's log until it ends. It tells started when the server
// is ready or has ended instead.
func (s *Server) wait(stderr io.Reader, started chan<- error) {
	var log bytes.Buffer
	ready := false
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if !ready && strings.Contains(lines.Text(), "database system is ready to accept connections") {
			ready = true
			started <- nil
		}
		if !ready {
			log.Write(lines.Bytes())
			log.WriteByte('\n')
		}
	}
	_, _ = io.Copy(io.Discard, stderr) // a line too long ends the scan, not the server
	err := s.cmd.Wait()
	if !ready {
		started <- fmt.Errorf("postgres ended: %w\n%s", err, log.Bytes())
	}
	s.exited <- err
}

func (s *Server) command(attr *syscall.SysProcAttr, path string, args ...string) *exec.Cmd {
	cmd := exec.Command(path, args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = attr
	return cmd
}
