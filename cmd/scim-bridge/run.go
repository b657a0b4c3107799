package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit statuses.
const (
	exitOK      = 0
	exitFailure = 1
	// exitUsage is that of a wrong command line or configuration: running the
	// same again cannot help.
	exitUsage = 2
)

// cli is what the commands share.
type cli struct {
	env            func(name string) (string, bool)
	stdin          io.Reader
	stdout, stderr io.Writer
	// config is the flag --config.
	config string
}

// run carries out one command line and returns the exit status.
func run(ctx context.Context, args []string, env func(string) (string, bool), stdin io.Reader, stdout, stderr io.Writer) int {
	c := &cli{env: env, stdin: stdin, stdout: stdout, stderr: stderr}
	root := c.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	return c.report(cmd, err)
}

// report tells why a command ended, in as few lines as there are faults.
func (c *cli) report(cmd *cobra.Command, err error) int {
	if faults, ok := errors.AsType[*faultsError](err); ok {
		fmt.Fprintln(c.stderr, faults.text)
		return exitUsage
	}
	if failed, ok := errors.AsType[*failure](err); ok {
		if errors.Is(failed.err, syscall.EPIPE) {
			return exitFailure // whoever read our output left
		}
		if ctx := cmd.Context(); ctx != nil && ctx.Err() != nil && errors.Is(failed.err, context.Canceled) {
			fmt.Fprintln(c.stderr, "scim-bridge: interrupted")
			return exitFailure
		}
		for line := range strings.Lines(failed.err.Error()) {
			fmt.Fprintln(c.stderr, "scim-bridge: "+strings.TrimRight(line, "\n"))
		}
		return exitFailure
	}
	// Everything else comes from reading the command line.
	message, _, _ := strings.Cut(err.Error(), "\n")
	fmt.Fprintf(c.stderr, "scim-bridge: %s (see `%s --help`)\n", message, cmd.CommandPath())
	return exitUsage
}

// failure is the error of a command that ran, as opposed to one that was not
// understood.
type failure struct{ err error }

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// faultsError is what is wrong with a configuration, a line for each fault.
type faultsError struct{ text string }

func (f *faultsError) Error() string { return f.text }

// usageError is what is wrong with the command line.
type usageError struct{ text string }

func (u *usageError) Error() string { return u.text }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// does marks the errors of f as those of a command that ran.
func does(f func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := f(cmd, args)
		if err == nil {
			return nil
		}
		if _, ok := errors.AsType[*usageError](err); ok {
			return err
		}
		return &failure{err}
	}
}

// noArgs is cobra.NoArgs with a message that helps.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("unexpected argument %q", args[0])
	}
	return nil
}

// oneArg wants one argument, whose name in messages is what.
func oneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return usagef("missing argument: %s", what)
		case len(args) > 1:
			return usagef("unexpected argument %q", args[1])
		case args[0] == "":
			return usagef("empty argument: %s", what)
		}
		return nil
	}
}

// group makes a command that only has subcommands refuse anything else.
func group(cmd *cobra.Command, subcommands ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(subcommands...)
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				return usagef("unknown command %q; did you mean %q?", args[0], near[0])
			}
			return usagef("unknown command %q", args[0])
		}
		return cmd.Help()
	}
	return cmd
}

// version is the module's version as it was built.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (v == "" || v == "(devel)") {
			v = "devel-" + s.Value[:min(12, len(s.Value))]
		}
	}
	if v == "" || v == "(devel)" {
		v = "devel"
	}
	return v
}

func platform() string { return runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH }
