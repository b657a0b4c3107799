package doctor

import (
	"context"
	"errors"
	"net/http"
	"time"
)

const (
	// clockWarning and clockError are from where on a difference of clocks is
	// one and the other.
	clockWarning = 30 * time.Second
	clockError   = 2 * time.Minute
)

// ClockSource is somebody else's clock.
type ClockSource struct {
	// Name is whose it is, such as "the database".
	Name string
	// Ask is how far that clock is ahead of ours.
	Ask func(context.Context) (ahead time.Duration, err error)
}

// Dated is the clock that the answers of an address carry, to the second.
func Dated(name string, n Network, address string) ClockSource {
	n = n.withDefaults()
	return ClockSource{Name: name, Ask: func(ctx context.Context) (time.Duration, error) {
		r, err := n.do(ctx, request{method: http.MethodHead, url: address})
		if err != nil {
			return 0, err
		}
		at, err := http.ParseTime(r.header.Get("Date"))
		if err != nil {
			return 0, errors.New("its answer has no usable Date")
		}
		return at.Add(time.Second / 2).Sub(r.midpoint), nil
	}}
}

// CheckClock compares this host's clock with others. Leases, tokens and times
// that clients see depend on it.
func CheckClock(sources []ClockSource) Check {
	return Check{Name: Clock, Look: func(ctx context.Context) []Finding {
		var f findings
		for _, s := range sources {
			ahead, err := s.Ask(ctx)
			if err != nil {
				f.add(Notice, s.Name, "", "not compared: %s", reason(err))
				continue
			}
			off, which := ahead, "behind"
			if off < 0 {
				off, which = -off, "ahead of"
			}
			const remedy = "let NTP set the clock (timedatectl set-ntp true) on the machine whose clock is wrong"
			switch {
			case off > clockError:
				f.add(Error, s.Name, remedy, "this host's clock is %s %s it", span(off), which)
			case off > clockWarning:
				f.add(Warning, s.Name, remedy, "this host's clock is %s %s it", span(off), which)
			default:
				f.ok(s.Name, "agrees with this host's clock")
			}
		}
		if len(sources) == 0 {
			f.ok("this host", "there is nobody to compare its clock with")
		}
		return f
	}}
}
