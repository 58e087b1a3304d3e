package generate

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// chiSquare is how far counts are from what they should be, in standard deviations of the distribution that
// the statistic has if they are right (Wilson and Hilferty's approximation). Classes that expect fewer than
// five are put together.
func chiSquare(counts []int, shares []float64) float64 {
	total, sum := 0, 0.0
	for _, n := range counts {
		total += n
	}
	for _, s := range shares {
		sum += s
	}
	statistic, classes, rest, restWant := 0.0, 0, 0, 0.0
	for i, n := range counts {
		want := float64(total) * shares[i] / sum
		if want < 5 {
			rest, restWant = rest+n, restWant+want
			continue
		}
		statistic += (float64(n) - want) * (float64(n) - want) / want
		classes++
	}
	if restWant > 0 {
		statistic += (float64(rest) - restWant) * (float64(rest) - restWant) / restWant
		classes++
	}
	k := float64(classes - 1)
	return (math.Cbrt(statistic/k) - (1 - 2/(9*k))) / math.Sqrt(2/(9*k))
}

// kolmogorov is the largest distance between what was seen and a distribution function, times the root of
// the sample's size: 1.95 is exceeded once in a thousand times if it is the right one.
func kolmogorov(seen []float64, cdf func(float64) float64) float64 {
	slices.Sort(seen)
	n, worst := float64(len(seen)), 0.0
	for i, v := range seen {
		p := cdf(v)
		worst = max(worst, math.Abs(p-float64(i)/n), math.Abs(p-float64(i+1)/n))
	}
	return worst * math.Sqrt(n)
}

func logNormalCDF(median, sigma float64) func(float64) float64 {
	return func(v float64) float64 { return 0.5 * math.Erfc(-math.Log(v/median)/(sigma*math.Sqrt2)) }
}

const (
	// fits is what a right distribution stays below, and misses what a wrong one goes beyond: once in a
	// thousand and never, at a fixed seed.
	chiFits, chiMisses = 3.1, 6.0
	kolFits, kolMisses = 1.95, 3.0
)

func TestProductsAreAsPopularAsZipfSays(t *testing.T) {
	p := DefaultProfile()
	w := New(11, p)
	counts := make([]int, p.Products)
	r := rand.NewPCG(1, 2)
	for range 200_000 {
		counts[w.popular.pick(r.Uint64())]++
	}
	if x := chiSquare(counts, zipf(p.Products, p.Popularity)); x > chiFits {
		t.Errorf("the ranks of products are %.1f standard deviations from Zipf's law", x)
	}
	if x := chiSquare(counts, zipf(p.Products, p.Popularity+0.05)); x < chiMisses {
		t.Errorf("an exponent that is wrong by 0.05 is only %.1f standard deviations away: the test sees nothing", x)
	}
}

// TestViewsInTheLogFollowZipf looks at what comes out: views by product, robots and all left out.
func TestViewsInTheLogFollowZipf(t *testing.T) {
	p := DefaultProfile()
	p.Sessions.Bots = 0
	s := New(12, p).NewShop()
	rank := make(map[string]int, p.Products)
	for i := range s.w.products {
		rank[s.w.products[i].json] = i
	}
	counts := make([]int, p.Products)
	var line []byte
	var told []Line
	for i := range 80_000 {
		line, told = s.Append(line[:0], time.Duration(i)*gap, start, told[:0])
		text := string(line)
		if !strings.Contains(text, `"type":"view"`) {
			continue
		}
		from, to := strings.Index(text, `"product"`), strings.Index(text, `,"user_id"`)
		i, known := rank[text[from:to]]
		if !known {
			t.Fatalf("no such product in %s", text)
		}
		counts[i]++
	}
	if x := chiSquare(counts, zipf(p.Products, p.Popularity)); x > chiFits {
		t.Errorf("views are %.1f standard deviations from Zipf's law", x)
	}
}

func TestPricesAreLogNormalByCategory(t *testing.T) {
	p := DefaultProfile()
	p.Products, p.Categories = 20_000, []Category{{"things", 1, 80, 0.8, []string{"Thing"}}}
	p.Prices.Ending99, p.Prices.Least = 0, 0.01
	var prices []float64
	for _, made := range New(13, p).products {
		prices = append(prices, float64(made.cents)/100+0.005)
	}
	if x := kolmogorov(prices, logNormalCDF(80, 0.8)); x > kolFits {
		t.Errorf("the largest distance of prices is %.2f", x)
	}
	if x := kolmogorov(prices, logNormalCDF(80, 0.88)); x < kolMisses {
		t.Errorf("a sigma that is wrong by 10 %% has a distance of only %.2f: the test sees nothing", x)
	}
	if x := kolmogorov(prices, logNormalCDF(84, 0.8)); x < kolMisses {
		t.Errorf("a median that is wrong by 5 %% has a distance of only %.2f: the test sees nothing", x)
	}
}

func TestPricesEndIn99AsOftenAsAskedFor(t *testing.T) {
	p := DefaultProfile()
	p.Products = 20_000
	n := 0
	for _, made := range New(14, p).products {
		if made.cents%100 == 99 {
			n++
		}
	}
	// One in a hundred of the others ends so by itself, and cheap ones are raised to .99.
	if x := chiSquare([]int{n, 20_000 - n}, []float64{0.7525, 0.2475}); x > 10 || n < 14_000 || n > 16_500 {
		t.Errorf("%d of 20000 prices end in .99, want about 15050", n)
	}
}

