package bridge_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// groupOf is the body of a group with members.
func groupOf(name string, ids []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":%q,"members":[`, name)
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"value":%q}`, id)
	}
	b.WriteString("]}")
	return b.String()
}

// everybody lists the SCIM ids of the directory.
func everybody(b *testing.B, s *bridgetest.Stack) []string {
	b.Helper()
	rows, err := s.Store.Persons(b.Context(), "acme", store.Window{Limit: 200_000})
	if err != nil {
		b.Fatal(err)
	}
	ids := make([]string, len(rows))
	for i, p := range rows {
		ids[i] = p.ID
	}
	return ids
}

// BenchmarkGroups measures what changes and reads of groups cost by the number
// of members: one member added and removed again, a look-up and a list without
// members, each over loopback through the whole bridge.
func BenchmarkGroups(b *testing.B) {
	const most = 100_000
	s := bridgetest.Start(b, bridgetest.Config{Sandbox: sandbox.Options{Users: most}, Client: "entra"})
	ids := everybody(b, s)
	for _, size := range []int{1000, 10_000, most} {
		id := s.Must(201, "POST", "/Groups", groupOf(fmt.Sprintf("G%d", size), ids[:1])).ID()
		for from := 0; from < size; from += 10_000 {
			s.Must(200, "PATCH", "/Groups/"+id+"?attributes=displayName", bridgetest.PatchOp(fmt.Sprintf(`{"op":"add","path":"members","value":%s}`, list(ids[from:min(from+10_000, size)]))))
		}
		one := ids[len(ids)-1]
		alone := func(n int) (string, string, string) {
			if n%2 == 0 {
				return "PATCH", "/Groups/" + id, bridgetest.PatchOp(fmt.Sprintf(`{"op":"Remove","path":"members","value":%s}`, list([]string{one})))
			}
			return "PATCH", "/Groups/" + id, bridgetest.PatchOp(fmt.Sprintf(`{"op":"Add","path":"members","value":%s}`, list([]string{one})))
		}
		name := fmt.Sprintf("members=%d", size)
		b.Run("one/"+name, func(b *testing.B) { inTurn(b, s, alone) })
		get := func(target string) call { return func(int) (string, string, string) { return "GET", target, "" } }
		b.Run("get without members/"+name, func(b *testing.B) {
			inTurn(b, s, get("/Groups/"+id+"?excludedAttributes=members"))
		})
		b.Run("list without members/"+name, func(b *testing.B) {
			inTurn(b, s, get("/Groups?excludedAttributes=members&filter=displayName%20eq%20%22G"+fmt.Sprint(size)+"%22"))
		})
	}
}

// inTurn sends the requests one after the other: changes of one group wait for
// each other anyhow.
func inTurn(b *testing.B, s *bridgetest.Stack, c call) {
	client := &http.Client{}
	defer client.CloseIdleConnections()
	b.ReportAllocs()
	begin := cpu(b)
	b.ResetTimer()
	for n := range b.N {
		method, target, body := c(n)
		if err := send(client, method, s.Base+target, s.Token, body); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(cpu(b)-begin)/float64(b.N), "cpu-ns/op")
}

// list is a value of members.
func list(ids []string) string {
	text := groupOf("", ids)
	from := strings.Index(text, `"members":`) + len(`"members":`)
	return text[from : len(text)-1]
}

// BenchmarkBigGroup makes a group of 10,000 members of a body, reads it whole,
// and says how much the heap grew by a request at the most.
func BenchmarkBigGroup(b *testing.B) {
	const size = 10_000
	s := bridgetest.Start(b, bridgetest.Config{Sandbox: sandbox.Options{Users: size}})
	ids := everybody(b, s)[:size]
	client := &http.Client{}
	defer client.CloseIdleConnections()
	b.ReportAllocs()
	var grown uint64
	for n := range b.N {
		body := groupOf(fmt.Sprintf("Big %d", n), ids)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		if err := send(client, "POST", s.Base+"/Groups", s.Token, body); err != nil {
			b.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		grown = max(grown, after.HeapInuse-min(after.HeapInuse, before.HeapInuse))
	}
	b.ReportMetric(float64(grown)/(1<<20), "grown-MiB")
}
