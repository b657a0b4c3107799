package invariants

import "syscall"

// childAttr lets the kernel kill the child when the test binary dies without
// running its cleanup.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
