package generate

import (
	"bytes"
	crand "crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"strings"
	"sync"
	"unicode"

	"github.com/go-faker/faker/v4"
)

const (
	productCount = 1000
	userCount    = 5000
)

// category is a shelf of the shop. Prices are in hundredths of the currency.
type category struct {
	name      string
	low, high int64 // cheapest and dearest product
	things    []string
}

var categories = []category{
	{"books", 4_99, 49_99, []string{"Novel", "Cookbook", "Atlas", "Dictionary", "Diary"}},
	{"grocery", 1_00, 29_99, []string{"Coffee", "Tea", "Olive Oil", "Chocolate", "Honey"}},
	{"toys", 4_99, 99_99, []string{"Puzzle", "Train Set", "Doll", "Kite", "Board Game"}},
	{"beauty", 2_99, 89_99, []string{"Shampoo", "Perfume", "Soap", "Lotion", "Brush"}},
	{"clothing", 9_99, 249_99, []string{"Shirt", "Jacket", "Jeans", "Scarf", "Boots"}},
	{"home", 9_99, 599_99, []string{"Lamp", "Chair", "Carpet", "Kettle", "Mirror"}},
	{"sports", 9_99, 899_99, []string{"Tent", "Racket", "Bicycle Helmet", "Rucksack", "Skates"}},
	{"electronics", 19_99, 1999_99, []string{"Headphones", "Camera", "Keyboard", "Monitor", "Phone"}},
}

// currencies are drawn evenly, so that the first is the most common.
var currencies = []string{"EUR", "EUR", "EUR", "USD", "USD", "GBP", "CHF"}

// fakerMu keeps catalogues apart: go-faker's random sources are global.
var fakerMu sync.Mutex

// catalogue draws the products and the users of a seed. Users are JSON strings.
func catalogue(seed uint64) (products []product, users []string) {
	fakerMu.Lock()
	defer fakerMu.Unlock()
	faker.SetRandomSource(source{rand.NewPCG(seed, 0x66616b6572)})
	faker.SetCryptoSource(rand.NewChaCha8([32]byte(binary.BigEndian.AppendUint64(make([]byte, 24), seed))))
	defer faker.SetRandomSource(faker.NewSafeSource(source{rand.NewPCG(rand.Uint64(), rand.Uint64())}))
	defer faker.SetCryptoSource(crand.Reader)

	r := rand.New(rand.NewPCG(seed, 0x636174616c6f67)) // for what go-faker does not have
	for i := range productCount {
		c := categories[i%len(categories)]
		name := faker.LastName() + " " + capitalised(faker.Word()) + " " + c.things[r.IntN(len(c.things))]
		currency := currencies[r.IntN(len(currencies))]
		products = append(products, product{
			json:  fmt.Sprintf(`"product":%s,"category":%s,"currency":%s`, quoted(name), quoted(c.name), quoted(currency)),
			cents: c.price(r),
		})
	}
	for i := range userCount {
		users = append(users, quoted(fmt.Sprintf("%s.%s%d", letters(faker.FirstName()), letters(faker.LastName()), i)))
	}
	return products, users
}

// source is a PCG in the shape that go-faker wants. The source of math/rand would take half of the seed's
// bits only.
type source struct{ *rand.PCG }

func (s source) Int63() int64    { return int64(s.Uint64() >> 1) }
func (s source) Seed(seed int64) { s.PCG.Seed(uint64(seed), 0) }

// price draws a price between low and high, many cheap and few dear ones, most of them ending in .99.
//
// It doubles low some times and fills the gap to the next doubling evenly. That is nearly log-uniform, and
// unlike math.Pow, which may be fused differently, it is the same on every processor.
func (c category) price(r *rand.Rand) int64 {
	const unit = 1 << 16
	doublings := bits.Len64(uint64(c.high / c.low))
	cents := int64(math.MaxInt64)
	for cents > c.high {
		cents = c.low << r.IntN(doublings) * int64(unit+r.IntN(unit)) / unit
	}
	if r.IntN(4) > 0 {
		cents = cents/100*100 + 99
	}
	return min(c.high, cents)
}

func capitalised(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// letters is s in lower case, without apostrophes and the like.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}

// quoted is s as JSON, written as package event writes it.
func quoted(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always has a form
	return strings.TrimSuffix(b.String(), "\n")
}
