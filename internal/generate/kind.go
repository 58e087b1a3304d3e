package generate

// Kind is a defect that a line has on purpose.
type Kind uint8

// The kinds. Clean lines have none; a Duplicate is the line that was there before.
const (
	Clean Kind = iota
	Late
	OutOfOrder
	Future
	Duplicate
	InvalidJSON
	PriceMissing
	PriceNegative
	PriceNaN
	PriceString
	Oversized
	Halves
	CRLF
	BrokenUTF8
	NUL
	Breaking // the schema changed so that there is no price any more
	kinds
)

var kindNames = [kinds]string{
	Clean: "clean", Late: "late", OutOfOrder: "out_of_order", Future: "future", Duplicate: "duplicate",
	InvalidJSON: "invalid_json", PriceMissing: "price_missing", PriceNegative: "price_negative",
	PriceNaN: "price_nan", PriceString: "price_string", Oversized: "oversized", Halves: "halves",
	CRLF: "crlf", BrokenUTF8: "broken_utf8", NUL: "nul", Breaking: "schema_breaking",
}

// String is the kind as settings and answer keys name it.
func (k Kind) String() string { return kindNames[k] }

// Kinds lists every defect, in order.
func Kinds() []Kind {
	all := make([]Kind, 0, kinds-1)
	for k := Clean + 1; k < kinds; k++ {
		all = append(all, k)
	}
	return all
}

// valid says whether a line of the kind is an event with an id and a price that is a number and not
// negative. A carriage return is white space in JSON.
func (k Kind) valid() bool {
	switch k {
	case InvalidJSON, PriceMissing, PriceNegative, PriceNaN, PriceString, BrokenUTF8, NUL, Breaking:
		return false
	}
	return true
}

// probabilities lists what the settings say, by kind.
func (d *Dirt) probabilities() [kinds]float64 {
	return [kinds]float64{
		Late: d.Late, OutOfOrder: d.OutOfOrder, Future: d.Future, Duplicate: d.Duplicate,
		InvalidJSON: d.InvalidJSON, PriceMissing: d.PriceMissing, PriceNegative: d.PriceNegative,
		PriceNaN: d.PriceNaN, PriceString: d.PriceString, Oversized: d.Oversized, Halves: d.Halves,
		CRLF: d.CRLF, BrokenUTF8: d.BrokenUTF8, NUL: d.NUL,
	}
}
