//go:build !unix

package invariants

import "runtime"

// pause skips the test: this system cannot stop a process without ending it.
func (p *process) pause() {
	p.rig.t.Helper()
	p.rig.t.Skipf("%s cannot pause a process: run this test on Linux or another Unix", runtime.GOOS)
}

func (p *process) resume() {}
