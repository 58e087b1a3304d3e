package ship

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// refuses makes a fault for lines that are too large, each of these.
func refuses(which func(line string) bool) func(int32, Batch, bool) error {
	return func(_ int32, b Batch, appended bool) error {
		for _, line := range b.Lines {
			if !appended && which(string(line)) {
				return errTooLarge
			}
		}
		return nil
	}
}

func twoLines(line string) bool { return line == "line 000010" || line == "line 000200" }

// A second numbering is left while what came of the first is still being counted.
func TestDoubtOfANumberingThatIsLeftDuringACountIsKept(t *testing.T) {
	c := newCluster(1)
	r := newRig(t, c)
	r.said = new(said)
	r.write(numbered(0, 5))
	r.once()
	counting, arrived := make(chan struct{}), make(chan struct{})
	first := true
	c.scanned = func(_ int64, epoch int16) error {
		if first && epoch == EveryEpoch {
			first = false
			close(counting)
			<-arrived // the scan takes its time
		}
		return nil
	}
	refuse, late := refuses(twoLines), false
	c.fault = func(partition int32, b Batch, appended bool) error {
		if err := refuse(partition, b, appended); err != nil || b.Epoch < 2 || appended || late {
			return err
		}
		// A request of epoch 1, the one with line 200, was held by the network, and the limit
		// was raised meanwhile.
		late = true
		p := c.producers[[2]int64{0, b.ProducerID}]
		held := Batch{ProducerID: b.ProducerID, Epoch: 1, FirstSequence: p.next, Lines: [][]byte{[]byte("line 000200"), []byte("line 000201"), []byte("line 000202")}}
		if _, err := c.store(0, held); err != nil {
			t.Errorf("held: %v", err)
		}
		close(arrived)
		return nil
	}
	r.write(numbered(5, 100))
	p := r.start()
	<-counting
	r.write(numbered(100, 300))
	eventually(t, "the lines to arrive", func() bool { return c.records(0) == 298+3 })
	eventually(t, "the first count to be over and stored", func() bool { return len(r.lefts()) < 2 })
	r.write(numbered(300, 310))
	eventually(t, "the second one too", func() bool { return c.records(0) == 308+3 && len(r.lefts()) == 0 })
	p.stop(t)
	if n := r.said.late(); n != 3 {
		t.Errorf("records that came late: %d were said, want 3", n)
	}
}

// lefts are the numberings of the newest state that were left and are to be counted.
func (r *rig) lefts() Lefts { return r.last().Partitions[0].Left }

// What can't be counted for now is counted later, and lines of numberings in between are
// no late ones.
func TestLinesOfNumberingsInBetweenAreNotLate(t *testing.T) {
	c := newCluster(1)
	r := newRig(t, c)
	r.said = new(said)
	r.write(numbered(0, 5))
	r.once()
	c.scanned = func(int64, int16) error {
		if c.records(0) < 250 {
			return errLost
		}
		return nil
	}
	c.fault = refuses(twoLines)
	r.write(numbered(5, 400))
	r.once()
	r.write(numbered(400, 410))
	r.once()
	if n := r.said.late(); n != 0 {
		t.Errorf("%d lines are said to have come late, none has", n)
	}
	checkOnce(t, 0, c, strings.NewReplacer("line 000010\n", "", "line 000200\n", "").Replace(numbered(0, 410)), "")
}

// Each refused line begins a numbering. What came of all of them is one question, and
// takes no room in the state.
func TestManyNumberingsAreCountedAtOnce(t *testing.T) {
	c := newCluster(1)
	r := newRig(t, c)
	r.write(numbered(0, 10))
	r.once()
	c.fault = refuses(func(line string) bool { return line >= "line 000010" && line < "line 000510" })
	r.write(numbered(10, 520))
	r.once()
	if n := c.count(func() int { return c.scans }); n > 10 {
		t.Errorf("%d scans of the log, want a few", n)
	}
	for _, s := range r.saved {
		for _, l := range s.Partitions { // none before the topic was described
			if n := len(l.Left); n > 2 {
				t.Fatalf("%d numberings are in the state one by one: %v", n, l.Left)
			}
		}
	}
	if got := r.slots[1].Partitions[0].Epoch; got != 500 {
		t.Errorf("epoch: got %d, want 500", got)
	}
}

// One of an earlier version stands for all numberings up to the present one.
func TestLeftOfAnEarlierVersionIsRead(t *testing.T) {
	for text, want := range map[string]Lefts{
		`{"id":1,"epoch":7}`: nil,
		`{"id":1,"epoch":7,"left":{"id":1,"epoch":4,"last":10,"offset":20}}`:          {{ID: 1, Epoch: 4, Last: 10, Offset: 20, More: 2}},
		`{"id":2,"epoch":0,"left":{"id":1,"epoch":32766,"last":10,"offset":20}}`:      {{ID: 1, Epoch: 32766, Last: 10, Offset: 20, More: 1}},
		`{"id":1,"epoch":7,"left":[{"id":1,"epoch":4,"last":1,"offset":2,"more":1}]}`: {{ID: 1, Epoch: 4, Last: 1, Offset: 2, More: 1}},
	} {
		var st LaneState
		if err := json.Unmarshal([]byte(text), &st); err != nil {
			t.Fatal(err)
		}
		if got := newLane(0, st).left; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", text, got, want)
		}
	}
}
