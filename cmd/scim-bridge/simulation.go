package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/simulate/idp"
)

// tokenVariable has the token where no flag names one.
const tokenVariable = "SCIM_TOKEN"

// maxTokenFile is how much of a token's file is read, in bytes.
const maxTokenFile = 64 << 10

// simulation is one run of the simulate command.
type simulation struct {
	c                *cli
	token, tokenFile string
	report           string
	flag, yes, plain bool
	o                simulate.Options
}

func (c *cli) simulateCommand() *cobra.Command {
	s := &simulation{c: c}
	cmd := &cobra.Command{
		Use: "simulate " + strings.Join(idp.Names(), "|") + " --url URL", Short: "Play an identity provider against a SCIM server and report",
		Args: oneArg("the client to play: " + strings.Join(idp.Names(), ", ")),
		Long: `Play what an identity provider does against any SCIM 2.0 server: test the
connection, look people up, create, read, rename, disable and restore them, push
groups, change members many at once, wait when asked to. The report says which
expectations of that client the server did not meet, what came instead, and what
the client would do then; every expectation has its source. It can be attached
to a ticket: it has no token, and of people who were there before at most what the server
names in the detail of a refusal.

The token is read from --token-file or from the variable ` + tokenVariable + `. With --token it is
seen in the list of processes.

People are created at the server: simulate-RUN-01@example.com and so on, in groups
simulate-RUN-group-01 and so on. A SERVER MAY SEND INVITE MAILS to these addresses:
choose --domain accordingly. Unless the URL leads to this machine, --yes is needed.
What was created is removed at the end, also after Ctrl-C, unless --keep is given;
what could not be removed is listed.

Each wait is cut at --max-wait. What is answered 429 again after that is given up,
and its step is "interrupted". Guards of a scim-bridge tenant count the run's
changes, too: give a tenant for tests wide guards, or release deactivations,
role_losses and addresses before a second run (tenant guard release … --for 1h).

What a server says in the detail of a refusal is quoted. Mail addresses of others
in it are masked, names in free text are not: look at the report before passing
it on.

The exit status is 1 when an expectation was not met, or when the run did not come
to its end; 2 when the command line is wrong.`,
		Example: `  scim-bridge simulate okta --url https://scim.example.com/v2 --token-file token.txt --yes
  scim-bridge simulate okta --mode wizard --url http://127.0.0.1:8080/scim/v2
  scim-bridge simulate entra --flag --url http://127.0.0.1:8080/scim/v2 --report report.json`,
		RunE: does(func(cmd *cobra.Command, args []string) error {
			s.o.Client = args[0]
			return s.run(cmd.Context())
		}),
		ValidArgsFunction: cobra.FixedCompletions(idp.Names(), cobra.ShellCompDirectiveNoFileComp),
	}
	f := cmd.Flags()
	f.StringVar(&s.o.BaseURL, "url", "", "the SCIM base `URL`")
	f.StringVar(&s.tokenFile, "token-file", "", "read the bearer token from this `FILE`")
	f.StringVar(&s.token, "token", "", "the bearer `TOKEN`; other users of this machine can see it")
	f.StringVar(&s.o.Mode, "mode", "", "okta: the `KIND` of application, catalogue (PATCH, the default) or wizard (PUT)")
	f.BoolVar(&s.flag, "flag", false, "entra: as with ?aadOptscim062020 in the tenant URL")
	f.IntVar(&s.o.Users, "users", 10, fmt.Sprintf("create this `NUMBER` of people, %d to %d", simulate.MinUsers, simulate.MaxUsers))
	f.IntVar(&s.o.Groups, "groups", 2, fmt.Sprintf("create this `NUMBER` of groups, 1 to %d", simulate.MaxGroups))
	f.IntVar(&s.o.Parallel, "parallel", 50, fmt.Sprintf("send this `NUMBER` of member changes at once, 1 to %d", simulate.MaxParallel))
	f.StringVar(&s.o.Domain, "domain", "example.com", "the `DOMAIN` of the people's addresses")
	f.DurationVar(&s.o.MaxWait, "max-wait", 30*time.Second, "wait at most this `DURATION` each time that the server asks to")
	f.DurationVar(&s.o.Timeout, "timeout", 60*time.Second, "wait at most this `DURATION` for an answer")
	f.StringVar(&s.report, "report", "", "write the report to this `FILE`, too: as JSON if its name ends in .json, else as text")
	f.BoolVar(&s.o.Keep, "keep", false, "leave what was created at the server")
	f.BoolVar(&s.yes, "yes", false, "create people at a server that is not on this machine")
	f.BoolVar(&s.plain, "plain-http", false, "send the token without encryption to a server that is not on this machine")
	_ = cmd.MarkFlagFilename("token-file")
	_ = cmd.MarkFlagFilename("report", "json", "txt")
	_ = cmd.RegisterFlagCompletionFunc("mode", cobra.FixedCompletions(idp.Modes(idp.Okta), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// check reads the command line and the token.
func (s *simulation) check() error {
	if !slices.Contains(idp.Names(), s.o.Client) {
		return usagef("%q: use %s", s.o.Client, strings.Join(idp.Names(), ", "))
	}
	switch {
	case s.flag && s.o.Client != idp.Entra:
		return usagef("--flag is Entra's: leave it out for %s", s.o.Client)
	case s.o.Mode != "" && s.o.Client != idp.Okta:
		return usagef("--mode is Okta's: leave it out for %s", s.o.Client)
	case s.flag:
		s.o.Mode = idp.Flag
	}
	if s.o.BaseURL == "" {
		return usagef("--url is missing: the SCIM base URL, such as https://scim.example.com/scim/v2")
	}
	for _, n := range []struct {
		flag               string
		value, least, most int
	}{
		{"users", s.o.Users, simulate.MinUsers, simulate.MaxUsers}, {"groups", s.o.Groups, 1, simulate.MaxGroups}, {"parallel", s.o.Parallel, 1, simulate.MaxParallel},
	} {
		if n.value == 0 { // the zero of Options means its default
			return usagef("--%s: 0 is out of range: use %d to %d", n.flag, n.least, n.most)
		}
	}
	if s.o.Domain == "" {
		return usagef("--domain is empty: use one such as example.com")
	}
	if err := s.readToken(); err != nil {
		return err
	}
	if err := s.o.Check(); err != nil {
		return usagef("--%s", err)
	}
	if simulate.Loopback(s.o.BaseURL) {
		return nil
	}
	if u, err := url.Parse(s.o.BaseURL); err == nil && u.Scheme == "http" && !s.plain {
		return usagef("--url %q: the token would travel without encryption: use https, or add --plain-http if that is meant", s.o.BaseURL)
	}
	if !s.yes {
		return usagef("--url %q: %d people at %s would be created there, and the server may send them invite mails: choose --domain, and add --yes if that is meant", s.o.BaseURL, s.o.Users, s.o.Domain)
	}
	return nil
}

func (s *simulation) readToken() error {
	switch {
	case s.token != "" && s.tokenFile != "":
		return usagef("--token and --token-file: use one of them")
	case s.token != "":
		s.o.Token = s.token
	case s.tokenFile != "":
		f, err := os.Open(s.tokenFile)
		if err != nil {
			return usagef("--token-file: %s: name the file that has the token", err)
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, maxTokenFile))
		if err != nil {
			return usagef("--token-file %s: %s: name the file that has the token", s.tokenFile, err)
		}
		s.o.Token = strings.TrimSpace(string(b))
		if s.o.Token == "" {
			return usagef("--token-file %s: the file is empty", s.tokenFile)
		}
	default:
		token, _ := s.c.env(tokenVariable)
		if s.o.Token = strings.TrimSpace(token); s.o.Token == "" {
			return usagef("no token is given: use --token-file FILE or the variable %s", tokenVariable)
		}
	}
	return nil
}

// errNotMet ends a run whose report has failures, which was printed.
var errNotMet = errors.New("expectations were not met: see the report above")

// errCutShort ends a run of which steps were not played to their end.
var errCutShort = errors.New("the run did not come to its end: see what is interrupted in the report above")

func (s *simulation) run(ctx context.Context) error {
	if err := s.check(); err != nil {
		return err
	}
	if err := s.checkReport(); err != nil {
		return err
	}
	s.o.Version = version()
	bar := s.c.progress("simulate " + s.o.Client)
	if bar.moves {
		s.o.Progress = func(p simulate.Progress) { bar.show(p.Done, p.Total) }
	}
	report, err := simulate.Run(ctx, s.o)
	bar.end()
	if report == nil {
		return err
	}
	failed := errors.Join(report.WriteText(s.c.stdout), s.save(report))
	switch {
	case err != nil || failed != nil:
		return errors.Join(failed, err)
	case report.Verdict == simulate.Failed:
		return errNotMet
	case report.Verdict == simulate.Interrupted:
		return errCutShort
	}
	return nil
}

// checkReport finds out, before anybody is created, whether the report can be
// written where --report says.
func (s *simulation) checkReport() error {
	if s.report == "" {
		return nil
	}
	if info, err := os.Stat(s.report); err == nil && info.IsDir() {
		return usagef("--report %s: it is a directory: name a file in it", s.report)
	}
	f, err := os.CreateTemp(filepath.Dir(s.report), ".scim-bridge-report-*")
	if err == nil {
		err = errors.Join(f.Close(), os.Remove(f.Name()))
	}
	if err != nil {
		return usagef("--report %s: %s: name a file in a directory that is there and where you may write", s.report, err)
	}
	return nil
}

// save writes the report to the file that --report names: wholly or not at all,
// and for this user alone.
func (s *simulation) save(report *simulate.Report) (err error) {
	if s.report == "" {
		return nil
	}
	var b bytes.Buffer
	if strings.EqualFold(filepath.Ext(s.report), ".json") {
		e := json.NewEncoder(&b)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		err = e.Encode(report)
	} else {
		err = report.WriteText(&b)
	}
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(s.report), ".scim-bridge-report-*") // 0600
	if err != nil {
		return fmt.Errorf("--report: %w", err)
	}
	_, err = f.Write(b.Bytes())
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), s.report)
	}
	if err != nil {
		return fmt.Errorf("--report %s: %w", s.report, errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}
