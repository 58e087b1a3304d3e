package verify

import (
	"os"
	"slices"
	"strings"
	"testing"

	"eventline/internal/truth"
)

func TestWithoutDigestsTheUnalteredTopicIsRight(t *testing.T) {
	s := newShop(t, 60)
	s.write("no event", -1)
	s.again(59)
	s.sell()
	rep := judgement(t, broker(t, s.lines).Addr, s.save(withoutDigests))
	wantClasses(t, rep, nil)
	wantCheck(t, rep, "lines", Equal, "")
	wantCheck(t, rep, "duplicate ids", Equal, "")
	wantCheck(t, rep, "chain", Equal, "")
	wantCheck(t, rep, "windows of the lines", Equal, "")
	if len(rep.Notes) != 1 || rep.Digests {
		t.Errorf("digests %v, notes %q: want it said that there are none", rep.Digests, rep.Notes)
	}
	several := judgement(t, broker(t, striped(s.lines, 3)...).Addr, s.save(withoutDigests))
	wantClasses(t, several, nil)
	wantCheck(t, several, "chain", NotChecked, "3 partitions")
	wantCheck(t, several, "windows of the lines", Equal, "")
}

func TestFileOfDigestsThatIsGoneIsSaid(t *testing.T) {
	s := newShop(t, 60)
	key := s.save()
	if err := os.Remove(key + ".lines"); err != nil {
		t.Fatal(err)
	}
	rep := judgement(t, broker(t, s.lines).Addr, key)
	if !rep.Equal || len(rep.Notes) != 1 || !strings.Contains(rep.Notes[0], "shop.key.lines is not there") {
		t.Errorf("equal %v, notes %q", rep.Equal, rep.Notes)
	}
}

func TestWithoutDigestsEveryMutationIsFound(t *testing.T) {
	s := newShop(t, 60)
	swapped := slices.Clone(s.lines)
	swapped[16], swapped[17] = swapped[17], swapped[16]
	changed := slices.Clone(s.lines)
	changed[16] = strings.Replace(changed[16], "Tea", "Tee", 1)
	dearer := slices.Clone(s.lines)
	dearer[16] = strings.Replace(dearer[16], `"price":`, `"price":1`, 1)
	for _, c := range []struct {
		name  string
		lines []string
		check string
	}{
		{"one removed", slices.Delete(slices.Clone(s.lines), 16, 17), "lines"},
		{"one doubled", slices.Insert(slices.Clone(s.lines), 20, s.lines[16]), "duplicate ids"},
		{"one lost, another doubled", slices.Concat(s.lines[:16], s.lines[15:16], s.lines[17:]), "duplicate ids"},
		{"two swapped", swapped, "chain"},
		{"one byte changed", changed, "chain"},
		{"a price changed", dearer, "windows of the lines"},
		{"one torn", slices.Concat(s.lines[:16], []string{s.lines[16][:70], s.lines[16][70:]}, s.lines[17:]), "lines"},
		{"a foreign one", slices.Insert(slices.Clone(s.lines), 16, `{"event_id":"other","price":1}`), "lines"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rep := judgement(t, broker(t, c.lines).Addr, s.save(withoutDigests))
			if rep.Equal {
				t.Error("equal")
			}
			wantCheck(t, rep, c.check, Different, "")
		})
	}
}

func TestWithoutDigestsDoublesOnPurposeMayBeUnnamed(t *testing.T) {
	s := newShop(t, 60)
	s.again(3)
	s.again(4)
	listed := func(k *truth.Key) {
		k.Digests = ""
		k.Defects["duplicate"].EventIDs, k.Defects["duplicate"].Truncated = k.Defects["duplicate"].EventIDs[:1], true
	}
	wantClasses(t, judgement(t, broker(t, s.lines).Addr, s.save(listed)), nil)
}

func TestWithoutDigestsLaterLinesAreLeftOut(t *testing.T) {
	s := newShop(t, 60)
	key := s.save(withoutDigests, unfinished)
	s.sell()
	rep := judgement(t, broker(t, s.lines).Addr, key)
	wantClasses(t, rep, map[string]uint64{Later: 1})
	wantCheck(t, rep, "windows of the lines", Equal, "")
	wantCheck(t, rep, "chain", Equal, "")
	rep = judgement(t, broker(t, striped(s.lines, 2)...).Addr, key)
	wantClasses(t, rep, map[string]uint64{Later: 1})
	wantCheck(t, rep, "windows of the lines", NotChecked, "can't be told apart")
}
