// Command scim-bridge connects identity providers that speak SCIM to Share A
// Refund.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A reader of our output that leaves is an error of writing, not the end
	// of the process: what was begun is to be taken down.
	signal.Ignore(syscall.SIGPIPE)
	go func() {
		<-ctx.Done()
		stop() // a second signal ends the process at once
	}()
	os.Exit(run(ctx, os.Args[1:], os.LookupEnv, os.Stdin, os.Stdout, os.Stderr))
}
