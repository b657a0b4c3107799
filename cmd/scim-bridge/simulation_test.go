package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate"
)

// A report is for one user's eyes, in the form that its name asks for, and
// there wholly or not at all.
func TestSaveReport(t *testing.T) {
	dir := t.TempDir()
	report := &simulate.Report{Format: 1, Client: "okta", Verdict: simulate.OK, BaseURL: "https://h/?a&b"}
	for _, name := range []string{"report.json", "report.JSON", "report.txt", "report"} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte("an older one"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := (&simulation{report: file}).save(report); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		var back simulate.Report
		isJSON := json.Unmarshal(text, &back) == nil && back.BaseURL == report.BaseURL
		if isJSON != strings.EqualFold(filepath.Ext(name), ".json") || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %s, %s", name, info.Mode(), text)
		}
	}
	if err := (&simulation{report: filepath.Join(dir, "report")}).save(report); err != nil {
		t.Error(err)
	}
	if err := (&simulation{report: filepath.Join(dir, "none", "report.txt")}).save(report); err == nil || !strings.HasPrefix(err.Error(), "--report") {
		t.Error(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.txt"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := (&simulation{report: filepath.Join(dir, "folder.txt")}).save(report); err == nil {
		t.Error("a folder was replaced by a report")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 5 {
		t.Errorf("left beside the reports: %v", entries)
	}
}
