//go:build !linux

package invariants

import "syscall"

func childAttr() *syscall.SysProcAttr { return nil }
