package generate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"
)

// Profile says what a shop is like. Shares are relative to each other; everything that may happen has a
// probability between 0 and 1.
type Profile struct {
	Products   int        `yaml:"products" help:"how many products there are"`
	Users      int        `yaml:"users" help:"how many users there are"`
	Popularity float64    `yaml:"popularity" help:"exponent of Zipf's law: the product of rank r is looked at in proportion to 1/r^popularity; 0 makes all alike"`
	Categories []Category `yaml:"categories" help:"the shelves of the shop"`
	Currencies []Currency `yaml:"currencies" help:"each product has one"`
	Prices     Prices     `yaml:"prices"`
	Sessions   Sessions   `yaml:"sessions"`
	Dirt       Dirt       `yaml:"dirt"`
	Schema     Schema     `yaml:"schema"`
}

// Category is a shelf of the shop. Its prices are log-normal.
type Category struct {
	Name   string   `yaml:"name" help:"as events say it"`
	Share  float64  `yaml:"share" help:"of the products, relative to the other categories"`
	Median float64  `yaml:"median" help:"half of its products are cheaper"`
	Sigma  float64  `yaml:"sigma" help:"standard deviation of the price's logarithm; 0 gives all the same price"`
	Things []string `yaml:"things" help:"what product names end in"`
}

// Currency is what some products are priced in.
type Currency struct {
	Name  string  `yaml:"name" help:"three letters"`
	Share float64 `yaml:"share" help:"of the products, relative to the other currencies"`
}

// Prices are how prices look and move.
type Prices struct {
	Ending99 float64 `yaml:"ending_99" help:"probability that a price ends in .99"`
	Least    float64 `yaml:"least" help:"no price is below"`
	Drift    float64 `yaml:"drift" help:"how far a price swings around its mean within weeks, as a share of it; it changes every 24 hours of the run"`
	Discount float64 `yaml:"discount" help:"probability that a user is offered a product at 10, 20 or 30 percent less"`
}

// Sessions are what users do: view, cart, checkout, purchase or abandon.
type Sessions struct {
	Open       int           `yaml:"open" help:"how many there may be at a time; from there on users think less, so that the rate is held"`
	Think      time.Duration `yaml:"think" help:"median of the time between two events of a user, which is log-normal"`
	ThinkSigma float64       `yaml:"think_sigma" help:"standard deviation of its logarithm"`
	Views      int           `yaml:"views" help:"most products that a session looks at"`
	ViewsPower float64       `yaml:"views_power" help:"n of them in proportion to 1/n^views_power"`
	Cart       float64       `yaml:"cart" help:"probability that a product that was looked at is put into the cart"`
	Checkout   float64       `yaml:"checkout" help:"probability that a cart goes to the checkout at once"`
	GiveUp     float64       `yaml:"give_up" help:"probability that a cart is abandoned at once; else the user looks on"`
	Purchase   float64       `yaml:"purchase" help:"probability that a checkout ends in a purchase; else it is abandoned"`
	Bots       float64       `yaml:"bots" help:"probability that a session is a robot's, which reads the catalogue from somewhere on"`
	BotViews   int           `yaml:"bot_views" help:"how many products a robot looks at"`
	BotThink   time.Duration `yaml:"bot_think" help:"time between two of them"`
}

// Dirt is what is wrong on purpose. Each is the probability that an event has this defect; an event has
// at most one.
type Dirt struct {
	Late          float64       `yaml:"late" help:"the timestamp lies back, by up to late_by"`
	LateBy        time.Duration `yaml:"late_by" help:"how far at most; at least a tenth of it"`
	OutOfOrder    float64       `yaml:"out_of_order" help:"the timestamp lies back, by up to out_of_order_by"`
	OutOfOrderBy  time.Duration `yaml:"out_of_order_by" help:"how far at most"`
	Future        float64       `yaml:"future" help:"the timestamp lies ahead, by up to future_by"`
	FutureBy      time.Duration `yaml:"future_by" help:"how far at most; at least a tenth of it"`
	Duplicate     float64       `yaml:"duplicate" help:"one of the last 16 lines is written again behind the event"`
	InvalidJSON   float64       `yaml:"invalid_json" help:"the line breaks off within the object"`
	PriceMissing  float64       `yaml:"price_missing" help:"there is no price"`
	PriceNegative float64       `yaml:"price_negative" help:"the price is below zero"`
	PriceNaN      float64       `yaml:"price_nan" help:"the price is NaN, which JSON does not have"`
	PriceString   float64       `yaml:"price_string" help:"the price is a string"`
	Oversized     float64       `yaml:"oversized" help:"the line is oversized_bytes longer, by a field called note"`
	OversizedBy   int           `yaml:"oversized_bytes" help:"how much longer"`
	Halves        float64       `yaml:"halves" help:"the line is written in two halves, halves_pause apart"`
	HalvesPause   time.Duration `yaml:"halves_pause" help:"how long the first half stands alone"`
	CRLF          float64       `yaml:"crlf" help:"the line ends in carriage return and newline"`
	BrokenUTF8    float64       `yaml:"broken_utf8" help:"the product's name has bytes that are not UTF-8"`
	NUL           float64       `yaml:"nul" help:"the product's name has a NUL byte"`
}

