//go:build !race

package provision_test

const raced = false
