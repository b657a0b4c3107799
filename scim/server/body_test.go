package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestBodies(t *testing.T) {
	deep := func(n int) string {
		return `{"userName":"ada","x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
	}
	tests := []struct {
		name, body string
		status     int
		scimType   string
		headers    []string
	}{
		{"null", `null`, 400, "invalidSyntax", nil},
		{"array", `[]`, 400, "invalidSyntax", nil},
		{"string", `"x"`, 400, "invalidSyntax", nil},
		{"number", `42`, 400, "invalidSyntax", nil},
		{"blank", "  \r\n", 400, "invalidSyntax", nil},
		{"truncated", adaBody[:len(adaBody)-1], 400, "invalidSyntax", nil},
		{"two objects", adaBody + `{}`, 400, "invalidSyntax", nil},
		{"trailing garbage", adaBody + ` x`, 400, "invalidSyntax", nil},
		{"byte order mark", "\ufeff" + adaBody, 201, "", nil},
		{"UTF-16", "\xff\xfe{\x00}\x00", 400, "invalidSyntax", nil},
		{"invalid UTF-8", `{"userName":"a` + "\xff" + `"}`, 400, "invalidSyntax", nil},
		{"lone surrogate", `{"userName":"\ud800"}`, 400, "invalidSyntax", nil},
		{"duplicate key", `{"userName":"a","userName":"b"}`, 400, "invalidSyntax", nil},
		{"other case", `{"username":"ada"}`, 201, "", nil},
		{"depth 33", deep(33), 400, "invalidSyntax", nil},
		{"depth 10 001", deep(10_001), 400, "invalidSyntax", nil},
		{"depth 500 000", deep(500_000), 400, "invalidSyntax", nil},
		{"exactly the limit", `{"userName":"ada"}` + strings.Repeat(" ", 1<<20-18), 201, "", nil},
		{"one more", `{"userName":"ada"}` + strings.Repeat(" ", 1<<20-17), 413, "", nil},
		{"100 000 members", `{"userName":"ada"` + manyMembers(50_000) + `}`, 400, "invalidSyntax", nil},
		{"long value", `{"userName":"` + strings.Repeat("a", 1_000_000) + `"}`, 400, "invalidValue", nil},
		{"gzip", adaBody, 415, "", []string{"Content-Encoding: gzip"}},
		{"identity", adaBody, 201, "", []string{"Content-Encoding: identity"}},
		{"text", adaBody, 415, "", []string{"Content-Type: text/plain"}},
		{"xml", adaBody, 415, "", []string{"Content-Type: application/xml"}},
		{"multipart", adaBody, 415, "", []string{"Content-Type: multipart/form-data; boundary=x"}},
		{"malformed type", adaBody, 415, "", []string{"Content-Type: application/json; ;"}},
		{"no type", adaBody, 201, "", []string{"-Content-Type"}},
		{"json", adaBody, 201, "", []string{"Content-Type: application/json"}},
		{"json utf-8", adaBody, 201, "", []string{"Content-Type: application/json; charset=UTF-8"}},
		{"as Okta sends", adaBody, 201, "", []string{"Content-Type: application/scim+json; charset=utf-8", "Accept: application/scim+json", "Accept-Charset: utf-8"}},
		{"odd case", adaBody, 201, "", []string{`Content-Type: Application/SCIM+JSON;charset="utf-8"`}},
		{"latin1", adaBody, 415, "", []string{"Content-Type: application/json; charset=latin1"}},
		{"utf-16", adaBody, 415, "", []string{"Content-Type: application/scim+json; charset=utf-16"}},
		{"html only", adaBody, 201, "", []string{"Accept: text/html"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, nil)
			want(t, r.do(t, request("POST", "/scim/v2/Users", tt.body, tt.headers...)), tt.status, tt.scimType)
			if calls := r.users.callCount(); (calls == 1) != (tt.status == 201) {
				t.Errorf("%d handler calls", calls)
			}
			r = newRig(t, nil).with(t, 1)
			req := request("POST", "/scim/v2/Users", strings.ReplaceAll(tt.body, "ada", "eve"), tt.headers...)
			req.Body, req.ContentLength = io.NopCloser(req.Body), -1
			want(t, r.do(t, req), tt.status, tt.scimType)
		})
	}
	for _, m := range []string{"POST", "PUT", "PATCH"} {
		r := newRig(t, nil).with(t, 1)
		path := map[string]string{"POST": "/scim/v2/Users"}[m]
		if path == "" {
			path = "/scim/v2/Users/user-1"
		}
		want(t, r.do(t, request(m, path, "")), 400, "invalidSyntax")
		empty := request(m, path, "")
		empty.Body, empty.ContentLength = io.NopCloser(strings.NewReader("")), -1
		want(t, r.do(t, empty), 400, "invalidSyntax")
		missing := request(m, path, "")
		missing.Body = nil
		want(t, r.do(t, missing), 400, "invalidSyntax")
		two := request(m, path, adaBody)
		two.Header.Add("Content-Type", "text/plain")
		want(t, r.do(t, two), 415, "")
	}
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"x%d":1`, i)
	}
	return b.String()
}

