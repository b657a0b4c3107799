package bridge_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// people is how many persons the benchmarks of single requests run beside.
const people = 20_000

// call is one request of a benchmark: n counts up from 0.
type call func(n int) (method, target, body string)

// BenchmarkRequests measures whole requests over loopback, through the bridge
// and through a bare reverse proxy to the same upstream. The processor time of
// the process covers client, bridge and sandbox alike, so what compares is
// (bridge − upstream) : (proxy − upstream).
func BenchmarkRequests(b *testing.B) {
	s := bridgetest.Start(b, bridgetest.Config{Sandbox: sandbox.Options{Users: people}, Client: "okta"})
	ids, accounts := members(b, s, 256)
	id, account := ids[0], accounts[0]
	up, err := url.Parse(s.UpstreamURL)
	if err != nil {
		b.Fatal(err)
	}
	proxy := httptest.NewServer(httputil.NewSingleHostReverseProxy(up))
	defer proxy.Close()

	get := func(target string) call { return func(int) (string, string, string) { return "GET", target, "" } }
	var created atomic.Int64
	run := func(name string, base, token string, c call) {
		b.Run(name, func(b *testing.B) { measure(b, base, token, c) })
	}
	native := map[string]call{
		"get":    get(fmt.Sprintf("/users/%d", account)),
		"filter": get("/users/email/bench0@example.com"),
		"list":   get("/platform/users?organization_id=113&organization_id=114&page_size=100"),
		"patch": func(n int) (string, string, string) {
			return "PUT", fmt.Sprintf("/users/%d", accounts[n%len(accounts)]), fmt.Sprintf(`{"first_name":"B%d"}`, n)
		},
	}
	scim := map[string]call{
		"get":    get("/Users/" + id),
		"filter": get("/Users?filter=" + url.QueryEscape(`userName eq "bench0@example.com"`)),
		"miss":   get("/Users?filter=" + url.QueryEscape(`userName eq "nobody@example.com"`)),
		"list":   get("/Users?startIndex=1&count=100"),
		"post": func(int) (string, string, string) {
			return "POST", "/Users", bridgetest.User(fmt.Sprintf("p%d@example.com", created.Add(1)))
		},
		"patch": func(n int) (string, string, string) {
			return "PATCH", "/Users/" + ids[n%len(ids)], bridgetest.PatchOp(fmt.Sprintf(`{"op":"replace","path":"name.givenName","value":"B%d"}`, n))
		},
	}
	for _, name := range []string{"get", "filter", "miss", "list", "patch", "post"} {
		if c, ok := native[name]; ok {
			run(name+"/upstream", s.UpstreamURL, "sak_acme", c)
			run(name+"/proxy", proxy.URL, "sak_acme", c)
		}
		run(name+"/bridge", s.Base, s.Token, scim[name])
	}
}

// members provisions n people who have accepted, and returns their SCIM ids and
// accounts.
func members(b *testing.B, s *bridgetest.Stack, n int) (ids []string, accounts []int64) {
	b.Helper()
	byEmail := map[string]int64{}
	for i := range n {
		name := fmt.Sprintf("bench%d@example.com", i)
		ids = append(ids, s.Must(201, "POST", "/Users", bridgetest.User(name)).ID())
		if err := s.Sandbox.Accept(name); err != nil {
			b.Fatal(err)
		}
	}
	for _, a := range s.Sandbox.State().Accounts {
		byEmail[a.Email] = a.ID
	}
	for i, id := range ids {
		s.Must(200, "GET", "/Users/"+id, "")
		accounts = append(accounts, byEmail[fmt.Sprintf("bench%d@example.com", i)])
	}
	return ids, accounts
}

// measure sends the requests from 32 connections and reports the processor
// time of the whole process per request.
func measure(b *testing.B, base, token string, c call) {
	const connections = 32
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	b.ReportAllocs()
	var next atomic.Int64
	begin := cpu(b)
	b.ResetTimer()
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			for n := int(next.Add(1)); n <= b.N; n = int(next.Add(1)) {
				method, target, body := c(n)
				if err := send(client, method, base+target, token, body); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(cpu(b)-begin)/float64(b.N), "cpu-ns/op")
}

func send(client *http.Client, method, target, token, body string) error {
	req, err := http.NewRequestWithContext(context.Background(), method, target, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: status %d: %s", method, target, res.StatusCode, text)
	}
	return err
}

// BenchmarkOnboarding brings 5,000 people in from 100 connections, each looked
// for before it is created as clients do, over an upstream that takes 80 ms a
// call and allows 20 calls a second. Run it with -benchtime=1x.
func BenchmarkOnboarding(b *testing.B) {
	const newcomers, connections = 5000, 100
	for range b.N {
		s := bridgetest.Start(b, bridgetest.Config{
			Client: "okta", Sandbox: sandbox.Options{Latency: 80 * time.Millisecond, Rate: 20},
			Tenant: []string{"  rate: 20", "  burst: 20"},
		})
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
		before := s.Sandbox.Stats()
		b.ResetTimer()
		start := time.Now()
		var next atomic.Int64
		var wg sync.WaitGroup
		for range connections {
			wg.Go(func() {
				for n := next.Add(1); n <= newcomers; n = next.Add(1) {
					name := fmt.Sprintf("new%d@example.com", n)
					miss := "/Users?filter=" + url.QueryEscape(fmt.Sprintf("userName eq %q", name))
					if err := onboard(client, s, miss, name); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		b.StopTimer()
		took := time.Since(start).Seconds()
		after := s.Sandbox.Stats()
		var calls int64
		for op, n := range after.Calls {
			calls += int64(n) - int64(before.Calls[op])
		}
		b.ReportMetric(newcomers/took, "people/s")
		b.ReportMetric(float64(calls), "upstream-calls")
		b.ReportMetric(float64(len(s.Sandbox.Outbox())), "mails")
		client.CloseIdleConnections()
	}
}

// onboard looks for a person and creates it.
func onboard(client *http.Client, s *bridgetest.Stack, miss, name string) error {
	if err := send(client, "GET", s.Base+miss, s.Token, ""); err != nil {
		return err
	}
	return send(client, "POST", s.Base+"/Users", s.Token, bridgetest.User(name))
}