// Schema is how events change for good.
type Schema struct {
	V2At       int64 `yaml:"v2_at" help:"from this event on, counted from 1, lines have the new fields schema and channel; 0 is never"`
	BreakingAt int64 `yaml:"breaking_at" help:"from this event on the price is called amount, so that readers of price can't go on; 0 is never"`
}

// DefaultProfile is a clean shop with a thousand products.
func DefaultProfile() Profile {
	return Profile{
		Products: 1000, Users: 5000, Popularity: 1.07,
		Categories: []Category{
			{"books", 16, 14.99, 0.55, []string{"Novel", "Cookbook", "Atlas", "Dictionary", "Diary"}},
			{"grocery", 14, 6.49, 0.7, []string{"Coffee", "Tea", "Olive Oil", "Chocolate", "Honey"}},
			{"toys", 12, 24.99, 0.7, []string{"Puzzle", "Train Set", "Doll", "Kite", "Board Game"}},
			{"beauty", 12, 17.99, 0.75, []string{"Shampoo", "Perfume", "Soap", "Lotion", "Brush"}},
			{"clothing", 14, 49.99, 0.7, []string{"Shirt", "Jacket", "Jeans", "Scarf", "Boots"}},
			{"home", 12, 69.99, 0.9, []string{"Lamp", "Chair", "Carpet", "Kettle", "Mirror"}},
			{"sports", 10, 79.99, 0.9, []string{"Tent", "Racket", "Bicycle Helmet", "Rucksack", "Skates"}},
			{"electronics", 10, 249.99, 0.95, []string{"Headphones", "Camera", "Keyboard", "Monitor", "Phone"}},
		},
		Currencies: []Currency{{"EUR", 3}, {"USD", 2}, {"GBP", 1}, {"CHF", 1}},
		Prices:     Prices{Ending99: 0.75, Least: 0.99, Drift: 0.05, Discount: 0.125},
		Sessions: Sessions{
			Open: 10_000, Think: 20 * time.Second, ThinkSigma: 1, Views: 50, ViewsPower: 1.8,
			Cart: 0.4, Checkout: 0.5, GiveUp: 0.15, Purchase: 0.6,
			Bots: 0.005, BotViews: 100, BotThink: 500 * time.Millisecond,
		},
		Dirt: Dirt{
			LateBy: time.Hour, OutOfOrderBy: 5 * time.Second, FutureBy: 24 * time.Hour,
			OversizedBy: 64 << 10, HalvesPause: 50 * time.Millisecond,
		},
	}
}

