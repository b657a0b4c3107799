//go:build !linux

package pgtest

import (
	"errors"
	"os"
	"syscall"
)

// account says as whom to run: PostgreSQL refuses root.
func account(string) (*syscall.SysProcAttr, error) {
	if os.Geteuid() == 0 {
		return nil, errors.New("PostgreSQL refuses to run as root: run the tests as an ordinary user")
	}
	return nil, nil
}
