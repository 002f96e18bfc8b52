//go:build linux

package main

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// ownUsage is the CPU time of this process as getrusage(2) has it.
func ownUsage(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestCPUTimeCountsWhatGetrusageCounts(t *testing.T) {
	read := func() time.Duration {
		used, err := cpuTime(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		return used
	}
	usageBefore, before := ownUsage(t), read()
	sum := 0
	for read()-before < 100*time.Millisecond {
		for i := range 100_000 {
			sum += i
		}
	}
	got, want := read()-before, ownUsage(t)-usageBefore
	if difference := (got - want).Abs(); difference > 20*time.Millisecond {
		t.Errorf("the CPU clock went on by %s, getrusage by %s (%d)", got, want, sum)
	}
}

func TestCPUTimeOfAnUnknownProcessIsAnError(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid // has ended and is waited for
	if _, err := cpuTime(pid); err == nil || !strings.Contains(err.Error(), strconv.Itoa(pid)) {
		t.Errorf("got error %v, want one that names process %d", err, pid)
	}
	if _, err := residentBytes(pid); err == nil {
		t.Error("got the memory of a process that is not there")
	}
}

func TestResidentBytesOfThisProcess(t *testing.T) {
	got, err := residentBytes(os.Getpid())
	if err != nil || got < 1<<20 || got > 1<<36 {
		t.Errorf("residentBytes = %d, error %v", got, err)
	}
}

func TestStartPinnedStartsOnTheCoresAndLeavesOurs(t *testing.T) {
	before, err := cores()
	if err != nil {
		t.Fatal(err)
	}
	last := before[len(before)-1:]
	var out strings.Builder
	cmd := exec.Command("grep", "Cpus_allowed_list", "/proc/self/status")
	cmd.Stdout = &out
	if err := startPinned(cmd, last); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if fields := strings.Fields(out.String()); len(fields) != 2 || fields[1] != strconv.Itoa(last[0]) {
		t.Errorf("the child said %q, want CPU %d", out.String(), last[0])
	}
	after, err := cores()
	if err != nil || len(after) != len(before) {
		t.Errorf("we may use CPUs %v after, %v before (error %v)", after, before, err)
	}
}
