package scimbridge

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestProtocolChoices holds docs/protocol.md against the tree: each choice names
// fixtures and tests that are there.
func TestProtocolChoices(t *testing.T) {
	all := readFixtures(t)
	rows := readTables(t, filepath.Join("docs", "protocol.md"))
	if len(rows) < 30 {
		t.Fatalf("docs/protocol.md has %d choices: the tables were not read", len(rows))
	}
	for _, row := range rows {
		if len(row.cells) != 3 {
			t.Errorf("%q: has %d cells, want choice, RFC, proofs", row.cells, len(row.cells))
			continue
		}
		var fixtures []string
		for proof := range strings.SplitSeq(row.cells[2], ", ") {
			pkg, test, ok := strings.Cut(proof, " ")
			if !ok {
				fixtures = append(fixtures, proof)
				continue
			}
			if !hasTest(t, pkg, test) {
				t.Errorf("%q: %s has no test %s", row.cells[0], pkg, test)
			}
		}
		if len(fixtures) == 0 {
			continue
		}
		if _, err := namedFixtures(strings.Join(fixtures, ", "), "", all); err != nil {
			t.Errorf("%q: %v", row.cells[0], err)
		}
	}
}

func hasTest(t *testing.T, pkg, test string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.FromSlash(pkg), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\nfunc "+test+"(") {
			return true
		}
	}
	return false
}
