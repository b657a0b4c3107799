package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sharearefund/scim-bridge/scim"
)

// endless is a GroupHandler whose one group has n members, made as they are
// read.
type endless struct {
	scim.GroupHandler
	n int
	// member runs before each member, where it is set.
	member func(ctx context.Context, i int) error
}

func (e endless) view(ctx context.Context) *scim.GroupView {
	v := &scim.GroupView{Group: scim.Group{ID: "group-1", DisplayName: "Everybody", Meta: scim.Meta{Version: `W/"1"`}}}
	v.Members = func(yield func(scim.Member, error) bool) {
		var id [24]byte
		for i := range e.n {
			if e.member != nil {
				if err := e.member(ctx, i); err != nil {
					yield(scim.Member{}, err)
					return
				}
			}
			text := string(fmt.Appendf(id[:0], "user-%012d", i))
			if !yield(scim.Member{Value: text, Type: "User", Display: "Somebody"}, nil) {
				return
			}
		}
	}
	return v
}

func (e endless) GetGroup(ctx context.Context, _ scim.Caller, _ string, _ bool) (*scim.GroupView, error) {
	return e.view(ctx), nil
}

func (e endless) ListGroups(ctx context.Context, _ scim.Caller, q scim.Query) (*scim.Page[scim.GroupView], error) {
	return &scim.Page[scim.GroupView]{Total: 2, Resources: []*scim.GroupView{e.view(ctx), e.view(ctx)}}, nil
}

func (e endless) CreateGroup(ctx context.Context, _ scim.Caller, _ *scim.Group, _ bool) (*scim.GroupView, error) {
	return e.view(ctx), nil
}

// serve is newRig behind a socket.
func serve(t *testing.T, change func(*Options)) (*rig, *http.Client, string) {
	t.Helper()
	r := newRig(t, change)
	srv := httptest.NewUnstartedServer(r.handler)
	srv.Config.ErrorLog = nil
	srv.Start()
	t.Cleanup(srv.Close)
	return r, srv.Client(), srv.URL
}

// fetch sends a request over the socket and reads the answer to its end.
func fetch(t *testing.T, client *http.Client, base, method, path, body string) (*http.Response, []byte, error) {
	t.Helper()
	req := request(method, path, body)
	out, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	out.Header = req.Header
	res, err := client.Do(out)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res, text, err
}

func TestLargeGroupsAreStreamed(t *testing.T) {
	t.Parallel()
	r, client, base := serve(t, func(o *Options) { o.Groups = endless{n: 2_000} })
	for path, groups := range map[string]int{"/scim/v2/Groups/group-1": 1, "/scim/v2/Groups": 2} {
		res, text, err := fetch(t, client, base, "GET", path, "")
		if err != nil || res.StatusCode != 200 || res.ContentLength != -1 {
			t.Errorf("%s: %d, length %d, %v", path, res.StatusCode, res.ContentLength, err)
		}
		if !json.Valid(text) || strings.Count(string(text), `"value":`) != groups*2_000 {
			t.Errorf("%s: %d bytes, %d members", path, len(text), strings.Count(string(text), `"value":`))
		}
		if res.Header.Get("Content-Type") != mediaType || res.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s: headers %v", path, res.Header)
		}
	}
	res, text, err := fetch(t, client, base, "POST", "/scim/v2/Groups", groupText(0))
	if err != nil || res.StatusCode != 201 || res.Header.Get("ETag") != `W/"1"` || !strings.HasSuffix(res.Header.Get("Location"), "/Groups/group-1") || !json.Valid(text) {
		t.Errorf("created: %d %v, %v", res.StatusCode, res.Header, err)
	}
	// The connection is as good as before.
	for range 3 {
		if res, text, err := fetch(t, client, base, "GET", "/scim/v2/Groups/group-1?attributes=id", ""); err != nil || res.ContentLength != int64(len(text)) {
			t.Errorf("%s, %v", text, err)
		}
	}
	for _, q := range r.observed {
		if q.Aborted || q.Status >= 300 {
			t.Errorf("observed %+v", q)
		}
	}
}

