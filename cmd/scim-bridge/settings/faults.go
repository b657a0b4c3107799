package settings

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sharearefund/scim-bridge/provision/tenantconfig"
)

// Fault is one thing that is wrong with the settings.
type Fault struct {
	// Path is the key, such as limits.body_bytes, followed by the environment
	// variable when the value came from there.
	Path string
	// Value is what was found, or "" when there is nothing to show.
	Value string
	// Problem says what is wrong, Remedy what to do.
	Problem, Remedy string
}

// String reads "path: value: what is wrong; remedy".
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.Path)
	b.WriteString(": ")
	if f.Value != "" {
		fmt.Fprintf(&b, "%q: ", f.Value)
	}
	b.WriteString(f.Problem)
	b.WriteString("; ")
	b.WriteString(f.Remedy)
	return b.String()
}

// FaultsError holds every fault that was found, in the order of the keys.
type FaultsError struct{ Faults []Fault }

// Error has one line for each fault.
func (e *FaultsError) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// complaint is a Fault whose path and value are known to the caller.
type complaint struct{ problem, remedy string }

// complain adds a fault, unless c is nil or the path has one already.
func (l *load) complain(path, from, value string, c *complaint) {
	if c == nil || l.failed[path] {
		return
	}
	l.failed[path] = true
	if key, _, isItem := strings.Cut(path, "["); isItem {
		l.failed[key] = true
	}
	if from != "" {
		path += " (" + from + ")"
	}
	l.faults = append(l.faults, Fault{Path: path, Value: clip(value), Problem: c.problem, Remedy: c.remedy})
}

// complainAbout adds a fault about the value of a known key.
func (l *load) complainAbout(path string, c *complaint) {
	v := l.values[path]
	l.complain(path, v.from, v.text, c)
}

func clip(s string) string {
	const most = 120
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// unknownKey says what may have been meant by a key that does not exist. path
// is the whole key, section what stands before its last dot.
func unknownKey(section, key string) *complaint {
	var siblings, elsewhere []string
	for _, f := range fields() {
		parts := strings.Split(f.path, ".")
		leaf := parts[len(parts)-1]
		switch parent := strings.Join(parts[:len(parts)-1], "."); {
		case parent == section:
			siblings = append(siblings, leaf)
		case section == "" && !slices.Contains(siblings, parts[0]):
			siblings = append(siblings, parts[0])
		}
		if leaf == key {
			elsewhere = append(elsewhere, f.path)
		}
	}
	path := join(section, key)
	if slices.Contains(siblings, key+"_env") && slices.Contains(siblings, key+"_file") {
		return &complaint{"a secret does not belong in the settings", fmt.Sprintf("name a variable in %s_env or a file in %s_file", path, path)}
	}
	if near := tenantconfig.Closest(key, siblings); near != "" {
		return &complaint{"unknown key", fmt.Sprintf("did you mean %s?", join(section, near))}
	}
	if len(elsewhere) > 0 {
		return &complaint{"unknown key", fmt.Sprintf("did you mean %s?", strings.Join(elsewhere, " or "))}
	}
	return &complaint{"unknown key", "known here: " + strings.Join(siblings, ", ")}
}

func join(section, key string) string {
	if section == "" {
		return key
	}
	return section + "." + key
}
