//go:build unix && !linux

package rig

import "syscall"

// childAttributes put a child into a group of its own. Only Linux can let it
// die with us.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
