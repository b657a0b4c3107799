package badinput

import (
	"fmt"
	"strings"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
)

// maxGroupBody is what a body may have at /Groups.
const maxGroupBody = 8 << 20

// wipe is an operation that nothing which is refused may have carried out.
const wipe = `{"op":"remove","path":"members"}`

// groupFraming is group J for groups.
func groupFraming() []attempt {
	all := malformed("/Groups", "/Groups/{group}")
	whole := bridgetest.PatchOp(wipe, `{"op":"replace","path":"displayName","value":"Nobody"}`)
	for i := 1; i < len(whole); i += 3 {
		a := onGroup(fmt.Sprintf("J3 a PATCH truncated after %d bytes", i), 400, syntax, "", "not valid JSON")
		a.body = whole[:i]
		all = append(all, a)
	}
	whole = groupOf("Managers", entries("{out}"))
	for i := 1; i < len(whole); i += 3 {
		all = append(all, postGroup(fmt.Sprintf("J3 truncated after %d bytes", i), 400, syntax, whole[:i], "not valid JSON"),
			putGroup(fmt.Sprintf("J3 a PUT truncated after %d bytes", i), 400, syntax, whole[:i], "not valid JSON"))
	}
	for _, more := range []string{"{}", "x", "]", ",", "null", "\x00", "\n42"} {
		all = append(all, putGroup(fmt.Sprintf("J4 %q behind the body", more), 400, syntax, groupOf("{title}", "[]")+more))
	}
	second := onGroup("J4 a second PATCH behind the first", 400, syntax, "")
	second.body = bridgetest.PatchOp(wipe) + bridgetest.PatchOp(wipe)
	all = append(all, second,
		postGroup("J5 byte order mark", 201, "", "\xef\xbb\xbf"+groupOf("{new}", entries("{out}"))),
		postGroup("J5 two byte order marks", 400, syntax, "\xef\xbb\xbf\xef\xbb\xbf"+groupOf("{new}", "")))
	all = append(all, groupEncodings()...)
	all = append(all, groupDuplicates()...)
	all = append(all, groupSizes()...)
	return append(all, groupMediaTypes()...)
}

func groupEncodings() []attempt {
	var all []attempt
	for _, bad := range []string{"\xff", "\xc0\x80", "\xc3", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\x80"} {
		row := fmt.Sprintf("J7 %q in ", bad)
		all = append(all,
			postGroup(row+"a name", 400, syntax, groupOf("a"+bad, entries("{out}")), "UTF-8"),
			postGroup(row+"a member", 400, syntax, groupOf("{new}", entries("{out}"+bad)), "UTF-8"),
			postGroup(row+"what a member shows", 400, syntax, groupOf("{new}", `[{"value":"{out}","display":"`+bad+`"}]`), "UTF-8"),
			postGroup(row+"an unknown attribute", 400, syntax, groupWith(`"{new}"`, "", `"x":"`+bad+`"`), "UTF-8"),
			putGroup(row+"a member by PUT", 400, syntax, groupOf("{title}", entries(bad)), "UTF-8"),
			onGroup(row+"a filter", 400, syntax, `{"op":"remove","path":"members[value eq \"`+bad+`\"]"}`, "UTF-8"),
			onGroup(row+"a member by PATCH", 400, syntax, wipe+`,{"op":"add","path":"members","value":[{"value":"`+bad+`"}]}`, "UTF-8"))
	}
	for _, bad := range []string{`\ud800`, `\udc00`, `\ud800x`, `\udfff\ud800`} {
		all = append(all,
			postGroup("J8 lone surrogate "+bad+" in a name", 400, syntax, groupOf("a"+bad, ""), "surrogate"),
			postGroup("J8 lone surrogate "+bad+" in a member", 400, syntax, groupOf("{new}", entries(bad)), "surrogate"),
			onGroup("J8 lone surrogate "+bad+" by PATCH", 400, syntax, wipe+`,{"op":"replace","path":"displayName","value":"`+bad+`"}`, "surrogate"))
	}
	return all
}

