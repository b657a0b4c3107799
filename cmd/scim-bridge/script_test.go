package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience bounds every wait of a script; only a script that fails waits so
// long.
const patience = 60 * time.Second

type servicesKey struct{}

// services are the processes that a script started, by name.
type services map[string]*service

type service struct {
	cmd    *exec.Cmd
	out    output
	exited chan struct{}
	err    error
}

// output collects what a process prints and tells who waits for more.
type output struct {
	mu    sync.Mutex
	text  bytes.Buffer
	grown chan struct{}
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.text.Write(b)
	close(o.grown)
	o.grown = make(chan struct{})
	return n, err
}

func (o *output) read() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.grown
}

// passedOn are the variables of a script that its services get.
var passedOn = []string{"PATH", "HOME", "TMPDIR", "SCIM_BRIDGE_CONFIG", "ACME_SECRET", "BRIDGE_KEY", "SCIM_BRIDGE_METRICS_LISTEN",
	"SCIM_BRIDGE_STORE_URL", "SCIM_BRIDGE_REDIS_URL"}

// cmdStart runs a process until "end": start NAME REGEXP PROGRAM ARGS… It
// waits until the regexp matches what the process printed, and sets a
// variable for each named group.
func cmdStart(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: start name regexp program args…")
	}
	all := ts.Value(servicesKey{}).(services)
	if all[args[0]] != nil {
		ts.Fatalf("%s runs already", args[0])
	}
	s := &service{cmd: exec.Command(args[2], args[3:]...), exited: make(chan struct{})}
	s.out.grown = make(chan struct{})
	s.cmd.Dir = ts.MkAbs(".")
	for _, name := range passedOn {
		if v := ts.Getenv(name); v != "" {
			s.cmd.Env = append(s.cmd.Env, name+"="+v)
		}
	}
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	ts.Check(s.cmd.Start())
	all[args[0]] = s
	go func() {
		s.err = s.cmd.Wait()
		close(s.exited)
	}()
	ts.Defer(func() {
		_ = s.cmd.Process.Kill() // it may have ended
		<-s.exited
	})
	s.await(ts, args[0], args[1])
}

// cmdAwait waits until a service printed something: await NAME REGEXP.
func cmdAwait(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await name regexp")
	}
	serviceOf(ts, args[0]).await(ts, args[0], args[1])
}

func serviceOf(ts *testscript.TestScript, name string) *service {
	s := ts.Value(servicesKey{}).(services)[name]
	if s == nil {
		ts.Fatalf("%s was not started", name)
	}
	return s
}

func (s *service) await(ts *testscript.TestScript, name, pattern string) {
	re, err := regexp.Compile("(?m)" + pattern)
	ts.Check(err)
	late := time.After(patience)
	for {
		text, grown := s.out.read()
		if m := re.FindStringSubmatch(text); m != nil {
			for i, group := range re.SubexpNames() {
				if group != "" {
					ts.Setenv(group, m[i])
				}
			}
			return
		}
		select {
		case <-grown:
		case <-s.exited:
			if text, _ := s.out.read(); re.FindString(text) == "" {
				ts.Fatalf("%s ended (%v) without printing %q; it printed:\n%s", name, s.err, pattern, text)
			}
		case <-late:
			ts.Fatalf("%s did not print %q in %s; it printed:\n%s", name, pattern, patience, text)
		}
	}
}

// cmdEnd ends a process by SIGTERM, or by the given signal, and waits for it:
// end NAME [INT|TERM|KILL]. It must end with status 0, except by KILL; with
// "!" it must not. What it printed is matched by "stdout".
func cmdEnd(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL}
	name, sig := args[0], "TERM"
	if len(args) > 1 {
		sig = args[1]
	}
	s := serviceOf(ts, name)
	ts.Check(s.cmd.Process.Signal(signals[sig]))
	select {
	case <-s.exited:
	case <-time.After(patience):
		text, _ := s.out.read()
		ts.Fatalf("%s did not end in %s; it printed:\n%s", name, patience, text)
	}
	text, _ := s.out.read()
	fmt.Fprint(ts.Stdout(), text)
	delete(ts.Value(servicesKey{}).(services), name)
	if sig != "KILL" && (s.err != nil) != neg {
		ts.Fatalf("%s ended with %v; it printed:\n%s", name, s.err, text)
	}
}

// cmdSignal sends a signal and does not wait: signal NAME INT|TERM.
func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	sig := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM}[args[1]]
	ts.Check(serviceOf(ts, args[0]).cmd.Process.Signal(sig))
}

