package simulate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate/idp"
)

// Limits of Options.
const (
	MinUsers = 3
	MaxUsers = 1000
	// MaxGroups and MaxParallel bound Groups and Parallel.
	MaxGroups   = 100
	MaxParallel = 500
)

// Options configure Run. Client, BaseURL and Token are required.
type Options struct {
	// Client is one of idp.Names, Mode one of idp.Modes of it; "" is the
	// client's default mode. Entra's flag at the end of BaseURL is its mode
	// too.
	Client, Mode string
	// BaseURL is the SCIM base URL, http or https.
	BaseURL string
	// Token is the bearer token. It is in no report.
	Token string
	// Users is how many people are created, MinUsers to MaxUsers. 0: 10.
	Users int
	// Groups is how many groups are created, up to MaxGroups. 0: 2.
	Groups int
	// Parallel is how many member patches are sent at once, up to MaxParallel.
	// 0: 50.
	Parallel int
	// Domain is that of the people's addresses. "": example.com.
	Domain string
	// Version is the program's, for the report.
	Version string
	// Name tells the run's people and groups from others: lower-case letters and
	// digits. "": random.
	Name string
	// MaxWait bounds every single wait that an answer asks for. 0: 30 seconds.
	MaxWait time.Duration
	// Timeout bounds every request. 0: 60 seconds, which is Okta's limit.
	Timeout time.Duration
	// Keep leaves what was created at the server.
	Keep bool
	// HTTP sends requests; its redirect policy is not used. nil: one of the
	// run's own.
	HTTP *http.Client
	// Now is the clock. nil: time.Now.
	Now func() time.Time
	// Wait waits, or returns the context's error. nil: a timer.
	Wait func(ctx context.Context, d time.Duration) error
	// Progress is told how far the run is, by one goroutine at a time. nil:
	// nobody is.
	Progress func(Progress)
}

// Progress is how far a run is.
type Progress struct {
	// Step is the title of what is being played.
	Step string
	// Done and Total count parts of the run, which take about as long.
	Done, Total int
}

var (
	nameShape   = regexp.MustCompile(`^[a-z0-9]{1,20}$`)
	domainShape = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?$`)
)

// Check says which option cannot be used: the error begins with the option's
// name, in lower case.
func (o Options) Check() error { return o.complete() }

// complete checks the options and fills in what is left out.
func (o *Options) complete() error {
	if _, err := idp.New(o.Client, o.Mode); err != nil {
		return fmt.Errorf("mode: %w", err)
	}
	base, flag, err := baseURL(o.BaseURL)
	if err != nil {
		return err
	}
	o.BaseURL = base
	if flag && o.Client == idp.Entra {
		o.Mode = idp.Flag
	}
	if o.Mode == "" && len(idp.Modes(o.Client)) > 0 {
		o.Mode = idp.Modes(o.Client)[0]
	}
	for _, n := range []struct {
		what             string
		value            *int
		least, most, def int
	}{
		{"users", &o.Users, MinUsers, MaxUsers, 10},
		{"groups", &o.Groups, 1, MaxGroups, 2},
		{"parallel", &o.Parallel, 1, MaxParallel, 50},
	} {
		if *n.value == 0 {
			*n.value = n.def
		}
		if *n.value < n.least || *n.value > n.most {
			return fmt.Errorf("%s: %d is out of range: use %d to %d", n.what, *n.value, n.least, n.most)
		}
	}
	if o.Domain == "" {
		o.Domain = "example.com"
	}
	switch {
	case o.Token == "":
		return errors.New("token: none is given; create one at the server for this client")
	case strings.ContainsFunc(o.Token, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return errors.New("token: it has spaces, line breaks or characters beyond ASCII, which no header can carry")
	case !domainShape.MatchString(strings.ToLower(o.Domain)):
		return fmt.Errorf("domain: %q is not a domain name, such as example.com", o.Domain)
	case o.Name != "" && !nameShape.MatchString(o.Name):
		return fmt.Errorf("name: %q: use up to 20 lower-case letters and digits", o.Name)
	case o.MaxWait < 0 || o.Timeout < 0:
		return errors.New("waits and timeouts must not be negative")
	}
	if o.MaxWait == 0 {
		o.MaxWait = 30 * time.Second
	}
	if o.Timeout == 0 {
		o.Timeout = 60 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Wait == nil {
		o.Wait = wait
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// baseURL is the address without a slash at its end, and without Entra's flag,
// which flag reports.
func baseURL(s string) (base string, flag bool, err error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "", false, fmt.Errorf("url: %q is not a URL such as https://scim.example.com/scim/v2", s)
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return "", false, fmt.Errorf("url: %q: want an address such as https://scim.example.com/scim/v2", s)
	case u.User != nil:
		return "", false, errors.New("url: it has a user name or password in it: leave that out, the token is sent instead")
	case u.Fragment != "":
		return "", false, fmt.Errorf("url: %q: leave out what begins with #", s)
	}
	switch q := u.RawQuery; {
	case q == "aadOptscim062020" || q == "aadOptscim062020=":
		flag = true
	case q != "":
		return "", false, fmt.Errorf("url: %q: leave out what begins with ?; only Entra's ?aadOptscim062020 is known", s)
	}
	u.RawQuery, u.ForceQuery = "", false
	return strings.TrimRight(u.String(), "/"), flag, nil
}

// Loopback reports whether a base URL leads to this machine by its name or
// address alone.
func Loopback(base string) bool {
	u, err := url.Parse(base)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