func groupDuplicates() []attempt {
	const once = "once"
	both := onGroup("J9 duplicate Operations", 400, syntax, "", "Operations", once)
	both.body = `{"Operations":[],"operations":[` + wipe + `]}`
	return []attempt{
		both,
		postGroup("J9 duplicate name", 400, syntax, groupWith(`"{new}"`, "", `"displayName":"owners"`), "displayName", once),
		postGroup("J9 duplicate name in other case", 400, syntax, groupWith(`"{new}"`, "", `"DISPLAYNAME":"x"`), "displayName", once),
		postGroup("J9 duplicate members", 400, syntax, groupWith(`"{new}"`, "[]", `"members":[{"value":"{out}"}]`), "members", once),
		putGroup("J9 duplicate members by PUT", 400, syntax, groupWith(`"{title}"`, "[]", `"Members":[{"value":"{out}"}]`), "members", once),
		putGroup("J9 duplicate members by an escape", 400, syntax, groupWith(`"{title}"`, "[]", `"member\u0073":[]`), "members", once),
		postGroup("J9 duplicate value", 400, syntax, groupOf("{new}", `[{"value":"{out}","value":"{in}"}]`), "value", once),
		postGroup("J9 duplicate value in other case", 400, syntax, groupOf("{new}", `[{"value":"{out}","VALUE":"{in}"}]`), "value", once),
		postGroup("J9 duplicate externalId", 400, syntax, groupWith(`"{new}"`, "", `"externalId":"a"`, `"externalID":"owners-0"`), "externalId", once),
		postGroup("J9 duplicate unknown key", 400, syntax, groupWith(`"{new}"`, "", `"x":1`, `"x":2`), "x", once),
		onGroup("J9 duplicate op", 400, syntax, `{"op":"add","op":"remove","path":"members"}`, "op", once),
		onGroup("J9 duplicate path", 400, syntax, `{"op":"remove","path":"externalId","Path":"members"}`, "path", once),
		onGroup("J9 duplicate value of an operation", 400, syntax, `{"op":"replace","path":"members","value":[{"value":"{in}"}],"VALUE":[]}`, "value", once),
		onGroup("J9 duplicate members without a path", 400, syntax, `{"op":"replace","value":{"members":[{"value":"{in}"}],"Members":[]}}`, "members", once),
		onGroup("J9 duplicate value of a member", 400, syntax, `{"op":"remove","path":"members","value":[{"value":"{out}","value":"{in}"}]}`, "value", once),
		postGroup("J11 DISPLAYNAME", 201, "", strings.Replace(groupOf("{new}", ""), "displayName", "DISPLAYNAME", 1)),
		postGroup("J11 U+017F is no s", 400, value, strings.Replace(groupOf("{new}", ""), "displayName", "di\u017fplayName", 1), "displayName", "required"),
		putGroup("J11 U+017F is no s in members", 200, "", groupWith(`"{title}"`, "", "\"member\u017f\":[]")),
	}
}

