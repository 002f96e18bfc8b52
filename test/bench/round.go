package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// settle is how long a server runs before it is measured in a round: half of it
// idle, so that it reads its endpoints' metrics again, half of it under load.
const settle = 400 * time.Millisecond

// A sample is what one round of one server gave.
type sample struct {
	wall      time.Duration
	cpu       time.Duration   // of the server's process
	latencies []time.Duration // of every exchange that ended within the round, sorted
	resident  int64           // bytes the server held when the round ended
	scrapes   int64           // metrics pages it read
}

// cpuPerExchange is in nanoseconds.
func (s sample) cpuPerExchange() float64 { return float64(s.cpu) / float64(len(s.latencies)) }

// perSecond is how many exchanges ended in a second.
func (s sample) perSecond() float64 { return float64(len(s.latencies)) / s.wall.Seconds() }

// cpuShare is the share of one core that the server used.
func (s sample) cpuShare() float64 { return s.cpu.Seconds() / s.wall.Seconds() }

// observe reads the meters of s's process now, and again after duration.
// Scraped is the count of metrics pages served so far.
func observe(ctx context.Context, s *server, duration time.Duration, scraped func() int64) (start time.Time, got sample, err error) {
	pid := s.cmd.Process.Pid
	before, err := cpuTime(pid)
	if err != nil {
		return start, got, err
	}
	pages := scraped()
	start = time.Now()
	if err := sleep(ctx, duration); err != nil {
		return start, got, err
	}
	// The clocks are read together: the timer may have been late.
	after, err := cpuTime(pid)
	if err != nil {
		return start, got, err
	}
	got = sample{wall: time.Since(start), cpu: after - before, scrapes: scraped() - pages}
	got.resident, err = residentBytes(pid)
	return start, got, err
}

// measureIdle measures a server that nothing is asked of.
func measureIdle(ctx context.Context, s *server, duration time.Duration, scraped func() int64) (got sample, err error) {
	err = awake(s, func() error {
		if err := sleep(ctx, settle); err != nil {
			return err
		}
		_, got, err = observe(ctx, s, duration, scraped)
		return err
	})
	return got, err
}

// measureRound measures a server under a closed loop of concurrency clients. An
// exchange that fails ends the round.
func measureRound(ctx context.Context, s *server, concurrency int, duration time.Duration, scraped func() int64) (got sample, err error) {
	err = awake(s, func() error {
		if err := sleep(ctx, settle/2); err != nil {
			return err
		}
		ctx, fail := context.WithCancelCause(ctx)
		defer fail(nil)
		loop := startLoop(ctx, fail, s, concurrency)
		var start time.Time
		err := sleep(ctx, settle/2)
		if err == nil {
			start, got, err = observe(ctx, s, duration, scraped)
		}
		ended := loop.stop()
		if err := cmp.Or(err, context.Cause(ctx)); err != nil {
			return err
		}
		got.latencies = within(ended, start, start.Add(got.wall))
		if len(got.latencies) == 0 {
			return fmt.Errorf("no exchange ended within %s; make -round-time longer", duration)
		}
		return nil
	})
	if err != nil {
		return got, fmt.Errorf("server %s: %w%s", s.name, err, s.lastWords())
	}
	return got, nil
}

// awake lets s run while do runs. All other servers stand still then, so that
// their scraping takes nothing from the one that is measured.
func awake(s *server, do func() error) error {
	if err := resume(s.cmd.Process); err != nil {
		return fmt.Errorf("let server %s run: %w", s.name, err)
	}
	err := do()
	if pauseErr := pause(s.cmd.Process); pauseErr != nil && err == nil {
		return fmt.Errorf("halt server %s: %w", s.name, pauseErr)
	}
	return err
}

// finished is one exchange: when it ended and how long it took.
type finished struct {
	end  time.Time
	took time.Duration
}

// A loop is a number of clients, each of which begins its next exchange when
// the last one has ended.
type loop struct {
	quit    chan struct{} // closed to let each client finish and leave
	clients sync.WaitGroup
	done    [][]finished // by client
}

// startLoop sets the clients going. The first exchange that goes wrong is told
// to fail, which should end ctx.
func startLoop(ctx context.Context, fail func(error), s *server, concurrency int) *loop {
	l := &loop{quit: make(chan struct{}), done: make([][]finished, concurrency)}
	for i := range concurrency {
		l.clients.Go(func() {
			for turn := i; !l.over(); turn++ {
				begin := time.Now()
				if err := s.pool[turn%len(s.pool)].run(ctx, s.client); err != nil {
					fail(err)
					return
				}
				end := time.Now()
				l.done[i] = append(l.done[i], finished{end, end.Sub(begin)})
			}
		})
	}
	return l
}

func (l *loop) over() bool {
	select {
	case <-l.quit:
		return true
	default:
		return false
	}
}

// stop waits for the clients and returns what each did.
func (l *loop) stop() [][]finished {
	close(l.quit)
	l.clients.Wait()
	return l.done
}

// within are the sorted latencies of the exchanges that ended from start to end.
func within(done [][]finished, start, end time.Time) []time.Duration {
	var took []time.Duration
	for _, client := range done {
		for _, f := range client {
			if !f.end.Before(start) && f.end.Before(end) {
				took = append(took, f.took)
			}
		}
	}
	slices.Sort(took)
	return took
}

// sleep waits for d, or returns the reason why ctx ended before.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
