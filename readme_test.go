package scimbridge

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const wireDir = "scim/testdata/wire"

// readFixtures lists the wire fixtures as client/NN, with the statuses that
// each of them expects.
func readFixtures(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(wireDir, "*", "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures in %s: %v", wireDir, err)
	}
	all := map[string][]string{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		number, _, ok := strings.Cut(filepath.Base(file), "_")
		name := filepath.Base(filepath.Dir(file)) + "/" + number
		if _, taken := all[name]; taken || !ok {
			t.Errorf("%s: is to be named NN_what_it_shows, and its number is to be free", file)
		}
		all[name] = []string{}
		for _, m := range reAnswered.FindAllStringSubmatch(string(data), -1) {
			all[name] = append(all[name], m[1])
		}
	}
	return all
}

var (
	reAnswered = regexp.MustCompile(`(?m)^-- response [0-9]+ --\n([0-9]{3})$`)
	reNamed    = regexp.MustCompile(`^(?:([a-z-]+)/)?([0-9]{2})(?:–([0-9]{2}))?$`)
	reStatus   = regexp.MustCompile(`\b[45][0-9]{2}\b`)
)

// namedFixtures reads what a table says of fixtures: "rfc/15–22, 28, okta/04".
// A number alone is of the client before it; client is that of the first.
func namedFixtures(cell, client string, all map[string][]string) ([]string, error) {
	var list []string
	for item := range strings.SplitSeq(cell, ",") {
		m := reNamed.FindStringSubmatch(strings.TrimSpace(item))
		if m == nil {
			return nil, fmt.Errorf("%q is neither client/NN nor client/NN–MM", item)
		}
		if m[1] != "" {
			client = m[1]
		}
		first, _ := strconv.Atoi(m[2])
		last := first
		if m[3] != "" {
			last, _ = strconv.Atoi(m[3])
		}
		if last < first {
			return nil, fmt.Errorf("%q ends before it begins", item)
		}
		for n := first; n <= last; n++ {
			name := fmt.Sprintf("%s/%02d", client, n)
			if _, ok := all[name]; !ok {
				return nil, fmt.Errorf("there is no fixture %s", name)
			}
			list = append(list, name)
		}
	}
	return list, nil
}

// tableRow is a line of a table, and the heading that it stands under.
type tableRow struct {
	heading string
	cells   []string
}

// readTables reads the tables of a page, without their heads.
func readTables(t *testing.T, path string) (rows []tableRow) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	heading, body := "", false
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "## "); ok {
			heading = name
		}
		if !strings.HasPrefix(line, "|") {
			body = false
			continue
		}
		if strings.HasPrefix(line, "|---") {
			body = true
			continue
		}
		if body {
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows = append(rows, tableRow{heading, cells})
		}
	}
	return rows
}

// TestReadmeSupport holds the README's table of what is supported against the
// wire fixtures: each line names those that prove it, each fixture of the RFCs
// is named, and a refusal is one that a fixture shows.
func TestReadmeSupport(t *testing.T) {
	all, named := readFixtures(t), map[string]bool{}
	lines := 0
	for _, row := range readTables(t, "README.md") {
		if row.heading != "What is supported" {
			continue
		}
		lines++
		if len(row.cells) != 4 {
			t.Errorf("%q: has %d cells, want RFC, what, whether, fixtures", row.cells, len(row.cells))
			continue
		}
		fixtures, err := namedFixtures(row.cells[3], "", all)
		if err != nil {
			t.Errorf("%q: %v", row.cells[1], err)
		}
		var answered []string
		for _, name := range fixtures {
			named[name] = true
			answered = append(answered, all[name]...)
		}
		refused := slices.ContainsFunc(answered, func(status string) bool { return status >= "400" })
		if !strings.HasPrefix(row.cells[2], "yes") && !refused {
			t.Errorf("%q: %q, and no fixture shows the refusal", row.cells[1], row.cells[2])
		}
		for _, status := range reStatus.FindAllString(row.cells[1]+row.cells[2], -1) {
			if !slices.Contains(answered, status) {
				t.Errorf("%q: no fixture shows the status %s", row.cells[1], status)
			}
		}
	}
	if lines == 0 {
		t.Fatal("the README has no table of what is supported")
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if strings.HasPrefix(name, "rfc/") && !named[name] {
			t.Errorf("%s: no line of the README's table of what is supported names it", name)
		}
	}
}

// TestWireShapes holds shapes.md against the fixtures: every one of a client
// is named there.
func TestWireShapes(t *testing.T) {
	all, named := readFixtures(t), map[string]bool{}
	for _, row := range readTables(t, filepath.Join(wireDir, "shapes.md")) {
		if len(row.cells) != 2 {
			t.Errorf("%q: has %d cells, want what, fixtures", row.cells, len(row.cells))
			continue
		}
		fixtures, err := namedFixtures(row.cells[1], row.heading, all)
		if err != nil {
			t.Errorf("%s, %q: %v", row.heading, row.cells[0], err)
		}
		for _, name := range fixtures {
			named[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !strings.HasPrefix(name, "rfc/") && !named[name] {
			t.Errorf("%s: no line of shapes.md names it", name)
		}
	}
}

func TestNamedFixtures(t *testing.T) {
	all := map[string][]string{"rfc/08": nil, "rfc/09": nil, "rfc/10": nil, "okta/09": nil}
	for _, tt := range []struct{ cell, want, wantErr string }{
		{"rfc/08", "rfc/08", ""},
		{"08–10", "rfc/08 rfc/09 rfc/10", ""},
		{"rfc/08, 10, okta/09", "rfc/08 rfc/10 okta/09", ""},
		{"okta/08", "", "no fixture okta/08"},
		{"10–08", "", "ends before it begins"},
		{"08-10", "", "is neither"},
		{"", "", "is neither"},
	} {
		got, err := namedFixtures(tt.cell, "rfc", all)
		if strings.Join(got, " ") != tt.want || (err == nil) != (tt.wantErr == "") || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
			t.Errorf("%q: %v, %v, want %q, an error with %q", tt.cell, got, err, tt.want, tt.wantErr)
		}
	}
}
