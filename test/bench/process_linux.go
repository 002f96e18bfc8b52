package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is the CPU time, user and system, that the process has used so far
// with all its threads, those that have ended included.
//
// It reads the process's own CPU clock (clock_getcpuclockid(3)), which counts
// in nanoseconds: /proc/PID/stat counts in ticks of 10 ms, one in a hundred of
// a short round, and /proc/PID/schedstat knows one thread only.
func cpuTime(pid int) (time.Duration, error) {
	const schedClock = 2 // CPUCLOCK_SCHED of linux/posix-timers.h, for a process
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|schedClock, &t); err != nil {
		return 0, fmt.Errorf("read the CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// residentBytes is the memory that the process holds now (RSS).
func residentBytes(pid int) (int64, error) {
	path := "/proc/" + strconv.Itoa(pid) + "/statm"
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0, fmt.Errorf("read %s: %w", path, err)
	}
	return resident * int64(os.Getpagesize()), nil
}

// cores are the CPUs that this process may use, in order.
func cores() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("read the CPU affinity: %w", err)
	}
	var list []int
	for cpu := 0; len(list) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			list = append(list, cpu)
		}
	}
	return list, nil
}

func cpuSet(cpus []int) *unix.CPUSet {
	set := &unix.CPUSet{}
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	return set
}

// pinSelf lets this process run on cpus only.
func pinSelf(cpus []int) error {
	// A thread born while the list is read has its parent's affinity, which may
	// still be the old one; the second pass finds it.
	for range 2 {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("list the threads of the client: %w", err)
		}
		for _, task := range tasks {
			tid, err := strconv.Atoi(task.Name())
			if err != nil {
				return fmt.Errorf("list the threads of the client: %w", err)
			}
			if err := unix.SchedSetaffinity(tid, cpuSet(cpus)); err != nil && err != unix.ESRCH {
				return fmt.Errorf("pin the client to CPUs %v: %w", cpus, err)
			}
		}
	}
	runtime.GOMAXPROCS(len(cpus))
	return nil
}

// startPinned starts cmd so that it runs on cpus only, from its first
// instruction on: its Go runtime then takes their number for GOMAXPROCS. The
// kernel ends the process when ours ends, whatever ends it.
func startPinned(cmd *exec.Cmd, cpus []int) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:   true, // Ctrl-C reaches the driver alone, which then ends its children
		Pdeathsig: syscall.SIGKILL,
	}
	// A child inherits the affinity of the thread that makes it, so that thread
	// takes the child's place for a moment. It must outlive the child (see
	// PR_SET_PDEATHSIG), which it does: Go ends a thread only if its goroutine
	// exits while locked to it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var mine unix.CPUSet
	if err := unix.SchedGetaffinity(0, &mine); err != nil {
		return fmt.Errorf("read the CPU affinity: %w", err)
	}
	if err := unix.SchedSetaffinity(0, cpuSet(cpus)); err != nil {
		return fmt.Errorf("pin a server to CPUs %v: %w", cpus, err)
	}
	startErr := cmd.Start()
	if err := unix.SchedSetaffinity(0, &mine); err != nil {
		return fmt.Errorf("unpin the client: %w", err)
	}
	return startErr
}

// pause and resume stop a process and let it go on.
func pause(p *os.Process) error  { return p.Signal(syscall.SIGSTOP) }
func resume(p *os.Process) error { return p.Signal(syscall.SIGCONT) }