// cmdHTTP sends a request and prints status, headers and body: http [-until
// WHAT DURATION] [-H 'Name: value']… [-d BODY] METHOD URL. With -until it is
// sent again until it is answered with that status, or with that text.
func cmdHTTP(ts *testscript.TestScript, neg bool, args []string) {
	var header []string
	var body, until string
	var within time.Duration
	for len(args) > 2 && strings.HasPrefix(args[0], "-") {
		switch args[0] {
		case "-H":
			header = append(header, args[1])
		case "-d":
			body = args[1]
		case "-until":
			d, err := time.ParseDuration(args[2])
			ts.Check(err)
			until, within, args = args[1], d, args[1:]
		}
		args = args[2:]
	}
	if neg || len(args) != 2 {
		ts.Fatalf("usage: http [-until what duration] [-H header]… [-d body] method url")
	}
	start := time.Now()
	for {
		status, text := roundTrip(ts, args[0], args[1], header, body)
		if until == "" || strconv.Itoa(status) == until || len(until) > 3 && strings.Contains(text, until) {
			fmt.Fprint(ts.Stdout(), text)
			return
		}
		if time.Since(start) > within {
			ts.Fatalf("%s %s was not answered %q within %s; the last answer:\n%s", args[0], args[1], until, within, text)
		}
		time.Sleep(50 * time.Millisecond) // to ask less often, not to wait for anything
	}
}

func roundTrip(ts *testscript.TestScript, method, url string, header []string, body string) (int, string) {
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	ts.Check(err)
	if body != "" {
		r.Header.Set("Content-Type", "application/scim+json")
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ":")
		r.Header.Add(name, strings.TrimSpace(value))
	}
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		return 0, "no answer: " + err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	ts.Check(err)
	var out strings.Builder
	fmt.Fprintf(&out, "HTTP %d\n", resp.StatusCode)
	for _, name := range []string{"Allow", "Content-Type", "Etag", "Location", "Retry-After", "Www-Authenticate"} {
		if v := resp.Header.Get(name); v != "" {
			fmt.Fprintf(&out, "%s: %s\n", name, v)
		}
	}
	fmt.Fprintf(&out, "\n%s\n", b)
	return resp.StatusCode, out.String()
}

// cmdJSON sets a variable to a part of the JSON that was printed last: json
// NAME PATH, where PATH is like Resources.0.id.
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: json name path")
	}
	text := ts.ReadFile("stdout")
	start := strings.IndexAny(text, "{[")
	if start < 0 {
		ts.Fatalf("no JSON was printed:\n%s", text)
	}
	var v any
	ts.Check(json.Unmarshal([]byte(text[start:]), &v))
	for key := range strings.SplitSeq(args[1], ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(at) {
				ts.Fatalf("%s: no element %q in a list of %d", args[1], key, len(at))
			}
			v = at[i]
		default:
			v = nil
		}
	}
	if v == nil {
		ts.Fatalf("%s: not in\n%s", args[1], text)
	}
	ts.Setenv(args[0], fmt.Sprint(v))
}

// cmdColumns checks that what was printed last fits a terminal: columns WIDTH.
func cmdColumns(ts *testscript.TestScript, neg bool, args []string) {
	width, err := strconv.Atoi(args[0])
	ts.Check(err)
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > width && !strings.Contains(line, "curl ") {
			ts.Fatalf("a line has %d columns: %s", n, line)
		}
	}
}

// cmdOccupy listens on a free port until the script ends: occupy NAME sets
// the variable to its address.
func cmdOccupy(ts *testscript.TestScript, neg bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
	ts.Setenv(args[0], l.Addr().String())
}

// cmdTokenEnv sets a variable to the header that carries the token in a file:
// tokenenv NAME FILE.
func cmdTokenEnv(ts *testscript.TestScript, neg bool, args []string) {
	ts.Setenv(args[0], "Authorization: Bearer "+strings.TrimSpace(ts.ReadFile(args[1])))
}

// cmdTokenID sets a variable to the id of the token in a file, found by its
// hint in the list that was printed last: tokenid NAME FILE.
func cmdTokenID(ts *testscript.TestScript, neg bool, args []string) {
	hint := ts.ReadFile(args[1])[:9] + "…"
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		if strings.Contains(line, hint) {
			ts.Setenv(args[0], strings.Fields(line)[0])
			return
		}
	}
	ts.Fatalf("no token with the hint %s is listed", hint)
}

// cmdStatus runs a program that must end with the given status: status N
// PROGRAM ARGS….
func cmdStatus(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("%s ended with status %d, want %s", args[1], got, args[0])
	}
}
