package scim

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// document is a user as the naive model of PATCH sees it: plain JSON.
type document = map[string]any

// modelOp is an operation of the model's small language. Every path is one of
// modelPaths; the meaning follows RFC 7644 §3.5.2 with Entra's tolerances,
// written down a second time and as simply as possible.
type modelOp struct {
	Op    string `json:"op"`
	Path  string `json:"path,omitempty"`
	Value any    `json:"value,omitempty"`
}

var (
	modelStrings = []any{"a", "b", "A", "", nil}
	modelEmails  = []any{"a@x.yy", "b@x.yy", "A@x.yy", "", nil}
	modelTypes   = []string{"work", "home", "other"}
	modelFlags   = []any{true, false, "True", "false", nil}
	modelSimple  = []string{"title", "displayName", "externalId", "nickName"}
	modelName    = []string{"givenName", "familyName", "middleName"}
)

// dice draws from bytes, then from zeros.
type dice struct{ data []byte }

func (d *dice) roll(n int) int {
	if len(d.data) == 0 {
		return 0
	}
	b := int(d.data[0])
	d.data = d.data[1:]
	return b % n
}

func pick[T any](d *dice, from []T) T { return from[d.roll(len(from))] }

func (d *dice) entry() document {
	e := document{}
	if v := pick(d, modelEmails); v != nil {
		e["value"] = v
	}
	if d.roll(3) > 0 {
		e["type"] = pick(d, modelTypes)
	}
	if d.roll(3) == 0 {
		e["primary"] = pick(d, modelFlags)
	}
	if d.roll(4) == 0 {
		e["display"] = pick(d, modelStrings)
	}
	return e
}

func (d *dice) entries() []any {
	list := []any{}
	for range d.roll(3) {
		list = append(list, d.entry())
	}
	return list
}

func (d *dice) op() modelOp {
	op := modelOp{Op: pick(d, []string{"add", "replace", "remove", "Replace"})}
	switch d.roll(8) {
	case 0:
		op.Path, op.Value = pick(d, modelSimple), pick(d, modelStrings)
	case 1:
		op.Path, op.Value = "name."+pick(d, modelName), pick(d, modelStrings)
	case 2:
		name := document{}
		for range d.roll(3) {
			name[pick(d, modelName)] = pick(d, modelStrings)
		}
		op.Path, op.Value = "name", name
	case 3:
		op.Path, op.Value = "active", pick(d, modelFlags)
	case 4:
		op.Path, op.Value = "emails", d.entries()
		if op.Op == "remove" && d.roll(2) == 0 {
			op.Value = nil
		}
	case 5:
		sub := pick(d, []string{"value", "display", "primary"})
		op.Path = fmt.Sprintf("emails[type eq %q].%s", pick(d, modelTypes), sub)
		switch sub {
		case "value":
			op.Value = pick(d, modelEmails)
		case "display":
			op.Value = pick(d, modelStrings)
		default:
			op.Value = pick(d, modelFlags)
		}
	case 6:
		op.Path, op.Value = fmt.Sprintf("emails[type eq %q]", pick(d, modelTypes)), d.entry()
	default:
		if op.Op == "remove" {
			op.Op = "replace"
		}
		op.Value = document{pick(d, modelSimple): pick(d, modelStrings), "name." + pick(d, modelName): pick(d, modelStrings), "active": pick(d, modelFlags)}
	}
	return op
}

