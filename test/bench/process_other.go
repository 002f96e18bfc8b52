//go:build !linux

package main

import (
	"errors"
	"os"
	"os/exec"
	"time"
)

// errLinuxOnly says why nothing is measured here: per-process CPU clocks and
// CPU affinity are Linux's.
var errLinuxOnly = errors.New("the benchmark runs on Linux only")

func cpuTime(int) (time.Duration, error) { return 0, errLinuxOnly }
func residentBytes(int) (int64, error)   { return 0, errLinuxOnly }
func cores() ([]int, error)              { return nil, errLinuxOnly }
func pinSelf([]int) error                { return errLinuxOnly }
func startPinned(*exec.Cmd, []int) error { return errLinuxOnly }
func pause(*os.Process) error            { return errLinuxOnly }
func resume(*os.Process) error           { return errLinuxOnly }
