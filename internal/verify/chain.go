package verify

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"

	"eventline/internal/truth"
)

// chain is the SHA-256 over the first records of the only partition, as many as the key has lines.
type chain struct {
	hash hash.Hash
	left uint64
}

func newChain(key *truth.Key) *chain { return &chain{hash: sha256.New(), left: key.Lines} }

// add takes a record with its newline.
func (c *chain) add(line []byte) {
	if c.left > 0 {
		c.left--
		_, _ = c.hash.Write(line) // never fails
	}
}

// report compares the chain with the key's. It says something only of lines that are otherwise right.
func (c *chain) report(rep *Report, key *truth.Key, right bool) {
	k := Check{Name: "chain", Expected: key.Chain, Found: "-", Result: NotChecked}
	switch {
	case c == nil:
		k.Note = "records of " + number(rep.Partitions) + " partitions have no order among them"
		if rep.Digests {
			k.Note += "; the line digests were compared"
		}
	case !right:
		k.Note = "the lines differ"
	default:
		k.Found, k.Result = hex.EncodeToString(c.hash.Sum(nil)), Equal
		if k.Found != k.Expected {
			k.Result = Different
		}
	}
	rep.add(k)
}
