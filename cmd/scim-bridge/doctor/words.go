package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"strings"
	"time"
)

// reason is an error in one line, without a path, which is shown beside it.
func reason(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	} else if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound {
		return "the name " + e.Name + " is not in the DNS as this host sees it"
	} else if e, ok := errors.AsType[*net.OpError](err); ok && e.Err != nil {
		err = e.Err
	}
	return clip(strings.Join(strings.Fields(err.Error()), " "))
}

// clip bounds what others say.
func clip(s string) string {
	const most = 300
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// span is a duration as people say it.
func span(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "under 1ms"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < 2*time.Minute:
		return d.Round(time.Second).String()
	case d < 48*time.Hour:
		text := strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
		if strings.HasSuffix(text, "h0m") {
			text = strings.TrimSuffix(text, "0m")
		}
		return text
	}
	return days(d)
}

// days counts whole days.
func days(d time.Duration) string {
	if n := int(d / (24 * time.Hour)); n != 1 {
		return strconv.Itoa(n) + " days"
	}
	return "1 day"
}

// size is a number of bytes as people say it.
func size(n int64) string {
	for _, u := range []struct {
		name string
		size int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.size {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.size), u.name)
		}
	}
	return strconv.FormatInt(n, 10) + " B"
}
