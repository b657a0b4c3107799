//go:build unix

package invariants

import "syscall"

// pause stops the process without ending it, until resume.
func (p *process) pause() { p.signal(syscall.SIGSTOP) }

func (p *process) resume() { p.signal(syscall.SIGCONT) }

func (p *process) signal(s syscall.Signal) {
	p.rig.t.Helper()
	check(p.rig.t, p.cmd.Process.Signal(s))
}
