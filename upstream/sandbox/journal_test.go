package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

func TestDataFileKeepsEverything(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sandbox.data")
	w := newWorld(t, Options{DataFile: file, Users: 3})
	a := w.join(acme, "jamie@example.com", 113, 114)
	gone := w.invite(acme, "gone@example.com", 113)
	w.do(acme, "DELETE", invitePath(gone.InviteID), "").is(200, "")
	w.do(acme, "POST", userPath(a)+"/deactivate", `{"organization_ids":[113]}`).is(200, "")
	w.do(acme, "POST", userPath(a)+"/password_reset", `{}`).is(200, "")
	token := w.token("acme")

	// the file is copied while it is open, as a killed process leaves it, with half a line behind
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, tail := range map[string]string{"complete": "", "cut off": `[{"Seq":99,"At":"2026-`} {
		t.Run(name, func(t *testing.T) {
			again := filepath.Join(t.TempDir(), "copy")
			if err := os.WriteFile(again, append(b[:len(b):len(b)], tail...), 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 { // twice: what was written after the repair is read as well
				n := newWorld(t, Options{DataFile: again})
				equal(t, "state", n.State(), w.State())
				equal(t, "ledger", n.Ledger(), w.Ledger())
				equal(t, "outbox", n.Outbox(), w.Outbox())
				n.do(token, "GET", userPath(a), "").is(200, "")
				r := n.invite(acme, "later@example.com", 113)
				if r.UserID <= gone.UserID {
					t.Errorf("account id %d was used before", r.UserID)
				}
				n.do(acme, "DELETE", invitePath(r.InviteID), "").is(200, "")
				if err := n.Reset(); err != nil {
					t.Fatal(err)
				}
				equal(t, "accounts after reset", len(n.State().Accounts), 3)
				if err := n.Close(); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(again, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestResetIsKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sandbox.data")
	w := newWorld(t, Options{DataFile: file, Users: 3})
	w.invite(acme, "before@example.com", 113)
	if err := w.Reset(); err != nil {
		t.Fatal(err)
	}
	w.invite(acme, "after@example.com", 113)
	n := newWorld(t, Options{DataFile: file})
	equal(t, "state", n.State(), w.State())
	equal(t, "ledger", len(n.Ledger()), 1)
	left, err := filepath.Glob(file + ".new-*")
	if err != nil || len(left) > 0 {
		t.Errorf("temporary files: %v, %v", left, err)
	}
}

func TestDamagedDataFile(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"empty": "", "another file": "hello\n", "another version": `{"Sandbox":9,"Secret":"","Seeds":0}` + "\n",
		"seeds missing": `{"Sandbox":1,"Secret":"","Seeds":2}` + "\n",
		"a broken line": `{"Sandbox":1,"Secret":"","Seeds":0}` + "\n[{\"Seq\":}]\n[]\n",
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(Options{DataFile: file}); err == nil || !strings.Contains(err.Error(), "remove") {
			t.Errorf("%s: got %v, want an error that names the remedy", name, err)
		}
		if b, err := os.ReadFile(file); err != nil || string(b) != content {
			t.Errorf("%s: the file was changed to %q, %v", name, b, err)
		}
	}
}

func TestUnwritableDataFileStopsTheSandbox(t *testing.T) {
	w := newWorld(t, Options{DataFile: filepath.Join(t.TempDir(), "sandbox.data")})
	readOnly, err := os.Open(w.opts.DataFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.journal.file.Close(); err != nil {
		t.Fatal(err)
	}
	w.journal.file = readOnly
	w.do(acme, "POST", "/users", `{"email":"a@example.com"}`).is(500, "internal_error")
	w.do(acme, "POST", "/users", `{"email":"b@example.com"}`).is(500, "internal_error")
}

const childArgument = "sandbox-child"

// runChild is the process that TestKilledProcess kills: a sandbox on a data file that prints its address.
func runChild(file string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(l.Addr())
	if err := Serve(context.Background(), Options{DataFile: file}, l); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestKilledProcess kills a sandbox under load: whatever it answered is there afterwards.
func TestKilledProcess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sandbox.data")
	child := exec.Command(os.Args[0], childArgument, file)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	defer client.CloseIdleConnections()

	acknowledged := make(chan string, 1000)
	failed := make(chan error, 4)
	for worker := range 4 {
		go func() {
			for n := 0; ; n++ {
				email := fmt.Sprintf("w%d-%d@example.com", worker, n)
				body := fmt.Sprintf(`{"Users":[{"Email":%q}],"OrganizationIds":[113]}`, email)
				status, _, answer, err := fetch(t, client, request(t, t.Context(), "POST", "http://"+strings.TrimSpace(address)+"/platform/invites", body))
				if err != nil || status != 200 {
					failed <- err
					return
				}
				var results struct {
					Results []struct{ Status string }
				}
				if err := json.Unmarshal([]byte(answer), &results); err != nil || results.Results[0].Status != "invited" {
					t.Errorf("answer %q: %v", answer, err)
				}
				acknowledged <- email
			}
		}()
	}
	known := map[string]bool{}
	for len(known) < 200 {
		known[<-acknowledged] = true
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for workers := 4; workers > 0; {
		select {
		case email := <-acknowledged:
			known[email] = true
		case err := <-failed:
			if err == nil {
				t.Error("a call was refused before the process died")
			}
			workers--
		}
	}
	var exit *exec.ExitError
	if err := child.Wait(); !errors.As(err, &exit) {
		t.Fatalf("child: %v", err)
	}
	for len(acknowledged) > 0 {
		known[<-acknowledged] = true
	}
	w := newWorld(t, Options{DataFile: file})
	state := w.State()
	for email := range known {
		if state.Account(email) == nil || len(state.InvitesOf(email)) != 1 {
			t.Errorf("%s was acknowledged and is lost", email)
		}
	}
	equal(t, "entries", len(w.Ledger()), len(state.Invites))
}