// Sum is the SHA-256 of what the profile says, in hexadecimal: two profiles with the same sum give the
// same events.
func (p *Profile) Sum() string {
	text, err := json.Marshal(p)
	if err != nil {
		return "" // only NaN has no JSON, and Problems refuses it
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Furthest is how far an event's timestamp may lie behind the time at which the event was due.
func (p *Profile) Furthest() time.Duration { return max(p.Dirt.LateBy, p.Dirt.OutOfOrderBy) }

const (
	maxProducts = 1 << 20
	maxOpen     = 1 << 20
	maxPrice    = 1e9
	maxPad      = 64 << 20
)

// Problems returns what can't work, by key.
func (p *Profile) Problems() map[string]string {
	f := findings{}
	f.between("products", float64(p.Products), 1, maxProducts)
	f.between("users", float64(p.Users), 1, maxProducts)
	f.between("popularity", p.Popularity, 0, 10)
	if len(p.Categories) == 0 {
		f["categories"] = "need at least one"
	}
	shares := 0.0
	for i, c := range p.Categories {
		key := fmt.Sprintf("categories[%d].", i)
		if strings.TrimSpace(c.Name) == "" {
			f[key+"name"] = "must not be empty"
		}
		f.between(key+"share", c.Share, 0, maxPrice)
		f.between(key+"median", c.Median, 0.01, maxPrice)
		f.between(key+"sigma", c.Sigma, 0, 5)
		if len(c.Things) == 0 {
			f[key+"things"] = "need at least one"
		}
		shares += c.Share
	}
	if len(p.Categories) > 0 && !(shares > 0) {
		f["categories"] = "need one with a share above 0"
	}
	f.currencies(p.Currencies)
	f.probability("prices.ending_99", p.Prices.Ending99)
	f.between("prices.least", p.Prices.Least, 0.01, maxPrice)
	f.between("prices.drift", p.Prices.Drift, 0, 0.9)
	f.probability("prices.discount", p.Prices.Discount)
	f.sessions(&p.Sessions)
	f.dirt(&p.Dirt)
	if p.Schema.V2At < 0 {
		f["schema.v2_at"] = fmt.Sprintf("must be 0 (never) or above, got %d", p.Schema.V2At)
	}
	if p.Schema.BreakingAt < 0 {
		f["schema.breaking_at"] = fmt.Sprintf("must be 0 (never) or above, got %d", p.Schema.BreakingAt)
	}
	return f
}

type findings map[string]string

func (f findings) between(key string, v, low, high float64) {
	if !(v >= low && v <= high) { // also false for NaN
		f[key] = fmt.Sprintf("must be between %s and %s, got %v", plain(low), plain(high), v)
	}
}

func (f findings) probability(key string, v float64) {
	if !(v >= 0 && v <= 1) {
		f[key] = fmt.Sprintf("must be a probability between 0 and 1, got %v", v)
	}
}

func (f findings) duration(key string, v, most time.Duration) {
	if v < 0 || v > most {
		f[key] = fmt.Sprintf("must be between 0s and %s, got %s", most, v)
	}
}

// plain writes large bounds without an exponent.
func plain(v float64) string {
	if v == math.Trunc(v) {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprint(v)
}

func (f findings) currencies(list []Currency) {
	shares := 0.0
	for i, c := range list {
		key := fmt.Sprintf("currencies[%d].", i)
		if len(c.Name) != 3 || strings.ToUpper(c.Name) != c.Name {
			f[key+"name"] = fmt.Sprintf("must be three capital letters such as EUR, got %q", c.Name)
		}
		f.between(key+"share", c.Share, 0, maxPrice)
		shares += c.Share
	}
	if !(shares > 0) {
		f["currencies"] = "need one with a share above 0"
	}
}

func (f findings) sessions(s *Sessions) {
	f.between("sessions.open", float64(s.Open), 1, maxOpen)
	f.duration("sessions.think", s.Think, 24*time.Hour)
	f.between("sessions.think_sigma", s.ThinkSigma, 0, 5)
	f.between("sessions.views", float64(s.Views), 1, 10_000)
	f.between("sessions.views_power", s.ViewsPower, 0, 10)
	f.probability("sessions.cart", s.Cart)
	f.probability("sessions.checkout", s.Checkout)
	f.probability("sessions.give_up", s.GiveUp)
	if s.Checkout >= 0 && s.GiveUp >= 0 && s.Checkout+s.GiveUp > 1 {
		f["sessions.give_up"] = fmt.Sprintf("is above 1 together with sessions.checkout, got %v and %v", s.GiveUp, s.Checkout)
	}
	f.probability("sessions.purchase", s.Purchase)
	f.probability("sessions.bots", s.Bots)
	f.between("sessions.bot_views", float64(s.BotViews), 1, 10_000)
	f.duration("sessions.bot_think", s.BotThink, 24*time.Hour)
}

func (f findings) dirt(d *Dirt) {
	total, sound := 0.0, true
	for k, p := range d.probabilities() {
		if p != 0 {
			f.probability("dirt."+Kind(k).String(), p)
		}
		sound = sound && p >= 0 && p <= 1
		total += p
	}
	if sound && total > 1 {
		f["dirt.late"] = fmt.Sprintf("all kinds of dirt together are above 1, got %v", total)
	}
	day := 24 * time.Hour
	f.duration("dirt.late_by", d.LateBy, 7*day)
	f.duration("dirt.out_of_order_by", d.OutOfOrderBy, 7*day)
	f.duration("dirt.future_by", d.FutureBy, 366*day)
	f.duration("dirt.halves_pause", d.HalvesPause, time.Minute)
	f.between("dirt.oversized_bytes", float64(d.OversizedBy), 0, maxPad)
}