func groupSizes() []attempt {
	fill := func(body string, n int) string { return body + strings.Repeat(" ", n-len(body)) }
	list := `[` + strings.TrimSuffix(strings.Repeat(`{"value":"{out}","display":"`+long(40)+`"},`, 120_000), ",") + `]`
	return []attempt{
		postGroup("J15 8 MiB+1", 413, "", fill(groupOf("x", ""), maxGroupBody+1), "8388608", "bytes", "send less"),
		putGroup("J15 8 MiB+1 by PUT", 413, "", fill(groupOf("x", "[]"), maxGroupBody+1), "8388608"),
		sizedPatch("J15 8 MiB+1 by PATCH", 413, fill(bridgetest.PatchOp(wipe), maxGroupBody+1)),
		postGroup("J15 120 000 members in 10 MB", 413, "", groupOf("x", list), "8388608"),
		postGroup("J15 8 MiB", 201, "", fill(`{"displayName":"eight MiB"}`, maxGroupBody)),
		{row: "J16 a chunked body of 9 MiB", status: 413, closes: true,
			raw: request("POST", "/scim/v2/Groups", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", 9<<20, strings.Repeat(" ", 9<<20)), "Transfer-Encoding: chunked", "Content-Type: application/json")},
		{row: "J32 Expect: 100-continue with a Content-Length too large", status: 413, detail: []string{"8388608"}, closes: true,
			raw: request("POST", "/scim/v2/Groups", "", "Content-Length: 1073741824", "Expect: 100-continue", "Content-Type: application/json")},
		postGroup("J13 depth 33 in a member", 400, syntax, groupOf("{new}", `[{"value":"{out}","x":`+nestedArrays(32)+`}]`), "32"),
		onGroup("J13 depth 33 in a PATCH value", 400, syntax, wipe+`,{"op":"add","path":"members","value":[{"value":"{out}","x":`+nestedArrays(40)+`}]}`, "32"),
		onGroup("J13 depth 100 000 in a PATCH value", 400, syntax, wipe+`,{"op":"add","path":"x","value":`+nestedArrays(100_000)+`}`).from("entra"),
		postGroup("J25 1 001 members of a member", 400, syntax, groupOf("{new}", `[{"value":"{out}",`+members(1000)+`}]`), "1000"),
		onGroup("J25 100 000 members in a PATCH value", 400, syntax, wipe+`,{"op":"replace","value":{`+members(100_000)+`}}`, "1000").from("entra"),
		onGroup("P66 1 001 operations", 413, "", strings.Repeat(wipe+",", 1000)+wipe, "Operations", "1000", "several requests"),
		onGroup("P66 100 000 operations", 413, "", strings.Repeat(wipe+",", 100_000)+wipe, "Operations", "1000"),
		changed("P66 1 000 operations", held, strings.Repeat(`{"op":"add","path":"members","value":[{"value":"{in}"}]},`, 999)+`{"op":"remove","path":"members","value":[]}`),
		postGroup("J26 a string of 1 MB in an unknown attribute", 201, "", groupWith(`"{new}"`, "", `"x":"`+long(1<<20)+`"`)).then(lacks("aaaa")),
		postGroup("J26 a string of 1 MB as externalId", 400, value, groupWith(`"{new}"`, "", `"externalId":"`+long(1<<20)+`"`), "externalId", "255"),
		postGroup("J26 a string of 1 MB as a member", 400, value, groupOf("{new}", entries(long(1<<20))), "members[0].value", "256"),
		onGroup("J26 a path of 1 MB", 400, "invalidPath", wipe+`,{"op":"remove","path":"members[value eq \"`+long(1<<20)+`\"]"}`, "Operations[1].path"),
		onGroup("J26 a path of 10 KB from Entra", 400, "invalidPath", wipe+`,{"op":"Remove","path":"members[value eq \"`+long(10_000)+`\"]"}`, "Operations[1].path").from("entra"),
	}
}

func sizedPatch(row string, status int, body string) attempt {
	return attempt{row: row, method: "PATCH", path: "/Groups/{group}", body: body, status: status}
}

// groupMediaTypes sends what is refused of a User's create for its headers.
func groupMediaTypes() []attempt {
	var all []attempt
	for _, a := range mediaTypes() {
		if a.status != 415 {
			continue
		}
		for method, path := range map[string]string{"POST": "/Groups", "PUT": "/Groups/{group}", "PATCH": "/Groups/{group}"} {
			b := a
			b.row, b.method, b.path, b.body = a.row+" by "+method, method, path, groupOf("{new}", "[]")
			if method == "PATCH" {
				b.body = bridgetest.PatchOp(wipe)
			}
			all = append(all, b)
		}
	}
	return append(all,
		postGroup("J19 gzip that is not announced", 400, syntax, gzipped(groupOf("x", "")), "not valid JSON"),
		postGroup("J21 no Content-Type", 201, "", groupOf("{new}", "")).with("-Content-Type", ""))
}
