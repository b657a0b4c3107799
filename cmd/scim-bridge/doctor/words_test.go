package doctor

import (
	"testing"
	"time"
)

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "under 1ms", 12400 * time.Microsecond: "12ms", 1600 * time.Millisecond: "2s", 119 * time.Second: "1m59s",
		150 * time.Second: "3m", time.Hour: "1h", 25*time.Hour + 5*time.Minute: "25h5m", 10 * time.Hour: "10h", 72 * time.Hour: "3 days",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1 << 10: "1.0 KiB", 3 << 19: "1.5 MiB", 5 << 30: "5.0 GiB"} {
		if got := size(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
