package checkpoint

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

func sample() slot {
	return slot{sequence: 7, saved: time.Unix(1700000000, 5), payload: []byte(`{"offset":12}`)}
}

func TestSlotComesBack(t *testing.T) {
	want := sample()
	got, err := decode(want.encode())
	if err != nil || got.sequence != want.sequence || !got.saved.Equal(want.saved) || !bytes.Equal(got.payload, want.payload) {
		t.Errorf("decode(encode(%v)) = %v, %v", want, got, err)
	}
}

func TestSlotCutAnywhereIsRefused(t *testing.T) {
	whole := sample().encode()
	for n := range whole {
		want := errTruncated
		if n == 0 {
			want = errEmpty
		}
		if _, err := decode(whole[:n]); !errors.Is(err, want) {
			t.Errorf("decode of the first %d of %d bytes: got %v, want %v", n, len(whole), err, want)
		}
	}
	if _, err := decode(append(whole, 0)); !errors.Is(err, errTrailing) {
		t.Errorf("decode of one byte too many: got %v, want %v", err, errTrailing)
	}
}

func TestEveryFlippedBitIsNoticed(t *testing.T) {
	whole := sample().encode()
	for i := range len(whole) * 8 {
		b := bytes.Clone(whole)
		b[i/8] ^= 1 << (i % 8)
		_, err := decode(b)
		var newer *VersionError
		if err == nil || errors.As(err, &newer) {
			t.Errorf("bit %d flipped: got %v, want garbage: a flipped bit is not a newer version", i, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(sample().encode())
	f.Add(slot{}.encode())
	f.Add([]byte(magic))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decode(b)
		if err != nil {
			return
		}
		if again := s.encode(); !bytes.Equal(again, b) {
			t.Errorf("decode accepted %x, which encodes as %x", b, again)
		}
	})
}
