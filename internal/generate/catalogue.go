package generate

import (
	"bytes"
	crand "crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"unicode"

	"github.com/go-faker/faker/v4"
)

// fakerMu keeps catalogues apart: go-faker's random sources are global.
var fakerMu sync.Mutex

// product is what events say of one, as they say it.
type product struct {
	json   string  // product, category and currency, as JSON
	cents  int64   // the mean price
	ends99 bool    // it ends in .99
	period float64 // days of one swing of the price
	phase  float64 // of the swing, as a share of it
}

// catalogue draws the products and the users of a seed. Users are JSON strings.
func catalogue(p *Profile, seed uint64) (products []product, users []string) {
	fakerMu.Lock()
	defer fakerMu.Unlock()
	faker.SetRandomSource(source{rand.NewPCG(seed, 0x66616b6572)})
	faker.SetCryptoSource(rand.NewChaCha8([32]byte(binary.BigEndian.AppendUint64(make([]byte, 24), seed))))
	defer faker.SetRandomSource(faker.NewSafeSource(source{rand.NewPCG(rand.Uint64(), rand.Uint64())}))
	defer faker.SetCryptoSource(crand.Reader)

	r := rand.New(rand.NewPCG(seed, 0x636174616c6f67)) // for what go-faker does not have
	shelves, currencies := newAlias(shares(p.Categories, func(c Category) float64 { return c.Share })),
		newAlias(shares(p.Currencies, func(c Currency) float64 { return c.Share }))
	for range p.Products {
		c := &p.Categories[shelves.pick(r.Uint64())]
		name := faker.LastName() + " " + capitalised(faker.Word()) + " " + c.Things[r.IntN(len(c.Things))]
		currency := p.Currencies[currencies.pick(r.Uint64())].Name
		made := product{
			json:   fmt.Sprintf(`"product":%s,"category":%s,"currency":%s`, quoted(name), quoted(c.Name), quoted(currency)),
			period: 20 + 50*r.Float64(),
			phase:  r.Float64(),
			ends99: r.Float64() < p.Prices.Ending99,
		}
		made.cents = made.rounded(&p.Prices, 100*c.Median*math.Exp(c.Sigma*r.NormFloat64()))
		products = append(products, made)
	}
	for i := range p.Users {
		users = append(users, quoted(fmt.Sprintf("%s.%s%d", letters(faker.FirstName()), letters(faker.LastName()), i)))
	}
	return products, users
}

// rounded is a price as a shop writes it.
func (p *product) rounded(rules *Prices, cents float64) int64 {
	least := int64(math.Ceil(rules.Least*100 - 1e-9))
	n := int64(min(cents, 100*maxPrice))
	if p.ends99 {
		n = n/100*100 + 99
	}
	return max(n, least)
}

// price is what the product costs on a day of the run, counted from 0. It swings around its mean.
func (p *product) price(rules *Prices, day int64) int64 {
	if rules.Drift == 0 {
		return p.cents
	}
	swing := math.Sin(2 * math.Pi * (math.Mod(float64(day), 365.25*p.period)/p.period + p.phase))
	return p.rounded(rules, float64(p.cents)*(1+rules.Drift*swing))
}

func shares[T any](list []T, share func(T) float64) []float64 {
	weights := make([]float64, len(list))
	for i, v := range list {
		weights[i] = share(v)
	}
	return weights
}

// source is a PCG in the shape that go-faker wants. The source of math/rand would take half of the seed's
// bits only.
type source struct{ *rand.PCG }

func (s source) Int63() int64    { return int64(s.Uint64() >> 1) }
func (s source) Seed(seed int64) { s.PCG.Seed(uint64(seed), 0) }

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
