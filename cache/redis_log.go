package cache

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// RouteClientLog sends to l, at level debug, what the Redis client library has
// to say by itself; it writes to standard error otherwise. The library has one
// log for the whole process, so this belongs in main, before NewRedis.
func RouteClientLog(l *slog.Logger) { redis.SetLogger(clientLog{l}) }

type clientLog struct{ *slog.Logger }

func (l clientLog) Printf(ctx context.Context, format string, v ...any) {
	if l.Enabled(ctx, slog.LevelDebug) {
		l.LogAttrs(ctx, slog.LevelDebug, "redis client", slog.String("text", fmt.Sprintf(format, v...)))
	}
}
