package verify

import (
	"slices"
	"strings"
	"testing"
	"time"

	"eventline/internal/kafka/kafkatest"
	"eventline/internal/truth"
)

func TestUnalteredTopicIsRight(t *testing.T) {
	s := newShop(t, 60)
	s.write(`{"event_id":"x","price":`, -1)
	s.write(`{"event_id":"y","price":3}`+"\r", -1)
	s.write("\xc3(", -1)
	k := broker(t, s.lines)
	rep := judgement(t, k.Addr, s.save())
	wantClasses(t, rep, nil)
	wantCheck(t, rep, "lines", Equal, "")
	wantCheck(t, rep, "chain", Equal, "")
	wantCheck(t, rep, "windows", NotChecked, "no topic events.buckets")
	if rep.Records != 63 || rep.Partitions != 1 {
		t.Errorf("got %d records in %d partitions, want 63 in 1", rep.Records, rep.Partitions)
	}
}

func TestRemovedLineIsMissing(t *testing.T) {
	s := newShop(t, 60)
	rep := judgement(t, broker(t, slices.Delete(slices.Clone(s.lines), 16, 17)).Addr, s.save())
	wantClasses(t, rep, map[string]uint64{Missing: 1})
	if e := first(t, rep, Missing); e.Line != 17 || e.After != 16 || e.Before != 18 {
		t.Errorf("got line %d between %d and %d, want 17 between 16 and 18", e.Line, e.After, e.Before)
	}
}

func TestLinesMissingAtTheEndAreOneStretch(t *testing.T) {
	s := newShop(t, 200)
	rep := judgement(t, broker(t, s.lines[:60]).Addr, s.save())
	wantClasses(t, rep, map[string]uint64{Missing: 140})
	if e := first(t, rep, Missing); e.Line != 61 || e.Last != 200 || e.Before != 0 {
		t.Errorf("got lines %d to %d before %d, want 61 to 200 before none", e.Line, e.Last, e.Before)
	}
}

func TestDoubledLineIsDuplicate(t *testing.T) {
	s := newShop(t, 60)
	rep := judgement(t, broker(t, slices.Insert(slices.Clone(s.lines), 20, s.lines[16])).Addr, s.save())
	wantClasses(t, rep, map[string]uint64{Duplicate: 1})
	e := first(t, rep, Duplicate)
	if e.Line != 17 || *e.Offset != 20 || e.EventID != idNumber(16) || !strings.HasPrefix(e.Text, `"{\"event_id\":\"`) {
		t.Errorf("got line %d at offset %d, event id %s, text %s; want line 17 at 20", e.Line, *e.Offset, e.EventID, e.Text)
	}
}

func TestSwappedLinesAreReordered(t *testing.T) {
	s := newShop(t, 60)
	lines := slices.Clone(s.lines)
	lines[16], lines[17] = lines[17], lines[16]
	rep := judgement(t, broker(t, lines).Addr, s.save())
	wantClasses(t, rep, map[string]uint64{Reordered: 1})
	if e := first(t, rep, Reordered); e.Line != 17 || *e.Offset != 17 {
		t.Errorf("got line %d at offset %d, want line 17 at 17", e.Line, *e.Offset)
	}
}

func TestChangedByteIsAltered(t *testing.T) {
	s := newShop(t, 60)
	lines := slices.Clone(s.lines)
	lines[16] = strings.Replace(lines[16], "Tea", "Tee", 1)
	rep := judgement(t, broker(t, lines).Addr, s.save())
	wantClasses(t, rep, map[string]uint64{Altered: 1})
	e := first(t, rep, Altered)
	if e.Line != 17 || *e.Offset != 16 || e.EventID != idNumber(16) || !strings.Contains(e.Text, "Tee") {
		t.Errorf("got line %d at offset %d, event id %s, text %s; want line 17 at 16", e.Line, *e.Offset, e.EventID, e.Text)
	}
}

func TestLineInTwoPiecesIsTorn(t *testing.T) {
	s := newShop(t, 60)
	line := s.lines[16]
	lines := slices.Concat(s.lines[:16], []string{line[:70], line[70:]}, s.lines[17:])
	rep := judgement(t, broker(t, lines).Addr, s.save())
	wantClasses(t, rep, map[string]uint64{Torn: 2})
	for i, e := range rep.Lines[Torn].Examples {
		if e.Line != 17 || *e.Offset != int64(16+i) {
			t.Errorf("piece %d: got line %d at offset %d, want line 17 at %d", i, e.Line, *e.Offset, 16+i)
		}
	}
	if id := first(t, rep, Torn).EventID; id != idNumber(16) {
		t.Errorf("got event id %q of the first piece", id)
	}
}

