package invariants

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sharearefund/scim-bridge/store/storetest/pgtest"
)

// binary is the program under test.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

// quiet keeps the tests' own Redis clients from printing that a server which
// the tests killed is gone.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

func run(m *testing.M) int {
	redis.SetLogger(quiet{})
	manyAtOnce()
	dir, err := os.MkdirTemp("", "invariants")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "scim-bridge")
	args := []string{"build", "-o", binary}
	if raced {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, "github.com/sharearefund/scim-bridge/cmd/scim-bridge")...)
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the binary under test: %v\n%s", err, out)
		return 1
	}
	return pgtest.Run(m)
}

// manyAtOnce runs more parallel tests than there are processors, unless the
// command line says how many: most of them wait for a lease to run out or for
// an upstream that does not answer.
func manyAtOnce() {
	flag.Parse()
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if !said {
		_ = flag.Set("test.parallel", "12") // the flag is there in every test binary
	}
}

// times is how often to repeat something: fewer times where the race detector
// makes everything slow.
func times(n int) int {
	if raced {
		return max(n/4, 1)
	}
	return n
}
