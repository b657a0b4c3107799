package scimbridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/sharearefund/scim-bridge"

// edge is one that must not be in the import graph, whatever lies between its
// ends. An end covers the packages below it, unless it ends in "$".
type edge struct{ from, to, because string }

var forbidden = []edge{
	{"schemas", "scim", "schemas are data: the protocol reads them, not the other way round"},
	{"scim", "mapping", "the protocol knows nothing of Share A Refund"},
	{"scim", "provision", "the protocol calls handlers through its own interface"},
	{"scim", "upstream", "the protocol must outlive this upstream"},
	{"scim", "cache", "the protocol keeps no state"},
	{"scim", "store", "the protocol keeps no state"},
	{"mapping", "provision", "decisions do not know who carries them out"},
	{"mapping", "upstream", "decisions are pure: no I/O within reach"},
	{"mapping", "store", "decisions are pure: no I/O within reach"},
	{"mapping", "cache", "decisions are pure: no I/O within reach"},
	{"upstream", "scim", "a client of the API is of use without SCIM"},
	{"upstream", "mapping", "a client of the API decides nothing"},
	{"upstream", "provision", "a client of the API decides nothing"},
	{"upstream", "store", "a client of the API keeps nothing"},
	{"upstream", "cache", "a client of the API keeps nothing"},
	{"upstream$", "upstream/sandbox", "a shared struct would hide a wrong JSON tag from both sides"},
	{"upstream/sandbox", "upstream$", "a shared struct would hide a wrong JSON tag from both sides"},
	{"cache", "store", "a cache is a hint: whoever reads it asks the store"},
	{"cache", "scim", "a cache holds ids, not resources"},
	{"store", "scim", "the store keeps documents without reading them"},
	{"store", "mapping", "the store keeps documents without reading them"},
	{"store", "upstream", "the store calls nobody"},
	{"store", "cache", "the store calls nobody"},
	{"provision", "scim/server", "provisioning serves any transport"},
	{"provision", "cmd", "rooms do not know the house"},
	{"provision", "upstream/sandbox", "the product does not run its own test double"},
	{"cmd/scim-bridge/play", "scim", "a simulated client that shares our encoders would share their mistakes"},
	{"cmd/scim-bridge/play", "mapping", "a simulated client that shares our encoders would share their mistakes"},
	{"cmd/scim-bridge/simulate", "scim", "a simulated client that shares our encoders would share their mistakes"},
	{"cmd/scim-bridge/simulate", "schemas", "a simulated client expects what the RFCs say, not what our schemas say"},
	{"cmd/scim-bridge/simulate", "mapping", "a simulated client runs against any server"},
	{"cmd/scim-bridge/simulate", "provision", "a simulated client runs against any server"},
	{"cmd/scim-bridge/simulate", "store", "a simulated client runs against any server"},
	{"cmd/scim-bridge/simulate", "cache", "a simulated client runs against any server"},
	{"cmd/scim-bridge/simulate", "upstream", "a simulated client runs against any server"},
}

// TestImportsRunOneWay proves the table above on the import graph of what is
// built, tests left out.
func TestImportsRunOneWay(t *testing.T) {
	graph := imports(t)
	if len(graph) < 10 {
		t.Fatalf("only %d packages found: the graph was not read", len(graph))
	}
	for _, f := range forbidden {
		for pkg := range graph {
			if !within(pkg, f.from) {
				continue
			}
			if via := path(graph, pkg, f.to, map[string]bool{}); via != nil {
				t.Errorf("%s must not import %s: %s\n\t%s", f.from, f.to, f.because, strings.Join(via, " → "))
			}
		}
	}
}

// TestTestingStaysOutOfTheProduct keeps test support out of the binary.
func TestTestingStaysOutOfTheProduct(t *testing.T) {
	for pkg, deps := range imports(t) {
		support := strings.HasSuffix(pkg, "test")
		for _, d := range deps {
			if !support && strings.HasSuffix(d, "test") {
				t.Errorf("%s imports %s, which is for tests", pkg, d)
			}
		}
	}
}

// TestMappingIsPure keeps clocks, contexts and I/O out of mapping.
func TestMappingIsPure(t *testing.T) {
	for _, d := range all(t)["mapping"] {
		switch d {
		case "context", "os", "io", "net", "net/http", "database/sql", "log/slog", "math/rand", "math/rand/v2", "crypto/rand":
			t.Errorf("mapping imports %s: decisions take values and return values", d)
		}
	}
}

// path is a way from pkg to the given end, or nil.
func path(graph map[string][]string, pkg, to string, seen map[string]bool) []string {
	seen[pkg] = true
	for _, d := range graph[pkg] {
		if within(d, to) {
			return []string{pkg, d}
		}
		if seen[d] {
			continue
		}
		if rest := path(graph, d, to, seen); rest != nil {
			return append([]string{pkg}, rest...)
		}
	}
	return nil
}

func within(pkg, end string) bool {
	if name, exact := strings.CutSuffix(end, "$"); exact {
		return pkg == name
	}
	return pkg == end || strings.HasPrefix(pkg, end+"/")
}

// imports is the graph inside the module, by paths relative to it.
func imports(t *testing.T) map[string][]string {
	graph := map[string][]string{}
	for pkg, deps := range all(t) {
		graph[pkg] = nil
		for _, d := range deps {
			if rel, ok := strings.CutPrefix(d, module+"/"); ok {
				graph[pkg] = append(graph[pkg], rel)
			}
		}
	}
	return graph
}

// all lists the direct imports of every package of the module.
func all(t *testing.T) map[string][]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	graph := map[string][]string{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return graph
		}
		if err != nil {
			t.Fatal(err)
		}
		if rel, ok := strings.CutPrefix(p.ImportPath, module+"/"); ok {
			graph[rel] = p.Imports
		}
	}
}
