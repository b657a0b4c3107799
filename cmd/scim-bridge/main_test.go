package main

import (
	"flag"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"scim-bridge": main})
}

var updateScripts = flag.Bool("update", false, "rewrite the golden parts of the scripts")

// TestScript runs the sessions in testdata/script. Besides testscript's own
// commands they have those of script_test.go.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *updateScripts,
		Setup: func(e *testscript.Env) error {
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
			"status":   cmdStatus,
			"tokenenv": cmdTokenEnv,
			"tokenid":  cmdTokenID,
		},
	})
}