// body writes null values out, which omitempty would drop.
func (op modelOp) body() string {
	m := document{"op": op.Op}
	if op.Path != "" {
		m["path"] = op.Path
	}
	if op.Op != "remove" || op.Value != nil {
		m["value"] = op.Value
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func unset(v any) bool { return v == nil || v == "" }

// boolean reads the model's flags.
func boolean(v any) any {
	if s, ok := v.(string); ok {
		return strings.EqualFold(s, "true")
	}
	return v
}

func put(m document, key string, v any) {
	if key == "active" || key == "primary" {
		v = boolean(v)
	}
	if unset(v) {
		delete(m, key)
	} else {
		m[key] = v
	}
}

// tidy is an entry with its unset members left out.
func tidy(in document) document {
	e := document{}
	for k, v := range in {
		put(e, k, v)
	}
	return e
}

func empty(e document) bool { return e["value"] == nil && e["display"] == nil }

func fold(v any) string { s, _ := v.(string); return strings.ToLower(s) }

// modelApply applies op to doc; false means that it is refused.
func modelApply(doc document, op modelOp) bool {
	kind := strings.ToLower(op.Op)
	switch {
	case op.Path == "":
		for key, v := range op.Value.(document) {
			if !modelApply(doc, modelOp{Op: op.Op, Path: key, Value: v}) {
				return false
			}
		}
	case op.Path == "active":
		if kind != "remove" && op.Value != nil {
			doc["active"] = boolean(op.Value)
		}
	case op.Path == "name":
		if kind == "remove" {
			delete(doc, "name")
			return true
		}
		for k, v := range op.Value.(document) {
			setName(doc, k, v)
		}
	case strings.HasPrefix(op.Path, "name."):
		v := op.Value
		if kind == "remove" {
			v = nil
		}
		setName(doc, op.Path[len("name."):], v)
	case op.Path == "emails":
		return modelList(doc, kind, op.Value)
	case strings.HasPrefix(op.Path, "emails["):
		typ := strings.Split(op.Path, `"`)[1]
		_, sub, _ := strings.Cut(op.Path, "].")
		return modelEntries(doc, kind, typ, sub, op.Value)
	default:
		v := op.Value
		if kind == "remove" {
			v = nil
		}
		put(doc, op.Path, v)
	}
	return true
}

func setName(doc document, key string, v any) {
	name, _ := doc["name"].(document)
	if name == nil {
		name = document{}
	}
	put(name, key, v)
	if doc["name"] = name; len(name) == 0 {
		delete(doc, "name")
	}
}

func emailsOf(doc document) []document {
	list, _ := doc["emails"].([]document)
	return list
}

func setEmails(doc document, list []document) {
	list = slices.DeleteFunc(list, empty)
	if doc["emails"] = list; len(list) == 0 {
		delete(doc, "emails")
	}
}

// alike tells whether the entry e of a request is the entry have.
func alike(have, e document) bool {
	if e["value"] != nil {
		return fold(have["value"]) == fold(e["value"]) && (e["type"] == nil || fold(have["type"]) == fold(e["type"]))
	}
	for k, v := range e {
		if k != "primary" && fold(have[k]) != fold(v) {
			return false
		}
	}
	return true
}

// onlyPrimary demotes the other entries.
func onlyPrimary(list []document, i int) {
	for j := range list {
		if j != i && list[j]["primary"] == true {
			list[j]["primary"] = false
		}
	}
}

func modelList(doc document, kind string, value any) bool {
	raw, _ := value.([]any)
	var sent []document
	primaries := 0
	for _, v := range raw {
		e := tidy(v.(document))
		if empty(e) {
			continue
		}
		if e["primary"] == true {
			primaries++
		}
		sent = append(sent, e)
	}
	if primaries > 1 {
		return false
	}
	list := emailsOf(doc)
	switch {
	case kind == "remove" && value == nil:
		list = nil
	case kind == "remove":
		list = slices.DeleteFunc(list, func(have document) bool {
			return slices.ContainsFunc(sent, func(e document) bool { return alike(have, e) })
		})
	case kind == "replace":
		list = sent
	default:
		primary := -1
		n := 0
		for _, v := range raw {
			given := v.(document)
			e := tidy(given)
			if empty(e) {
				continue
			}
			at := slices.IndexFunc(list, func(have document) bool { return alike(have, e) })
			if at < 0 {
				at = len(list)
				list = append(list, e)
			} else {
				for k, v := range given {
					put(list[at], k, v)
				}
			}
			if e["primary"] == true {
				primary = at
			}
			n++
		}
		if primary >= 0 {
			onlyPrimary(list, primary)
		}
	}
	setEmails(doc, list)
	return true
}

func modelEntries(doc document, kind, typ, sub string, value any) bool {
	list := emailsOf(doc)
	matched, primary := 0, -1
	given, _ := value.(document)
	gone := map[int]bool{}
	for i, e := range list {
		if fold(e["type"]) != typ {
			continue
		}
		matched++
		switch {
		case kind == "remove" && sub == "":
			gone[i] = true
		case kind == "remove":
			delete(e, sub)
		case sub != "":
			put(e, sub, value)
		case kind == "replace":
			clear(e)
			maps.Copy(e, tidy(given))
			if e["type"] == nil {
				e["type"] = typ
			}
		default:
			for k, v := range given {
				put(e, k, v)
			}
		}
		sets := kind != "remove" && (sub == "primary" || sub == "" && boolean(given["primary"]) == true)
		if sets && e["primary"] == true && !gone[i] && !empty(e) {
			if primary >= 0 {
				return false
			}
			primary = i
		}
	}
	if matched == 0 && kind != "remove" {
		e := document{"type": typ}
		if sub != "" {
			put(e, sub, value)
		} else {
			for k, v := range given {
				put(e, k, v)
			}
		}
		if !empty(e) {
			list = append(list, e)
			if e["primary"] == true {
				primary = len(list) - 1
			}
		}
	}
	if primary >= 0 {
		onlyPrimary(list, primary)
	}
	var keep []document
	for i, e := range list {
		if !gone[i] {
			keep = append(keep, e)
		}
	}
	setEmails(doc, keep)
	return true
}

// documentOf is what the model compares: a user's JSON without what it does
// not know.
func documentOf(raw []byte) document {
	var doc document
	if err := json.Unmarshal(raw, &doc); err != nil {
		panic(err)
	}
	delete(doc, "schemas")
	if list, ok := doc["emails"].([]any); ok {
		var emails []document
		for _, e := range list {
			emails = append(emails, e.(document))
		}
		doc["emails"] = emails
	}
	return doc
}

func sameDocument(a, b document) bool { return reflect.DeepEqual(a, b) }
