//go:build !race

package badinput

const raced = false