func TestLineOfAnotherLogIsForeign(t *testing.T) {
	s := newShop(t, 60)
	rep := judgement(t, broker(t, slices.Insert(slices.Clone(s.lines), 16, `{"event_id":"other","price":1}`)).Addr, s.save())
	wantClasses(t, rep, map[string]uint64{Foreign: 1})
	if e := first(t, rep, Foreign); e.After != 16 || e.Before != 17 || *e.Offset != 16 || e.EventID != "other" {
		t.Errorf("got %+v, want it between 16 and 17 at offset 16", e)
	}
}

func TestSeveralFaultsAreToldApart(t *testing.T) {
	s := newShop(t, 100)
	lines := slices.Concat(
		s.lines[:10], s.lines[5:8], // 3 doubled
		s.lines[12:20], // 2 missing
		[]string{"{}", s.lines[20][:30], s.lines[20][30:], "{\"a\""}, // 1 altered
		s.lines[21:50], []string{"garbage"}, s.lines[50:],
	)
	rep := judgement(t, broker(t, lines).Addr, s.save())
	// One line is missing between 20 and 22 and four records are there: the whole one takes its place.
	wantClasses(t, rep, map[string]uint64{Duplicate: 3, Missing: 2, Altered: 1, Foreign: 4})
}

func TestExamplesAreFive(t *testing.T) {
	s := newShop(t, 60)
	rep := judgement(t, broker(t, slices.Concat(s.lines, s.lines)).Addr, s.save())
	wantClasses(t, rep, map[string]uint64{Duplicate: 60})
	if n := len(rep.Lines[Duplicate].Examples); n != 5 {
		t.Errorf("got %d examples, want 5", n)
	}
}

// striped deals lines out to partitions, three at a time.
func striped(lines []string, partitions int) [][]string {
	dealt := make([][]string, partitions)
	for i, l := range lines {
		p := i / 3 % partitions
		dealt[p] = append(dealt[p], l)
	}
	return dealt
}

func TestSeveralPartitionsKeepTheirOwnOrder(t *testing.T) {
	s := newShop(t, 100)
	key := s.save()
	rep := judgement(t, broker(t, striped(s.lines, 4)...).Addr, key)
	wantClasses(t, rep, nil)
	wantCheck(t, rep, "chain", NotChecked, "4 partitions")

	dealt := striped(s.lines, 4)
	dealt[2][3], dealt[2][4] = dealt[2][4], dealt[2][3]                   // lines 19 and 20
	dealt[1] = slices.Delete(dealt[1], 0, 1)                              // line 4
	dealt[0] = append(dealt[0], s.lines[3])                               // is here instead: right
	dealt[3][0] = strings.Replace(dealt[3][0], "quantity", "Quantity", 1) // line 10
	rep = judgement(t, broker(t, dealt...).Addr, key)
	wantClasses(t, rep, map[string]uint64{Reordered: 2, Altered: 1})
	if e := first(t, rep, Altered); e.Line != 10 || *e.Partition != 3 {
		t.Errorf("altered: got line %d in partition %d, want 10 in 3", e.Line, *e.Partition)
	}
}

func TestDoublesOnPurposeAreRight(t *testing.T) {
	s := newShop(t, 10)
	for range 5 {
		s.again(len(s.lines) - 1)
		s.again(len(s.lines) - 4)
		s.sell()
		s.sell()
	}
	key := s.save()
	wantClasses(t, judgement(t, broker(t, s.lines).Addr, key), nil)
	for partitions := 2; partitions < 5; partitions++ {
		wantClasses(t, judgement(t, broker(t, striped(s.lines, partitions)...).Addr, key), nil)
	}

	one := slices.Insert(slices.Clone(s.lines), 13, s.lines[9]) // a third time
	rep := judgement(t, broker(t, one).Addr, key)
	wantClasses(t, rep, map[string]uint64{Duplicate: 1})
	less := slices.Delete(slices.Clone(s.lines), 10, 11) // the second time
	rep = judgement(t, broker(t, less).Addr, key)
	wantClasses(t, rep, map[string]uint64{Missing: 1})
	if e := first(t, rep, Missing); e.Line != 11 {
		t.Errorf("missing: got line %d, want 11", e.Line)
	}
}

// The second of two equal lines is lost and the first one doubled: their number is right.
func TestDoubleInThePlaceOfALostOneIsOutOfOrder(t *testing.T) {
	s := newShop(t, 10)
	s.again(4)
	s.sell()
	lines := slices.Concat(s.lines[:5], s.lines[4:10], s.lines[11:])
	rep := judgement(t, broker(t, lines).Addr, s.save())
	wantClasses(t, rep, map[string]uint64{Reordered: 1})
}