func TestBodiesOfOtherMethodsAreNotRead(t *testing.T) {
	r := newRig(t, nil).with(t, 1)
	for _, m := range []string{"GET", "DELETE"} {
		req := request(m, "/scim/v2/Users/user-1", "x", "Content-Type: text/plain")
		req.Body = io.NopCloser(unreadable{t})
		r.do(t, req)
	}
	for _, headers := range [][]string{{"-Authorization"}, {"Authorization: Bearer wrong"}} {
		req := request("POST", "/scim/v2/Users", "x", headers...)
		req.Body = io.NopCloser(unreadable{t})
		want(t, r.do(t, req), 401, "")
	}
	req := request("POST", "/scim/v2/Users", "x")
	req.Body, req.ContentLength = io.NopCloser(unreadable{t}), 1<<20+1
	want(t, r.do(t, req), 413, "")
}

type unreadable struct{ tb testing.TB }

func (u unreadable) Read([]byte) (int, error) {
	u.tb.Error("the body was read")
	return 0, io.EOF
}

// dial sends bytes to a real server around r and returns the answer.
func dial(t *testing.T, addr, head string, body io.Reader) (*http.Response, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, head); err != nil {
		t.Fatal(err)
	}
	if body != nil {
		// The server may close before it has read everything.
		go io.Copy(conn, body)
	}
	br := bufio.NewReader(conn)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp, br
}

const wireHead = "POST /scim/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + goodToken + "\r\nContent-Type: application/scim+json\r\n"

// zeros is an endless chunked body; it counts what was taken from it.
type zeros struct{ n atomic.Int64 }

func (z *zeros) Read(p []byte) (int, error) {
	chunk := "1000\r\n" + strings.Repeat("0", 0x1000) + "\r\n"
	n := copy(p[:min(len(p), len(chunk))], chunk)
	if n < len(chunk) {
		return 0, io.ErrShortBuffer
	}
	z.n.Add(int64(n))
	return n, nil
}

func TestOversizedBodiesOnTheWire(t *testing.T) {
	r := newRig(t, nil)
	srv := httptest.NewServer(r.handler)
	defer srv.Close()
	addr := srv.Listener.Addr().String()

	t.Run("announced, with Expect", func(t *testing.T) {
		resp, _ := dial(t, addr, wireHead+"Content-Length: 1073741824\r\nExpect: 100-continue\r\n\r\n", nil)
		if resp.StatusCode != 413 || !resp.Close {
			t.Errorf("%d close=%v", resp.StatusCode, resp.Close)
		}
	})
	t.Run("chunked without end", func(t *testing.T) {
		var body zeros
		resp, br := dial(t, addr, wireHead+"Transfer-Encoding: chunked\r\n\r\n", &body)
		if resp.StatusCode != 413 || !resp.Close {
			t.Errorf("%d close=%v", resp.StatusCode, resp.Close)
		}
		io.Copy(io.Discard, resp.Body)
		if _, err := br.ReadByte(); err == nil {
			t.Error("the connection was kept")
		}
	})
	t.Run("both lengths", func(t *testing.T) {
		resp, _ := dial(t, addr, wireHead+"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", nil)
		if resp.StatusCode != 400 {
			t.Errorf("%d", resp.StatusCode)
		}
	})
	t.Run("shorter than announced", func(t *testing.T) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, wireHead+"Content-Length: 100\r\n\r\n{")
		conn.(*net.TCPConn).CloseWrite()
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 400 {
			t.Errorf("%d", resp.StatusCode)
		}
	})
	t.Run("two requests on one connection", func(t *testing.T) {
		one := fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(adaBody), adaBody)
		resp, br := dial(t, addr, wireHead+one+wireHead+one, nil)
		io.Copy(io.Discard, resp.Body)
		second, err := http.ReadResponse(br, nil)
		if err != nil || resp.StatusCode != 201 || second.StatusCode != 409 {
			t.Errorf("%d, then %v %v", resp.StatusCode, second, err)
		}
	})
	if n := r.users.callCount(); n != 2 {
		t.Errorf("%d handler calls", n)
	}
}

// pipes is a listener of in-memory connections, whose deadlines follow the
// bubble's clock.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func TestSlowBodiesAreCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		l := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		srv := &http.Server{Handler: r.handler}
		go srv.Serve(l)
		client, conn := net.Pipe()
		l.conns <- conn
		start := time.Now()
		written := make(chan struct{})
		go func() {
			defer close(written)
			io.WriteString(client, wireHead+"Content-Length: 100\r\n\r\n")
			for range 100 {
				if _, err := io.WriteString(client, " "); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		resp, err := http.ReadResponse(bufio.NewReader(client), nil)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); resp.StatusCode != 408 || took != 15*time.Second || !resp.Close {
			t.Errorf("%d after %v, close=%v", resp.StatusCode, took, resp.Close)
		}
		client.Close()
		srv.Close()
		<-written
		synctest.Wait()
	})
}

// A body's read deadline must not outlive the body.
func TestWorkMayTakeLongerThanABody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.users.before = slow(20 * time.Second)
		l := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			r.handler.ServeHTTP(w, req)
			if err := req.Context().Err(); err != nil {
				t.Errorf("the connection was given up while the work went on: %v", err)
			}
		})}
		go srv.Serve(l)
		client, conn := net.Pipe()
		l.conns <- conn
		go fmt.Fprintf(client, "%sContent-Length: %d\r\n\r\n%s", wireHead, len(adaBody), adaBody)
		resp, err := http.ReadResponse(bufio.NewReader(client), nil)
		if err != nil || resp.StatusCode != 201 {
			t.Errorf("%v %v", resp, err)
		}
		client.Close()
		srv.Close()
		synctest.Wait()
	})
}