func TestThinkingTimesAreLogNormal(t *testing.T) {
	w := New(15, DefaultProfile())
	r := rand.NewPCG(3, 4)
	var seen []float64
	for range 30_000 {
		seen = append(seen, float64(w.think.pick(r.Uint64())))
	}
	median := float64(20 * time.Second)
	if x := kolmogorov(slices.Clone(seen), logNormalCDF(median, 1)); x > kolFits {
		t.Errorf("the largest distance of thinking times is %.2f", x)
	}
	if x := kolmogorov(seen, logNormalCDF(median, 1.05)); x < 2 {
		t.Errorf("a sigma that is wrong by 5 %% has a distance of only %.2f: the test sees nothing", x)
	}
}

// TestUsersTakeTheStepsOfTheFunnel follows sessions through the log, and holds each choice against its
// probability.
func TestUsersTakeTheStepsOfTheFunnel(t *testing.T) {
	p := DefaultProfile()
	p.Sessions.Bots, p.Users = 0, 1_000_000 // so many that hardly two sessions share one
	s := New(16, p).NewShop()
	last := make(map[uint32]action)
	steps := make(map[[2]action]int)
	var line []byte
	var told []Line
	for i := range 80_000 {
		var who uint32
		if len(s.open) > 0 && s.open[0].due <= int64(time.Duration(i)*gap) {
			who = s.open[0].user
			before := s.open[0].next
			steps[[2]action{last[who], before}]++
			last[who] = before
		}
		line, told = s.Append(line[:0], time.Duration(i)*gap, start, told[:0])
	}
	fromCheckout := []int{steps[[2]action{checkout, purchase}], steps[[2]action{checkout, abandon}]}
	if x := chiSquare(fromCheckout, []float64{p.Sessions.Purchase, 1 - p.Sessions.Purchase}); x > chiFits {
		t.Errorf("checkouts end in purchases %v, %.1f standard deviations from their probability", fromCheckout, x)
	}
	if x := chiSquare(fromCheckout, []float64{p.Sessions.Purchase + 0.05, 0.95 - p.Sessions.Purchase}); x < chiMisses {
		t.Errorf("a probability that is wrong by 0.05 is only %.1f standard deviations away: the test sees nothing", x)
	}
	if n := steps[[2]action{cart, purchase}] + steps[[2]action{view, checkout}] + steps[[2]action{view, purchase}] + steps[[2]action{checkout, cart}]; n > 100 {
		// Some users have two sessions at a time.
		t.Errorf("%d steps leave out one of the funnel", n)
	}
}

// TestThinkingTimesAreKeptWhereThereIsRoom measures the time between a view and what the same user does next.
func TestThinkingTimesAreKeptWhereThereIsRoom(t *testing.T) {
	p := DefaultProfile()
	p.Sessions.Bots = 0
	s := New(17, p).NewShop()
	var late []float64
	var line []byte
	var told []Line
	for i := range 40_000 {
		now := int64(time.Duration(i) * gap)
		if len(s.open) > 0 && s.open[0].due <= now {
			late = append(late, float64(now-s.open[0].due)/float64(time.Second))
		}
		line, told = s.Append(line[:0], time.Duration(now), start, told[:0])
	}
	slices.Sort(late)
	if median := late[len(late)/2]; median > 0.5 {
		t.Errorf("half of the users act more than %.1f s after they have thought, at 20 events a second", median)
	}
	if n := len(s.open); n < 100 || n > 5000 {
		t.Errorf("%d sessions are open at 20 events a second, want some hundreds", n)
	}
}

func TestPricesDriftSlowlyAndWithinTheirBounds(t *testing.T) {
	p := DefaultProfile()
	w := New(18, p)
	moved := 0
	for i := range w.products {
		made := &w.products[i]
		before := made.price(&p.Prices, 0)
		for day := int64(1); day < 100; day++ {
			now := made.price(&p.Prices, day)
			if math.Abs(float64(now-made.cents)) > p.Prices.Drift*float64(made.cents)+100 {
				t.Fatalf("product %d costs %d on day %d, its mean is %d", i, now, day, made.cents)
			}
			if math.Abs(float64(now-before)) > 0.02*float64(made.cents)+100 {
				t.Fatalf("product %d jumps from %d to %d on day %d", i, before, now, day)
			}
			if now != before {
				moved++
			}
			before = now
		}
	}
	if moved < 10_000 {
		t.Errorf("prices moved %d times in 100 days of 1000 products", moved)
	}
}

func TestProfileThatCannotWorkIsToldByKey(t *testing.T) {
	p := DefaultProfile()
	p.Products, p.Categories[1].Sigma, p.Sessions.Cart, p.Dirt.Late = 0, -1, 1.5, -0.1
	p.Currencies[0].Name = "euro"
	p.Sessions.Checkout, p.Sessions.GiveUp = 0.8, 0.4
	got := p.Problems()
	for _, key := range []string{"products", "categories[1].sigma", "sessions.cart", "dirt.late", "currencies[0].name", "sessions.give_up"} {
		if got[key] == "" {
			t.Errorf("nothing is said of %s: %v", key, got)
		}
	}
	if len(got) != 6 {
		t.Errorf("%d problems, want 6: %v", len(got), got)
	}
	empty := Profile{}
	if got := empty.Problems(); got["categories"] == "" || got["currencies"] == "" {
		t.Errorf("an empty profile: %v", got)
	}
	good := DefaultProfile()
	if got := good.Problems(); len(got) > 0 {
		t.Errorf("the default profile: %v", got)
	}
}