// TestACutListIsNoList: whatever ends the members early, the client sees an
// error instead of a shorter list.
func TestACutListIsNoList(t *testing.T) {
	t.Parallel()
	failAt := func(n int, fail func(context.Context) error) func(*Options) {
		return func(o *Options) {
			o.Groups = endless{n: 5_000, member: func(ctx context.Context, i int) error {
				if i == n {
					return fail(ctx)
				}
				return nil
			}}
		}
	}
	down := func(context.Context) error { return scim.Unavailable(time.Second, "the store is down") }
	for _, tt := range []struct {
		name     string
		change   func(*Options)
		status   int // when nothing was sent yet; 0: the connection is closed
		panicked bool
	}{
		{"an error at once", failAt(0, down), 503, false},
		{"an error before anything was sent", failAt(100, down), 503, false},
		{"an error in the middle", failAt(3_000, down), 0, false},
		{"another error in the middle", failAt(3_000, func(context.Context) error { return errors.New("secret") }), 0, false},
		{"a panic before anything was sent", failAt(100, func(context.Context) error { panic("x") }), 500, true},
		{"a panic in the middle", failAt(3_000, func(context.Context) error { panic("x") }), 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, path := range []string{"/scim/v2/Groups/group-1", "/scim/v2/Groups"} {
				r, client, base := serve(t, tt.change)
				res, text, err := fetch(t, client, base, "GET", path, "")
				if tt.status == 0 {
					if !errors.Is(err, io.ErrUnexpectedEOF) || res.StatusCode != 200 || json.Valid(text) {
						t.Errorf("%s: %d and %d bytes, %v", path, res.StatusCode, len(text), err)
					}
				} else if err != nil || res.StatusCode != tt.status || !json.Valid(text) {
					t.Errorf("%s: %d %s, %v", path, res.StatusCode, text, err)
				}
				r.mu.Lock()
				if len(r.observed) != 1 || r.observed[0].Aborted != (tt.status == 0) || r.observed[0].Panicked != tt.panicked {
					t.Errorf("%s: observed %+v", path, r.observed)
				}
				r.mu.Unlock()
				log := r.log()
				if r.requestLines() != 1 || !strings.Contains(log, `"level":"ERROR"`) || strings.Contains(log, `"aborted":true`) != (tt.status == 0) {
					t.Errorf("%s: log %s", path, log)
				}
			}
		})
	}
}

// slowWriter is a client that hangs up, or that time passes for.
type slowWriter struct {
	sink
	wrote func() error
}

func (s *slowWriter) Write(p []byte) (int, error) {
	if err := s.wrote(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// abort serves req and reports whether the connection is to be closed.
func abort(t *testing.T, r *rig, w http.ResponseWriter, req *http.Request) (aborted bool) {
	t.Helper()
	defer func() {
		if v := recover(); v != nil {
			if v != http.ErrAbortHandler {
				panic(v)
			}
			aborted = true
		}
	}()
	r.handler.ServeHTTP(w, req)
	return false
}

func TestStreamsEndInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.Groups = endless{n: 1 << 30} })
		start := time.Now()
		w := &slowWriter{sink: sink{header: http.Header{}}, wrote: func() error { time.Sleep(time.Second); return nil }}
		if !abort(t, r, w, request("GET", "/scim/v2/Groups/group-1", "")) {
			t.Error("the list has an end")
		}
		if took := time.Since(start); took < 25*time.Second || took > 30*time.Second {
			t.Errorf("it took %v", took)
		}
		if q := r.observed[0]; !q.Aborted || q.Status != 200 || q.Duration < 25*time.Second {
			t.Errorf("observed %+v", q)
		}
	})
}

func TestAClientThatHangsUpIsNoFailure(t *testing.T) {
	t.Parallel()
	made := 0
	r := newRig(t, func(o *Options) {
		o.Groups = endless{n: 1 << 30, member: func(context.Context, int) error { made++; return nil }}
	})
	w := &slowWriter{sink: sink{header: http.Header{}}, wrote: func() error { return errors.New("broken pipe") }}
	if !abort(t, r, w, request("GET", "/scim/v2/Groups/group-1", "")) {
		t.Error("the list was sent")
	}
	if made > 1_000 {
		t.Errorf("%d members were read for nobody", made)
	}
	if log := r.log(); !strings.Contains(log, `"level":"INFO"`) || r.requestLines() != 1 {
		t.Errorf("log %s", log)
	}
}

// TestStreamsHoldLittle reads a group of 100,000 members, whose list has 16 MB.
func TestStreamsHoldLittle(t *testing.T) {
	const members = 100_000
	largest, size, peak := 0, 0, uint64(0)
	r := newRig(t, func(o *Options) { o.Groups = endless{n: members} })
	w := &measuring{sink: sink{header: http.Header{}}, wrote: func(n int) {
		size += n
		largest = max(largest, n)
		if size>>20 != (size-n)>>20 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
	}}
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	r.handler.ServeHTTP(w, request("GET", "/scim/v2/Groups/group-1", ""))
	if size < 10<<20 || largest > 64<<10 {
		t.Errorf("%d bytes in parts of at most %d", size, largest)
	}
	if held := int64(peak) - int64(before.HeapAlloc); held > 1<<20 {
		t.Errorf("%d bytes were held for a list of %d", held, size)
	}
}

// measuring is a sink that tells how much is written at once.
type measuring struct {
	sink
	wrote func(n int)
}

func (m *measuring) Write(p []byte) (int, error) { m.wrote(len(p)); return len(p), nil }
