// Package verify is the judge: it holds a topic and the windows made of it against the answer key of the
// log they came from.
//
// It reads topics with another client than the one that wrote them, decodes events with another decoder,
// and imports nothing of ours but the answer key's plain types: a mistake in what it judges can't mend
// itself here.
//
// # Lines
//
// With the file of line digests every record of the topic is one of these.
//
//   - right: a line of the key, once, behind the lines before it in its partition.
//   - duplicate: the line was there already, as often as the key has it.
//   - reordered: the line's number is below one seen before in that partition.
//   - altered, torn: no line of the key, where one of the key's lines is missing: between the line numbers
//     of the known records around it in its partition. It is torn if it does not begin with { or does not
//     end with }, else altered. Each altered record stands for one missing line; of what is left, torn ones
//     stand for as many as begin with {, and at least for one. The lines that they stand for do not count
//     as missing. A carriage return at the end does not matter.
//   - foreign: no line of the key, and none is missing there.
//   - later: no line of the key, behind the last known one of its partition, where the key is not
//     complete. That is no difference.
//
// Lines that no record is, and none stands for, are missing.
//
// A line that the key has several times, with several partitions, may be in any of them: what is counted is
// how often it is there, and whether it fits between its neighbours; one fault among many such lines in a row
// may count as several. Two different lines with one digest
// are taken for the same; of 30 million lines that happens once in 40,000 logs.
//
// # Windows
//
// For each window and bucket the final results of all partitions, the rows in the topic of late events and
// those in the topic of dead letters have to make up what the key says, in exact decimal arithmetic.
package verify

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Options is what is judged, and for how long its judge waits.
type Options struct {
	// Topic has the lines; Buckets the results, Late and DeadLetters the events that are in none. Only
	// Topic has to exist.
	Topic, Buckets, Late, DeadLetters string
	// Wait is how long to wait for lines that are not in the topic yet and for windows that are not
	// closed; 0 judges what is there.
	Wait time.Duration
	// Poll is how often to look for them; 0 is a second.
	Poll time.Duration
	// Progress is told how many of how many records were read; it may be nil, and is called from one
	// goroutine at a time.
	Progress func(read, all int64)
}

// Run reads the topics to their ends and judges them. It blocks until it has, until Wait has passed and
// what is there is judged, or until ctx ends. An error means that there is no verdict.
func Run(ctx context.Context, c Connection, a *Answers, o Options) (*Report, error) {
	cl, err := c.open()
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	r := &run{cluster: cl, answers: a, o: o, deadline: time.Now().Add(o.Wait)}
	if r.o.Poll == 0 {
		r.o.Poll = time.Second
	}
	if r.o.Progress == nil {
		r.o.Progress = func(int64, int64) {}
	}
	rep := &Report{Topic: o.Topic, Complete: a.Key.Complete, Digests: a.digests != nil, Notes: a.Notes}
	if err := r.lines(ctx, rep); err != nil {
		return nil, err
	}
	if err := r.windows(ctx, rep); err != nil {
		return nil, err
	}
	rep.conclude()
	return rep, nil
}

// run is one judgement.
type run struct {
	*cluster
	answers  *Answers
	o        Options
	deadline time.Time
	events   *topic
	later    uint64
}

// judge takes the records of a topic's partitions, each from one goroutine, and then says what is wrong.
type judge interface {
	take(lane int, recs []record)
	// enough says whether as many lines have come as the key has.
	enough() bool
	// finish is called once, when there are no more records.
	finish(rep *Report) (later uint64)
}

func (r *run) lines(ctx context.Context, rep *Report) error {
	var err error
	for {
		r.events, err = r.find(ctx, r.o.Topic, false)
		if !errors.Is(err, errNoTopic) || !r.waits() {
			break
		}
		if err := r.pause(ctx); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	rep.Partitions = len(r.events.partitions)
	var j judge
	if r.answers.digests != nil {
		j = newLines(r.answers, r.events.ids())
	} else {
		j = newPlain(r.answers, r.events.ids())
	}
	for {
		if err := r.read(ctx, r.events, j.take, r.o.Progress); err != nil {
			return err
		}
		if j.enough() || !r.waits() {
			break
		}
		if err := r.pause(ctx); err != nil {
			return err
		}
		if err := r.ends(ctx, r.events); err != nil {
			return err
		}
	}
	r.later = j.finish(rep)
	return nil
}

// waits says whether there is time to look again.
func (r *run) waits() bool { return r.o.Wait > 0 && time.Now().Before(r.deadline) }

func (r *run) pause(ctx context.Context) error {
	return sleep(ctx, min(r.o.Poll, time.Until(r.deadline)))
}

// windows judges the results. The reasons not to are in the report.
func (r *run) windows(ctx context.Context, rep *Report) error {
	unchecked := func(reason string) {
		rep.add(Check{Name: "windows", Expected: number(len(r.answers.Key.Windows)), Found: "-", Result: NotChecked, Note: reason})
	}
	if r.later > 0 {
		unchecked("the key is not complete, and later events may be in any window")
		return nil
	}
	j := newResults(r.answers)
	sources := []struct {
		name string
		take func([]record)
	}{{r.o.Buckets, j.results}, {r.o.Late, j.rows}, {r.o.DeadLetters, j.rows}}
	topics := make([]*topic, len(sources))
	for {
		for i, s := range sources {
			if topics[i] == nil {
				t, err := r.find(ctx, s.name, true)
				if errors.Is(err, errNoTopic) {
					if i == 0 {
						unchecked("no topic " + s.name)
						return nil
					}
					continue
				}
				if err != nil {
					return err
				}
				topics[i] = t
			} else if err := r.ends(ctx, topics[i]); err != nil {
				return err
			}
			take := func(_ int, recs []record) { s.take(recs) }
			if err := r.read(ctx, topics[i], take, r.o.Progress); err != nil {
				return err
			}
		}
		if !j.unsettled() || !r.waits() {
			break
		}
		if err := r.pause(ctx); err != nil {
			return err
		}
	}
	if !r.answers.Key.Complete {
		grown, err := r.grown(ctx)
		if err != nil {
			return err
		}
		if grown {
			unchecked("the key is not complete, and later events have come meanwhile")
			return nil
		}
	}
	j.finish(rep)
	return nil
}

// grown says whether there are records of the log that were not read.
func (r *run) grown(ctx context.Context) (bool, error) {
	if err := r.ends(ctx, r.events); err != nil {
		return false, err
	}
	for _, p := range r.events.partitions {
		if p.next < p.end {
			return true, nil
		}
	}
	return false, nil
}

// sleep waits, or returns why it should not.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait: %w", context.Cause(ctx))
	}
}
