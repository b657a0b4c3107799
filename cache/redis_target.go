package cache

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// RedisMode says how the servers of a RedisTarget stand together.
type RedisMode string

// Modes.
const (
	RedisStandalone RedisMode = "standalone"
	RedisSentinel   RedisMode = "sentinel"
	RedisCluster    RedisMode = "cluster"
)

// RedisTarget is a parsed Redis URL.
type RedisTarget struct {
	Mode RedisMode
	// Addrs are host:port pairs, or one path of a Unix socket: the server, the
	// sentinels, or seeds of the cluster.
	Addrs []string
	// Master is the name under which the sentinels know the master.
	Master string
	// DB is the database number, 0 in a cluster.
	DB                 int
	Username, Password string
	// TLS asks for encrypted connections, to sentinels too.
	TLS bool
}

const redisURLForms = `redis://host:6379/0, rediss://… for TLS, redis+sentinel://host1:26379,host2:26379/master/0, redis+cluster://host1:6379,host2:6379, or unix:///path/of/socket`

var redisSchemes = map[string]RedisTarget{
	"redis":           {Mode: RedisStandalone},
	"rediss":          {Mode: RedisStandalone, TLS: true},
	"redis+sentinel":  {Mode: RedisSentinel},
	"rediss+sentinel": {Mode: RedisSentinel, TLS: true},
	"redis+cluster":   {Mode: RedisCluster},
	"rediss+cluster":  {Mode: RedisCluster, TLS: true},
}

var redisPorts = map[RedisMode]string{
	RedisStandalone: "6379",
	RedisSentinel:   "26379",
	RedisCluster:    "6379",
}

// ParseRedisURL reads
//
//	redis://[user[:password]@]host[:6379][/db]
//	redis://[…@]host1[:6379],host2[:6379],…          a cluster, as redis+cluster
//	redis+cluster://[…@]host[:6379][,host…]
//	redis+sentinel://[…@]host[:26379][,host…]/master[/db]
//	unix:///path/of/socket
//
// with rediss in place of redis for TLS. User name and password are those of
// the data servers and may be percent-encoded. Errors never repeat the URL, as
// it may hold a password.
func ParseRedisURL(s string) (RedisTarget, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return RedisTarget{}, fmt.Errorf("redis URL has no scheme; want %s", redisURLForms)
	}
	if scheme == "unix" {
		return parseRedisSocket(rest)
	}
	t, ok := redisSchemes[strings.ToLower(scheme)]
	if !ok {
		return RedisTarget{}, fmt.Errorf("redis URL has the unknown scheme %q; want %s", clip(scheme), redisURLForms)
	}
	// The last @ ends the user information, so that a password may hold one;
	// what follows is then free of secrets and may be quoted in errors.
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		if err := t.parseUser(rest[:at]); err != nil {
			return RedisTarget{}, err
		}
		rest = rest[at+1:]
	}
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		return RedisTarget{}, fmt.Errorf("redis URL has %q after the servers; parameters are not read from it, and a %q in a password is written %s",
			rest[i:i+1], rest[i:i+1], url.QueryEscape(rest[i:i+1]))
	}
	hosts, path, _ := strings.Cut(rest, "/")
	if err := t.parseHosts(hosts); err != nil {
		return RedisTarget{}, err
	}
	if err := t.parsePath(path); err != nil {
		return RedisTarget{}, err
	}
	return t, nil
}

func parseRedisSocket(path string) (RedisTarget, error) {
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?#@") {
		return RedisTarget{}, errors.New("redis URL names no absolute socket path; want unix:///path/of/socket")
	}
	return RedisTarget{Mode: RedisStandalone, Addrs: []string{path}}, nil
}

func (t *RedisTarget) parseUser(info string) error {
	user, password, _ := strings.Cut(info, ":")
	var errUser, errPassword error
	t.Username, errUser = url.PathUnescape(user)
	t.Password, errPassword = url.PathUnescape(password)
	if errUser != nil || errPassword != nil {
		return errors.New("redis URL has a user name or password with a % that begins no percent-encoded byte; write % as %25")
	}
	return nil
}

func (t *RedisTarget) parseHosts(hosts string) error {
	for h := range strings.SplitSeq(hosts, ",") {
		addr, err := redisAddr(h, redisPorts[t.Mode])
		if err != nil {
			return err
		}
		t.Addrs = append(t.Addrs, addr)
	}
	if len(t.Addrs) > 1 && t.Mode == RedisStandalone {
		t.Mode = RedisCluster
	}
	return nil
}

func redisAddr(s, defaultPort string) (string, error) {
	host, port := s, defaultPort
	bare := strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]")
	switch {
	case bare:
		host = s[1 : len(s)-1]
	case strings.Contains(s, ":"):
		var err error
		if host, port, err = net.SplitHostPort(s); err != nil {
			return "", fmt.Errorf("redis URL has the server %q, which is not host:port (an IPv6 address is written [::1]:6379)", clip(s))
		}
	}
	if host == "" || strings.ContainsAny(host, " \t\r\n\x00/\\") {
		return "", fmt.Errorf("redis URL has the server %q without a usable host; want %s", clip(s), redisURLForms)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("redis URL has the port %q; want a number from 1 to 65535", clip(port))
	}
	return net.JoinHostPort(host, port), nil
}

func (t *RedisTarget) parsePath(path string) error {
	path = strings.TrimSuffix(path, "/")
	if t.Mode == RedisSentinel {
		master, db, _ := strings.Cut(path, "/")
		if master == "" {
			return errors.New("redis URL names no master for the sentinels; want redis+sentinel://host:26379/master")
		}
		t.Master, path = master, db
	}
	if path == "" {
		return nil
	}
	n, err := strconv.ParseUint(path, 10, 16)
	if err != nil {
		return fmt.Errorf("redis URL has the database %q; want a number such as 0", clip(path))
	}
	if t.Mode == RedisCluster && n != 0 {
		return fmt.Errorf("redis URL has the database %d, but a cluster has only database 0; leave it out", n)
	}
	t.DB = int(n)
	return nil
}

// clip keeps an error on one line.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
