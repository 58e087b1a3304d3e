package verify

import "strconv"

// Report is the verdict. Its JSON form is what `eventline verify --json` prints.
type Report struct {
	Topic string `json:"topic"`
	// Equal says that no check found a difference, and no window is open.
	Equal      bool     `json:"equal"`
	Complete   bool     `json:"complete"` // the key is
	Digests    bool     `json:"digests"`  // there were line digests
	Partitions int      `json:"partitions"`
	Records    uint64   `json:"records"`
	Checks     []Check  `json:"checks"`
	Notes      []string `json:"notes,omitempty"`
	// Lines are the records and lines that are not as they should be, by class, with examples.
	Lines classes `json:"lines"`
	// Windows are the differences in windows, at most MaxDifferences of them.
	Windows []Difference `json:"windows,omitempty"`
	// Open are the keys of results that are not final.
	Open []string `json:"open,omitempty"`
	// Unreadable are records of the topic of results that are none.
	Unreadable []Unreadable `json:"unreadable,omitempty"`
}

// Check is one row of the table.
type Check struct {
	Name     string `json:"check"`
	Expected string `json:"expected"`
	Found    string `json:"found"`
	Result   string `json:"result"`
	Note     string `json:"note,omitempty"`
}

// The results of a check.
const (
	Equal      = "equal"
	Different  = "different"
	Open       = "open"
	NotChecked = "not checked"
	Noted      = "noted" // no difference
)

// Difference is a figure of a window that is not what the key says.
type Difference struct {
	Window   string `json:"window_start"`
	Bucket   string `json:"bucket"`
	Figure   string `json:"figure"` // count, sum, min, max, p50, p95, p99; missing or unexpected for a whole window
	Expected string `json:"expected"`
	Found    string `json:"found"`
}

// Unreadable is a record that should be a result.
type Unreadable struct {
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Key       string `json:"key"`
	Problem   string `json:"problem"`
}

// MaxDifferences is how many differences, and how many unreadable results, a Report lists.
const MaxDifferences = 100

// The classes of lines and records.
const (
	Missing   = "missing"
	Duplicate = "duplicate"
	Reordered = "reordered"
	Altered   = "altered"
	Torn      = "torn"
	Foreign   = "foreign"
	Later     = "later"
)

var classNames = []string{Missing, Duplicate, Reordered, Altered, Torn, Foreign, Later}

// maxExamples is how many examples a class has.
const maxExamples = 5

// Class is how many there are of a class, and the first few.
type Class struct {
	Count    uint64    `json:"count"`
	Examples []Example `json:"examples,omitempty"`
}

// Example is a record, or lines that are missing. What is not known is left out.
type Example struct {
	// Line is the number of the line, counted from 1; of missing ones the first, and Last the last if
	// there are several.
	Line uint64 `json:"line,omitempty"`
	Last uint64 `json:"last,omitempty"`
	// After and Before are the lines around missing lines or a foreign record.
	After     uint64 `json:"after,omitempty"`
	Before    uint64 `json:"before,omitempty"`
	Partition *int32 `json:"partition,omitempty"`
	Offset    *int64 `json:"offset,omitempty"`
	EventID   string `json:"event_id,omitempty"`
	Text      string `json:"text,omitempty"` // the first 200 bytes, quoted as in Go

	value          []byte // the record's, until read
	fragment, head bool
}

// maxText is how much of a record is shown.
const maxText = 200

// place says where the record is; its value is kept until read.
func (e *Example) place(r record) {
	e.Partition, e.Offset, e.value = &r.Partition, &r.Offset, r.Value
}

// read takes from the value what is shown of it.
func (e *Example) read() {
	if e.value == nil {
		return
	}
	e.EventID = idOf(e.value)
	e.Text = strconv.Quote(string(e.value[:min(len(e.value), maxText)]))
	e.value = nil
}

// classes are what was found, by name.
type classes map[string]*Class

func newClasses() classes {
	c := make(classes)
	for _, name := range classNames {
		c[name] = new(Class)
	}
	return c
}

// note counts a record.
func (c classes) note(name string, r record, line uint32) {
	k := c[name]
	k.Count++
	if len(k.Examples) < maxExamples {
		e := Example{Line: uint64(line)}
		e.place(r)
		c.show(name, e)
	}
}

// example counts a record that is an example already.
func (c classes) example(name string, e Example, line uint32) {
	e.Line = uint64(line)
	c.add(name, 1, []Example{e})
}

func (c classes) add(name string, n uint64, examples []Example) {
	c[name].Count += n
	for _, e := range examples {
		c.show(name, e)
	}
}

// show appends an example that is counted already, if there is room.
func (c classes) show(name string, e Example) {
	k := c[name]
	if len(k.Examples) < maxExamples {
		e.read()
		k.Examples = append(k.Examples, e)
	}
}

// wrong says whether there is anything that should not be.
func (c classes) wrong() bool {
	for name, k := range c {
		if k.Count > 0 && name != Later {
			return true
		}
	}
	return false
}

// report adds a row for each class.
func (c classes) report(rep *Report) {
	for _, name := range classNames {
		k := Check{Name: name, Expected: "0", Found: number(c[name].Count), Result: Equal}
		switch {
		case name == Later && rep.Complete:
			continue
		case name == Later:
			k.Expected, k.Result = "-", Noted
		case c[name].Count > 0:
			k.Result = Different
		}
		rep.add(k)
	}
}

func (r *Report) add(c Check) { r.Checks = append(r.Checks, c) }

// conclude draws the conclusion from the checks.
func (r *Report) conclude() {
	r.Equal = true
	for _, c := range r.Checks {
		if c.Result == Different || c.Result == Open {
			r.Equal = false
		}
	}
}

func number[N int | int32 | int64 | uint64](n N) string {
	if n < 0 {
		return strconv.FormatInt(int64(n), 10)
	}
	return strconv.FormatUint(uint64(n), 10)
}
