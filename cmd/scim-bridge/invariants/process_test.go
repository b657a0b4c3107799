package invariants

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// process is one `serve` process.
type process struct {
	rig    *rig
	name   string
	args   []string
	cmd    *exec.Cmd
	log    *output
	exited chan struct{}
	addr   string
	client *http.Client
	// mayDie says that the test itself ends the process.
	mayDie bool
	// logs are those of former lives.
	logs []*output
}

// output keeps what a process prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// serve starts a process and waits until it is ready.
func (r *rig) serve(name string) *process {
	r.t.Helper()
	p := &process{rig: r, name: name, args: []string{"serve", "--config", filepath.Join(r.dir, "server.yaml"), "--drain-delay", "0s"}}
	r.processes = append(r.processes, p)
	p.start()
	p.ready()
	return p
}

// start starts the process, or starts it again after it was killed.
func (p *process) start() {
	t := p.rig.t
	t.Helper()
	if p.log != nil {
		p.logs = append(p.logs, p.log)
	}
	p.mayDie = false
	p.log = &output{}
	p.exited = make(chan struct{})
	p.cmd = exec.Command(binary, p.args...)
	p.cmd.Dir = p.rig.dir
	p.cmd.Env = append(os.Environ(), "GOTRACEBACK=all")
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = childAttr()
	started := make(chan error, 1)
	go func(cmd *exec.Cmd, exited chan struct{}) {
		// Linux ends the child when the thread that started it ends. The
		// thread may have started other children, so it must live on.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is seen in its log
			close(exited)
		}
	}(p.cmd, p.exited)
	check(t, <-started)
	p.addr = p.awaitAddress()
	p.client = &http.Client{
		Timeout:   60 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
	}
}

// awaitAddress reads from the log where the process listens.
func (p *process) awaitAddress() string {
	t := p.rig.t
	t.Helper()
	var addr string
	eventually(t, 30*time.Second, p.name+" serves", func() error {
		for line := range strings.Lines(p.log.String()) {
			var l struct{ Msg, Listen string }
			if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "serving" {
				addr = l.Listen
				return nil
			}
		}
		if p.hasExited() {
			t.Fatalf("%s ended:\n%s", p.name, p.log)
		}
		return fmt.Errorf("it does not listen yet")
	})
	return addr
}

// ready waits until every dependency is there and every directory is fresh.
func (p *process) ready() {
	p.rig.t.Helper()
	eventually(p.rig.t, 30*time.Second, p.name+" is ready", func() error {
		res, err := p.client.Get("http://" + p.addr + "/readyz")
		if err != nil {
			return err
		}
		defer res.Body.Close()
		var h struct {
			Status      string
			Directories []struct{ Tenant, Status string }
		}
		if err := json.NewDecoder(res.Body).Decode(&h); err != nil {
			return err
		}
		if h.Status != "ready" {
			return fmt.Errorf("status %q", h.Status)
		}
		for _, d := range h.Directories {
			if d.Status != "fresh" {
				return fmt.Errorf("directory of %s is %s", d.Tenant, d.Status)
			}
		}
		return nil
	})
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) hasExited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// kill ends the process with SIGKILL.
func (p *process) kill() {
	p.mayDie = true
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.exited
}

// restart kills the process, if it lives, and starts it again.
func (p *process) restart() {
	p.rig.t.Helper()
	p.kill()
	p.client.CloseIdleConnections()
	p.start()
	p.ready()
}

// allLogs is everything that the process ever printed.
func (p *process) allLogs() string {
	var b strings.Builder
	for _, l := range append(p.logs, p.log) {
		b.WriteString(l.String())
	}
	return b.String()
}

// metrics is the text of /metrics.
func (p *process) metrics() string {
	p.rig.t.Helper()
	res, err := p.client.Get("http://" + p.addr + "/metrics")
	check(p.rig.t, err)
	defer res.Body.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(res.Body)
	check(p.rig.t, err)
	return b.String()
}

// metric is the value of a metric without labels.
func (p *process) metric(name string) float64 {
	p.rig.t.Helper()
	for line := range strings.Lines(p.metrics()) {
		var v float64
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			if _, err := fmt.Sscan(rest, &v); err == nil {
				return v
			}
		}
	}
	p.rig.t.Fatalf("%s has no metric %q", p.name, name)
	return 0
}

// eventually asks again until f is satisfied.
func eventually(t testing.TB, within time.Duration, what string, f func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(within); ; {
		if err = f(); err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s: %v", what, within, err)
		}
		time.Sleep(10 * time.Millisecond) // to ask less often; nothing is synchronised by it
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
