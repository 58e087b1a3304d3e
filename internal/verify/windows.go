package verify

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"eventline/internal/truth"
)

// spot is a window and bucket.
type spot struct {
	start  int64 // in seconds since 1970
	bucket string
}

func spotOf(e event, length time.Duration) spot {
	n := length.Microseconds()
	start := e.at - (e.at%n+n)%n
	return spot{start: start / 1e6, bucket: e.price.bucket()}
}

func (s spot) window() string { return time.Unix(s.start, 0).UTC().Format(time.RFC3339) }

// cell is what is in a window and bucket.
type cell struct {
	count            uint64
	sum, least, most money
}

func one(price money) cell { return cell{count: 1, sum: price, least: price, most: price} }

func (c cell) plus(o cell) cell {
	if c.count == 0 {
		return o
	}
	if o.count == 0 {
		return c
	}
	c.count += o.count
	c.sum = c.sum.plus(o.sum)
	if o.least.cmp(c.least) < 0 {
		c.least = o.least
	}
	if o.most.cmp(c.most) > 0 {
		c.most = o.most
	}
	return c
}

type cells map[spot]cell

func (c cells) add(at spot, o cell) { c[at] = c[at].plus(o) }

// answer is what the key says of a window and bucket.
type answer struct {
	cell
	p50, p95, p99 money
	noQuantiles   bool
}

func expected(key *truth.Key) map[spot]answer {
	all := make(map[spot]answer, len(key.Windows))
	for _, w := range key.Windows {
		start, _ := time.Parse(time.RFC3339, w.Start) // Decode made sure of it
		all[spot{start.Unix(), w.Bucket}] = answer{
			cell: cell{count: w.Count, sum: amount(w.Sum), least: amount(w.Min), most: amount(w.Max)},
			p50:  amount(w.P50), p95: amount(w.P95), p99: amount(w.P99), noQuantiles: w.NoQuantiles,
		}
	}
	return all
}

// quantiles are those of the only result of a window and bucket.
type quantiles struct{ p50, p95, p99 money }

// compare adds k with its result, and the differences. only has the quantiles that can be judged.
func (r *Report) compare(k Check, want map[spot]answer, found cells, only map[spot]quantiles) {
	all := slices.Collect(maps.Keys(want))
	for at := range found {
		if _, ok := want[at]; !ok {
			all = append(all, at)
		}
	}
	slices.SortFunc(all, func(a, b spot) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(order(a.bucket), order(b.bucket)), cmp.Compare(a.bucket, b.bucket))
	})
	right, wrong := 0, 0
	for _, at := range all {
		w, known := want[at]
		f, there := found[at]
		before := len(r.Windows)
		differs := false
		differ := func(figure, expected, found string) {
			differs = true
			if len(r.Windows) < MaxDifferences {
				r.Windows = append(r.Windows, Difference{at.window(), at.bucket, figure, expected, found})
			}
		}
		switch {
		case !known:
			differ("unexpected", "none", number(f.count)+" events")
		case !there:
			differ("missing", number(w.count)+" events", "none")
		default:
			if f.count != w.count {
				differ("count", number(w.count), number(f.count))
			}
			for _, x := range []struct {
				figure      string
				want, found money
			}{{"sum", w.sum, f.sum}, {"min", w.least, f.least}, {"max", w.most, f.most}} {
				if x.found.cmp(x.want) != 0 {
					differ(x.figure, x.want.String(), x.found.String())
				}
			}
			// Of another set of prices the quantiles say nothing more.
			if q, single := only[at]; single && !w.noQuantiles && before == len(r.Windows) {
				for _, x := range []struct {
					figure      string
					want, found money
				}{{"p50", w.p50, q.p50}, {"p95", w.p95, q.p95}, {"p99", w.p99, q.p99}} {
					if !x.found.near(x.want) {
						differ(x.figure, x.want.String(), x.found.String())
					}
				}
			}
		}
		if differs {
			wrong++
		} else {
			right++
		}
	}
	k.Found, k.Result = number(right), Equal
	if wrong > 0 {
		k.Result = Different
		k.Note = number(wrong) + " differ"
	}
	r.add(k)
}

// order is a bucket's place among them.
func order(bucket string) int {
	if i := slices.Index(truth.Buckets, bucket); i >= 0 {
		return i
	}
	return len(truth.Buckets)
}
