package requestlog

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// hidden stands for a word that is left out.
const hidden = "…"

// foreign is text of the upstream service inside a detail, which may quote what
// it likes in ways of its own: what stands before and after it.
var foreign = []struct{ before, after string }{
	{"Share A Refund refused ", ": correct the value"},
	{"with the tenant's credential: ", "; give the credential"},
}

var (
	// selection is a path with a filter in brackets.
	selection = regexp.MustCompile(`[^\s\[\]"]*\[[^\]]*\](\.[^\s,;:()]*)?`)
	// inSelection are the words of one.
	inSelection = regexp.MustCompile(`[^\s\[\]()"]+`)
	longNumber  = regexp.MustCompile(`[0-9]{8}`)
	uuidForm    = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
)

// detail is a refusal's detail with pseudonyms for the values that it quotes and
// the addresses in it. What else may be a value is left out.
func (m masker) detail(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, hidden))
	for _, f := range foreign {
		text = without(text, f.before, f.after)
	}
	text = selection.ReplaceAllStringFunc(m.quoted(text), m.selection)
	words := strings.Split(text, " ")
	for i, w := range words {
		words[i] = m.word(w)
	}
	return strings.Join(words, " ")
}

// without leaves out what stands between two texts, or all that follows the
// first where the second is missing.
func without(text, before, after string) string {
	i := strings.Index(text, before)
	if i < 0 {
		return text
	}
	i += len(before)
	j := strings.LastIndex(text, after)
	if j < i {
		return text[:i] + hidden
	}
	return text[:i] + hidden + text[j:]
}

// quoted replaces what stands between double quotes.
func (m masker) quoted(text string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(text, '"')
		if i < 0 {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:i])
		q, err := strconv.QuotedPrefix(text[i:])
		if err != nil {
			b.WriteString(hidden) // where it ends is not known
			return b.String()
		}
		value, _ := strconv.Unquote(q) // it was found to be quoted
		if known(value) || !strings.ContainsFunc(value, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }) {
			b.WriteString(q)
		} else {
			b.WriteString(m.of(value))
		}
		text = text[i+len(q):]
	}
}

// selection hides what is a value in a path such as members[value eq 42], from
// which the quoted ones were taken.
func (m masker) selection(path string) string {
	return inSelection.ReplaceAllStringFunc(path, func(w string) string {
		bare := strings.Trim(w, ".,:;")
		if known(bare) || isPseudonym(bare) || bare == "" || bare == hidden || len(bare) <= 3 && strings.Trim(bare, "0123456789") == "" {
			return w
		}
		return strings.Replace(w, bare, m.of(bare), 1)
	})
}

// word hides a word that is an address, a path, a token or a long number.
func (m masker) word(w string) string {
	core := strings.Trim(w, `.,;:()<>'`)
	switch {
	case core == "" || uuidForm.MatchString(core):
		return w
	case strings.Contains(core, "@"):
		return strings.Replace(w, core, m.of(core), 1)
	case core[0] == '/' && !knownPath(core), strings.Contains(strings.ToLower(core), "sarb_"), longNumber.MatchString(core):
		return strings.Replace(w, core, hidden, 1)
	}
	return w
}

// knownPath reports whether a path, up to its query, has only segments that are
// routes.
func knownPath(p string) bool {
	p, _, _ = strings.Cut(p, "?")
	for segment := range strings.SplitSeq(strings.TrimPrefix(strings.TrimPrefix(p, "/scim/v2"), "/"), "/") {
		if segment != "{id}" && segment != "" && !vocabulary()["/"+strings.ToLower(segment)] {
			return false
		}
	}
	return true
}
