package config

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// shelf is a section that comes several times.
type shelf struct {
	Name   string   `yaml:"name" help:"what it is called"`
	Share  float64  `yaml:"share"`
	Things []string `yaml:"things"`
}

type shelves struct {
	Shelves []shelf   `yaml:"shelves" help:"all of them"`
	Hours   []float64 `yaml:"hours"`
}

func (s *shelves) Validate(r *Report) {
	for i, f := range s.Shelves {
		if f.Share <= 0 {
			r.Addf("shelves["+string(rune('0'+i))+"].share", "must be above 0")
		}
	}
}

func readShelves(t *testing.T, text string) (*shelves, *Set, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "f.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &shelves{Shelves: []shelf{{"default", 1, nil}}, Hours: []float64{1, 2}}
	set := New("shop", s)
	return s, set, set.Read(file, true, nil, nil)
}

func TestListOfSectionsReplacesTheDefaultOne(t *testing.T) {
	s, set, err := readShelves(t, "shelves:\n  - name: a\n    share: 2\n    things: [x, y]\n  - {name: b, share: 0.5}\nhours: [1, 2.5]\n")
	if err != nil {
		t.Fatal(err)
	}
	want := &shelves{[]shelf{{"a", 2, []string{"x", "y"}}, {"b", 0.5, nil}}, []float64{1, 2.5}}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("read %+v, want %+v", s, want)
	}
	var b bytes.Buffer
	if err := set.Print(&b); err != nil {
		t.Fatal(err)
	}
	again, _, err := readShelves(t, b.String())
	if err != nil || fmt.Sprint(again) != fmt.Sprint(want) {
		t.Errorf("printed and read again: %+v, %v; printed\n%s", again, err, b.String())
	}
	if s, _, err := readShelves(t, ""); err != nil || len(s.Shelves) != 1 || len(s.Hours) != 2 {
		t.Errorf("an empty file: %+v, %v; want the defaults", s, err)
	}
}

func TestProblemsInAListOfSectionsNameTheirLine(t *testing.T) {
	for text, want := range map[string]string{
		"shelves:\n  - name: a\n    share: 2\n  - name: b\n    share: 0\n": ":5: shelves[1].share: must be above 0",
		"shelves:\n  - name: b\n":                           ":2: shelves[0].share: must be above 0",
		"shelves:\n  - name: a\n    shar: 2\n":              `:3: shelves[0].shar: unknown key; did you mean "shelves[0].share"?`,
		"shelves:\n  - name: a\n    share: many\n":          `:3: shelves[0].share: want a number, got the text "many"`,
		"shelves:\n  - name: a\n    share: 1\n    share: 2": ":4: shelves[0].share: is given twice, first in line 3",
		"shelves: many\n":                                   `:1: shelves: want a list of sections, got the text "many"`,
		"shelves:\n  - many\n":                              `:2: shelves[0]: want a mapping of keys to values, got the text "many"`,
		"hours: [1, noon]\n":                                `:1: hours: want numbers in the list, got the text "noon"`,
		"hours: 5\n":                                        ":1: hours: want a list of numbers, got 5",
	} {
		if _, _, err := readShelves(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want …%s…", text, err, want)
		}
	}
}
