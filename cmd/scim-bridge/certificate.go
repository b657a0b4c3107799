package main

import (
	"crypto/tls"
	"os"
	"sync"
	"time"
)

// certificateEvery is how often it is looked whether the files changed.
const certificateEvery = time.Minute

// certificate is a key pair in two files that may be renewed while it is in
// use. It is safe for concurrent use.
type certificate struct {
	certFile, keyFile string

	mu      sync.Mutex
	current *tls.Certificate
	changed time.Time // of the certificate's file when it was read
	looked  time.Time
}

// get is for tls.Config.GetCertificate. While a renewed pair cannot be read,
// the one before goes on: its files are written one after the other.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil && time.Since(c.looked) < certificateEvery {
		return c.current, nil
	}
	c.looked = time.Now()
	info, err := os.Stat(c.certFile)
	if err == nil && c.current != nil && info.ModTime().Equal(c.changed) {
		return c.current, nil
	}
	pair, loadErr := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if loadErr != nil {
		if c.current != nil {
			return c.current, nil
		}
		return nil, loadErr
	}
	c.current = &pair
	if err == nil {
		c.changed = info.ModTime()
	}
	return c.current, nil
}
