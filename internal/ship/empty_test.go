package ship

import (
	"strings"
	"testing"
)

func TestEmptyLinesAreNoRecordsAndDoNotHoldThePosition(t *testing.T) {
	r := newRig(t, newCluster(1))
	r.write("\n\n\n")
	r.once()
	if at := r.last(); at == nil || at.Tail.Generations[0].Offset != 3 {
		t.Fatalf("after three empty lines: the stored position is %+v, want offset 3", at)
	}
	r.write("a\n\nb\n" + strings.Repeat("\n", 300_000) + "c\n\n")
	r.once()
	r.wantLog(0, "a\nb\nc\n")
	r.once()
	r.wantLog(0, "a\nb\nc\n")
}
