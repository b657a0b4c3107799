package badinput

import (
	"compress/gzip"
	"strings"
)

func gzipped(s string) string {
	var b strings.Builder
	z := gzip.NewWriter(&b)
	// A strings.Builder takes everything.
	_, _ = z.Write([]byte(s))
	_ = z.Close()
	return b.String()
}
