package server

import (
	"net/http"
	"net/netip"
	"strings"
)

// maxHops bounds how many entries of X-Forwarded-For are read.
const maxHops = 32

// clientAddr is the address of the client: the peer's, or, when the peer is a
// trusted proxy, the last address in X-Forwarded-For that is not a trusted
// proxy itself. Whatever stands left of that was written by the client.
func (s *server) clientAddr(r *http.Request) netip.Addr {
	addr := peer(r)
	if !s.trusts(addr) {
		return addr
	}
	list := strings.Join(r.Header["X-Forwarded-For"], ",")
	for range maxHops {
		i := strings.LastIndexByte(list, ',')
		hop, err := parseHop(list[i+1:])
		if err != nil {
			return addr
		}
		addr = hop
		if i < 0 || !s.trusts(addr) {
			return addr
		}
		list = list[:i]
	}
	return addr
}

// parseHop reads an entry of X-Forwarded-For: an address, with or without a
// port.
func parseHop(s string) (netip.Addr, error) {
	s = strings.TrimSpace(s)
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap(), nil
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	return addr.Unmap(), err
}

// peer is the address of the connection; the zero Addr when there is none, as
// on a Unix socket.
func peer(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

func (s *server) trusts(addr netip.Addr) bool {
	for _, p := range s.TrustedProxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