func TestAllLinesEqual(t *testing.T) {
	s := newShop(t, 1)
	for range 49 {
		s.again(0)
	}
	wantClasses(t, judgement(t, broker(t, s.lines).Addr, s.save()), nil)
	wantClasses(t, judgement(t, broker(t, s.lines[:45]).Addr, s.save()), map[string]uint64{Missing: 5})
	wantClasses(t, judgement(t, broker(t, slices.Concat(s.lines, s.lines[:3])).Addr, s.save()), map[string]uint64{Duplicate: 3})
}

func TestLinesBehindAnIncompleteKeyAreLater(t *testing.T) {
	s := newShop(t, 60)
	key := s.save(unfinished)
	for range 5 {
		s.sell()
	}
	rep := judgement(t, broker(t, s.lines).Addr, key)
	wantClasses(t, rep, map[string]uint64{Later: 5})
	wantCheck(t, rep, "chain", Equal, "")
	wantCheck(t, rep, "windows", NotChecked, "later events")

	lines := slices.Insert(slices.Clone(s.lines), 16, "{}")
	wantClasses(t, judgement(t, broker(t, lines).Addr, key), map[string]uint64{Later: 5, Foreign: 1})
	wantClasses(t, judgement(t, broker(t, striped(s.lines, 2)...).Addr, key), map[string]uint64{Later: 5})
}

func TestRecordsDeletedByRetentionAreMissing(t *testing.T) {
	s := newShop(t, 60)
	k := broker(t, s.lines)
	kafkatest.DeleteBefore(t, k.Addr, "events", 0, 10)
	rep := judgement(t, k.Addr, s.save())
	wantClasses(t, rep, map[string]uint64{Missing: 10})
	if e := first(t, rep, Missing); e.Line != 1 || e.Last != 10 || e.After != 0 || e.Before != 11 {
		t.Errorf("got %+v, want lines 1 to 10 before 11", e)
	}
}

func TestEmptyKeyAndEmptyTopic(t *testing.T) {
	s := newShop(t, 0)
	wantClasses(t, judgement(t, broker(t, nil).Addr, s.save()), nil)
	wantClasses(t, judgement(t, broker(t, []string{"{}"}).Addr, s.save()), map[string]uint64{Foreign: 1})
}

func TestWaitsForLinesAndForTheTopic(t *testing.T) {
	s := newShop(t, 60)
	k := kafkatest.Start(t)
	done := make(chan struct{})
	looked := make(chan struct{}, 1000)
	go func() {
		defer close(done)
		kafkatest.CreateTopic(t, k.Addr, "events", 1)
		kafkatest.Produce(t, k.Addr, "events", 0, s.lines[:30]...)
		<-looked // some were read, and it waits
		kafkatest.Produce(t, k.Addr, "events", 0, s.lines[30:]...)
	}()
	rep := judgement(t, k.Addr, s.save(), func(o *Options) {
		o.Wait = patience
		o.Progress = func(int64, int64) { looked <- struct{}{} }
	})
	<-done
	wantClasses(t, rep, nil)
}

func TestStopsWaitingForWhatCannotCome(t *testing.T) {
	s := newShop(t, 60)
	lines := slices.Clone(s.lines)
	lines[16] = "{}"
	began := time.Now()
	rep := judgement(t, broker(t, lines).Addr, s.save(), func(o *Options) { o.Wait = time.Hour })
	wantClasses(t, rep, map[string]uint64{Altered: 1})
	if took := time.Since(began); took > patience {
		t.Errorf("took %s: an altered line is not one to come", took)
	}
}

func TestJudgesWhatIsThereWhenTimeIsOver(t *testing.T) {
	s := newShop(t, 60)
	rep := judgement(t, broker(t, s.lines[:59]).Addr, s.save(), func(o *Options) { o.Wait = 50 * time.Millisecond })
	wantClasses(t, rep, map[string]uint64{Missing: 1})
}

func TestDigestsOfAnotherKeyAreRefused(t *testing.T) {
	s := newShop(t, 60)
	for name, edit := range map[string]func(*truth.Key){
		"it is not the file of this key": func(*truth.Key) { s.digests = s.digests[:8*59] },
		"in the same folder":             func(k *truth.Key) { k.Digests = "../shop.key.lines" },
	} {
		if _, err := Load(s.save(edit)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want an error with %q", err, name)
		}
	}
}
