package main

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sharearefund/scim-bridge/cache/cachetest/redistest"
	"github.com/sharearefund/scim-bridge/store/storetest/pgtest"
)

func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){"scim-bridge": main})
}

// tests are the package's, with a PostgreSQL that ends with them.
type tests struct{ m *testing.M }

func (t tests) Run() int { return pgtest.Run(t.m) }

var updateScripts = flag.Bool("update", false, "rewrite the golden parts of the scripts")

// TestScript runs the sessions in testdata/script. Besides testscript's own
// commands they have those of script_test.go.
func TestScript(t *testing.T) { runScripts(t, "testdata/script", nil) }

// TestServices runs the sessions in testdata/services, which need a PostgreSQL
// and a Redis.
func TestServices(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	runScripts(t, "testdata/services", map[string]string{
		"SCIM_BRIDGE_STORE_URL": pgtest.Database(t),
		"SCIM_BRIDGE_REDIS_URL": server.URL(),
	}, func(ts *testscript.TestScript, neg bool, args []string) {
		switch {
		case len(args) == 1 && args[0] == "kill":
			server.Kill()
		case len(args) == 1 && args[0] == "restart":
			server.Restart()
		default:
			ts.Fatalf("usage: redis kill|restart")
		}
	})
}

// runScripts runs a folder of scripts with the given variables.
func runScripts(t *testing.T, dir string, env map[string]string, redis ...func(*testscript.TestScript, bool, []string)) {
	p := testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *updateScripts,
		Setup: func(e *testscript.Env) error {
			for name, value := range env {
				e.Setenv(name, value)
			}
			tmp := e.WorkDir + "/tmp" // where a demo without --data keeps its own
			e.Setenv("TMPDIR", tmp)
			e.Values[servicesKey{}] = services{}
			return os.MkdirAll(tmp, 0o700)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"start":    cmdStart,
			"end":      cmdEnd,
			"await":    cmdAwait,
			"http":     cmdHTTP,
			"json":     cmdJSON,
			"columns":  cmdColumns,
			"occupy":   cmdOccupy,
			"signal":   cmdSignal,
			"status":   cmdStatus,
			"tokenenv": cmdTokenEnv,
			"tokenid":  cmdTokenID,
		},
	}
	for _, f := range redis {
		p.Cmds["redis"] = f
	}
	if raced {
		p.Dir, p.Files = "", everySecond(t, dir)
	}
	testscript.Run(t, p)
}

// everySecond lists half of a folder's scripts.
func everySecond(t *testing.T, dir string) (files []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(all) == 0 {
		t.Fatalf("no scripts in %s: %v", dir, err)
	}
	for i := 0; i < len(all); i += 2 {
		files = append(files, all[i])
	}
	return files
}
