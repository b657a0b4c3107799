//go:build !unix

package redistest

import "runtime"

// Pause skips the test: this system cannot stop a process without ending it.
func (s *Server) Pause() {
	s.t.Helper()
	s.t.Skipf("%s cannot pause redis-server: run this test on Linux or another Unix", runtime.GOOS)
}

// Resume does nothing: Pause does not return.
func (s *Server) Resume() {}
