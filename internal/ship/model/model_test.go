package model

import (
	"flag"
	"testing"
	"time"
)

var (
	histories = flag.Int("histories", 20_000, "histories to run")
	from      = flag.Uint64("from", 0, "run those of the seeds from this one on; without it, half from 1 and half from the clock on")
	seed      = flag.Uint64("seed", 0, "run the history of this seed only, and tell its story")
)

func TestHistories(t *testing.T) {
	var m Model
	if *seed != 0 {
		m.w.trace = t.Logf
		if wrong := m.Run(*seed, Controls{}); wrong != "" {
			t.Error(wrong)
		}
		return
	}
	starts, each := []uint64{1, uint64(time.Now().UnixNano())}, uint64(*histories/2)
	if *from != 0 {
		starts, each = []uint64{*from}, uint64(*histories)
	}
	bad := 0
	var ran, trips, late int
	for _, first := range starts {
		t.Logf("%d histories, seeds from %d on", each, first)
		for s := first; s < first+each; s++ {
			if wrong := m.Run(s, Controls{}); wrong != "" {
				t.Errorf("seed %d: %s", s, wrong)
				if bad++; bad == 10 {
					return
				}
			}
			ran++
			trips += m.w.trips
			late += min(m.w.late, 1)
		}
	}
	t.Logf("%d histories: %d questions of the tripwire had to be asked again, %d had records that came late and were said", ran, trips, late)
}

// Every rule is needed: without it some history goes wrong.
func TestEachRuleIsNeeded(t *testing.T) {
	for name, c := range map[string]struct {
		Controls
		hint uint64 // a history that went wrong once
	}{
		"the first batch goes alone":                    {Controls: Controls{NotAlone: true}},
		"decisions are in both slots":                   {Controls: Controls{OneSlot: true}},
		"the state says how much may have been sent":    {Controls: Controls{NoReserve: true}},
		"both slots have reserved what is sent":         {Controls: Controls{NewerSlot: true}},
		"the number with which a file begins is stored": {Controls: Controls{NoStarts: true}},
		"the log is on disk before the position":        {Controls: Controls{NoSync: true}},
		"lines are compared with what the topic holds":  {Controls: Controls{NoCompare: true}},
		"only replicated records count":                 {Controls: Controls{LeaderWord: true}},
		// That a surprising answer is given again and again is not among them: here leaders
		// tell their epochs, and one of another is not believed at all. Of brokers that tell
		// none the shipper's tests have it (TestWhatArrivesAfterALossIsCounted).
		"another numbering after a power loss":              {Controls: Controls{SameBoot: true}, hint: 8218},
		"the same numbering after a kill":                   {Controls: Controls{BumpAtStart: true}},
		"a new numbering has a new epoch":                   {Controls: Controls{SameEpoch: true}},
		"no line gets a refused one's number":               {Controls: Controls{Reuse: true}},
		"a line that is taken leaves the quarantine":        {Controls: Controls{NoReclaim: true}},
		"the producer id is kept":                           {Controls: Controls{NewID: true}},
		"what the topic has or gets beyond it is unsettled": {Controls: Controls{Unsettled: true}, hint: 1422},
		"a new numbering needs the leader's word often":     {Controls: Controls{OneWord: true}, hint: 48704},
		"answers are for the numbering that was asked of":   {Controls: Controls{OldAnswer: true}, hint: 273151},
		"numbers of files go with the lines before them":    {Controls: Controls{OldStarts: true}, hint: 10586},
		"a numbering's first offset is stored":              {Controls: Controls{OldOffset: true}, hint: 30072},
		"after a power loss deleted records are unknown":    {Controls: Controls{AnyLine: true}},
		"each numbering that was left is accounted for":     {Controls: Controls{FirstLeft: true}},
		"a leader of another epoch is not believed":         {Controls: Controls{OldLeader: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var m Model
			const most = 1_000_000
			for n := range uint64(most) {
				if wrong := m.Run(c.hint+n, c.Controls); wrong != "" {
					t.Logf("history %d: %s", c.hint+n, wrong)
					return
				}
			}
			t.Errorf("%d histories found nothing", most)
		})
	}
}

// A fuzzer looks for seeds whose histories go where none has been.
func FuzzHistory(f *testing.F) {
	f.Add(uint64(1))
	var m Model
	f.Fuzz(func(t *testing.T, seed uint64) {
		if wrong := m.Run(seed, Controls{}); wrong != "" {
			t.Errorf("seed %d: %s", seed, wrong)
		}
	})
}
