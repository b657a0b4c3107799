package doctor

import (
	"context"
	"net/http"
	"net/url"
)

// CheckUpstream checks the way to one upstream address: DNS, TLS, and that
// something answers.
func CheckUpstream(n Network, address string) Check {
	n = n.withDefaults()
	return Check{Name: Upstream, Look: func(ctx context.Context) []Finding {
		var f findings
		const remedy = "check upstream.base_url of the tenants, and the firewall and DNS of this host"
		u, err := url.Parse(address)
		if err != nil {
			f.add(Error, "", "correct upstream.base_url in tenant.yaml and apply it", "upstream.base_url is not a URL")
			return f
		}
		if _, err := n.addresses(ctx, u); err != nil {
			f.add(Error, address, remedy, "does not resolve: %s", reason(err))
			return f
		}
		if !f.reach(ctx, n, u, address, Error, remedy) {
			return f
		}
		r, err := n.do(ctx, request{method: http.MethodHead, url: address})
		switch {
		case err != nil:
			f.add(Error, address, remedy, "does not answer: %s", reason(err))
		case r.status >= 300 && r.status < 400:
			f.add(Notice, address, "see that base_url is the API's and not a web site's", "redirects to %s", destination(r.header.Get("Location")))
		default:
			f.ok(address, "answers in %s", span(r.took))
		}
		return f
	}}
}
