package settings

import (
	"encoding/json"
	"strings"
)

// effective is the value that one key has in the end.
type effective struct {
	field field
	value value
	said  bool
}

// Redacted returns the settings in effect as a settings file, each with the
// place where it comes from. It holds no secret, as Load refuses secrets in
// values: only the names of the variables and files that hold them. Loading it
// gives the same settings.
func (s *Settings) Redacted() string {
	var b strings.Builder
	section := ""
	for _, e := range s.effective {
		parent, leaf, nested := strings.Cut(e.field.path, ".")
		if !nested {
			parent, leaf = "", e.field.path
		}
		text := e.text()
		if text == "" {
			continue
		}
		if parent != section && parent != "" {
			b.WriteString(parent + ":\n")
		}
		section = parent
		if nested {
			b.WriteString("  ")
		}
		b.WriteString(leaf + ": " + text + e.origin() + "\n")
	}
	return b.String()
}

// text is empty when the key is not set.
func (e effective) text() string {
	if !e.field.list {
		if e.value.text == "" {
			return ""
		}
		return quote(e.value.text)
	}
	if len(e.value.list) == 0 {
		return ""
	}
	items := make([]string, len(e.value.list))
	for i, item := range e.value.list {
		items[i] = quote(item)
	}
	return "[" + strings.Join(items, ", ") + "]"
}

func (e effective) origin() string {
	switch {
	case e.value.from != "":
		return " # " + e.value.from
	case !e.said:
		return " # default"
	}
	return ""
}

// quote writes a string in double quotes; what JSON writes, YAML reads.
func quote(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return `""` // strings can always be encoded
	}
	return strings.TrimSuffix(b.String(), "\n")
}
