package cache_test

import (
	"log/slog"
	"testing"

	"github.com/sharearefund/scim-bridge/cache"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	cache.RouteClientLog(slog.New(slog.DiscardHandler))
	// The library's goroutine that redials a dead server looks only once a
	// second whether its client was closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}
