package upstream

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// wire makes a client with a transport of its own over a server with the handler.
func wire(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	c := newTestClient(t, nil, func(o *Options) {
		o.BaseURL, o.MaxAttempts, o.MaxBodyBytes, o.AttemptTimeout = server.URL, 1, 64<<10, 30*time.Second
	})
	t.Cleanup(c.Close)
	return c
}

func TestHostileAnswersOnTheWire(t *testing.T) {
	good := accountJSON(7, "a@x.test", activeIn113)
	var bomb bytes.Buffer // 2 KB that become 2 MB
	z := gzip.NewWriter(&bomb)
	if _, err := io.Copy(z, io.LimitReader(zeros{}, 2<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		h    http.HandlerFunc
		want string
	}{
		{"gzip bomb", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		}, "longer than 65536 bytes"},
		{"a body without end", func(w http.ResponseWriter, r *http.Request) {
			for {
				if _, err := w.Write(bytes.Repeat([]byte(" "), 4096)); err != nil {
					return
				}
			}
		}, "longer than 65536 bytes"},
		{"a length that lies", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(good)+100))
			_, _ = io.WriteString(w, good)
		}, "unexpected EOF"},
		{"a connection that breaks", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, good[:20])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, "unexpected EOF"},
		{"headers without end", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
		}, "exceeded"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := wire(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				tt.h(w, r)
			})
			_, err := c.GetUser(t.Context(), 7)
			if KindOf(err) != Unavailable || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("read: %v, want unavailable with %q", err, tt.want)
			}
			if err := byEffect["create_user"](t.Context(), c); !IsAmbiguous(err) {
				t.Errorf("write: %v, want ambiguous", err)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestRedirectsAreNotFollowed(t *testing.T) {
	followed := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed = true }))
	defer other.Close()
	c := wire(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	})
	_, err := c.GetUser(t.Context(), 7)
	if KindOf(err) != Protocol || followed {
		t.Errorf("error %v, followed %t", err, followed)
	}
	if strings.Contains(err.Error(), other.URL) {
		t.Errorf("the error shows where the answer pointed: %v", err)
	}
}

func TestNoProxyFromTheEnvironment(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	if newTransport(1).Proxy != nil {
		t.Error("the transport has a proxy")
	}
}

func TestWhatNeverLeftIsUnavailable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	tests := []struct {
		name string
		ctx  context.Context
		base string
	}{
		{"refused connection", t.Context(), "http://" + address},
		{"unknown host", t.Context(), "http://upstream.invalid"},
		{"not TLS", t.Context(), "https://" + plainServer(t)},
		{"context that ended before", ended, "http://" + address},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newTestClient(t, nil, func(o *Options) { o.BaseURL, o.MaxAttempts = tt.base, 1 })
			defer c.Close()
			if err := byEffect["create_user"](tt.ctx, c); KindOf(err) != Unavailable {
				t.Errorf("error = %v, want unavailable", err)
			}
		})
	}
}

func plainServer(t *testing.T) string {
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func TestWhatWasSentIsAmbiguous(t *testing.T) {
	arrived := make(chan struct{})
	release := make(chan struct{})
	c := wire(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
	})
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	failed := make(chan error)
	go func() { failed <- byEffect["create_user"](ctx, c) }()
	<-arrived
	cancel()
	if err := <-failed; !IsAmbiguous(err) || !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want ambiguous and why", err)
	}
}
