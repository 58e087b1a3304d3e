package daemon

import (
	"bytes"
	"os"
	"testing"
)

func TestBarIsForTerminalsOnly(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var text bytes.Buffer
	for _, b := range []*Bar{NewBar(&text, "reading", "records"), NewBar(file, "reading", "records")} {
		if b != nil {
			t.Error("a bar for something that is no terminal")
		}
		b.Set(1, 2)
		b.Clear()
	}
	if info, err := file.Stat(); err != nil || info.Size() > 0 || text.Len() > 0 {
		t.Errorf("something was printed: %q, %v, %v", text.String(), info, err)
	}
}
