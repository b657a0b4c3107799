//go:build !race

package scim_test

const raced = false
