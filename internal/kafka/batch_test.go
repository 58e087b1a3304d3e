package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// encodeRecords writes records with another library. Deltas name their offsets.
func encodeRecords(deltas []int, values []string) []byte {
	var all []byte
	for i, d := range deltas {
		r := kmsg.Record{OffsetDelta: int32(d), Value: []byte(values[i])}
		if i%2 == 1 {
			r.Key = []byte("key")
			r.Headers = []kmsg.Header{{Key: "h", Value: []byte("v")}, {Key: "null"}}
		}
		body := r.AppendTo(nil)[1:] // its length, 0, is one byte
		all = append(kbin.AppendVarint(all, int32(len(body))), body...)
	}
	return all
}

// encodeBatch writes a batch with another library.
func encodeBatch(b kmsg.RecordBatch) []byte {
	b.Magic = 2
	b.Length = int32(headerSize - 12 + len(b.Records))
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], castagnoli))
	return raw
}

func header(t testing.TB, raw []byte) batchHeader {
	t.Helper()
	h, err := parseHeader((*[headerSize]byte)(raw))
	if err != nil {
		t.Fatal(err)
	}
	if err := h.intact((*[headerSize]byte)(raw), raw[headerSize:]); err != nil {
		t.Fatal(err)
	}
	return h
}

func show(got *[]string) func(Stored) error {
	return func(s Stored) error {
		*got = append(*got, fmt.Sprintf("%d@%d %q", s.FirstSequence, s.BaseOffset, s.Lines))
		return nil
	}
}

func TestBatchComesInRunsOfConsecutiveRecords(t *testing.T) {
	raw := encodeBatch(kmsg.RecordBatch{
		FirstOffset: 100, LastOffsetDelta: 9, NumRecords: 6, ProducerID: 7, ProducerEpoch: 3, FirstSequence: 1<<31 - 3,
		Records: encodeRecords([]int{0, 1, 2, 5, 6, 9}, []string{"a", "b", "", "f", "g", "j"}),
	})
	h := header(t, raw)
	if h.producerID != 7 || h.epoch != 3 || h.next() != 110 {
		t.Errorf("header %+v", h)
	}
	for _, tt := range []struct {
		from, end int64
		want      []string
	}{
		{0, 1000, []string{`2147483645@100 ["a" "b" ""]`, `2@105 ["f" "g"]`, `6@109 ["j"]`}},
		{101, 106, []string{`2147483646@101 ["b" ""]`, `2@105 ["f"]`}},
		{103, 105, nil}, // compaction took those
		{109, 110, []string{`6@109 ["j"]`}},
		{110, 1000, nil},
	} {
		var u unpacker
		var got []string
		if err := u.runs(h, raw[headerSize:], tt.from, tt.end, show(&got)); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("from %d to %d: got %v, %v; want %v", tt.from, tt.end, got, err, tt.want)
		}
	}
}

func TestEmptiedBatchKeepsItsOffsets(t *testing.T) {
	raw := encodeBatch(kmsg.RecordBatch{FirstOffset: 100, LastOffsetDelta: 9, ProducerID: 7})
	h := header(t, raw)
	var u unpacker
	var got []string
	if err := u.runs(h, nil, 0, 1000, show(&got)); err != nil || got != nil || h.next() != 110 {
		t.Errorf("got %v, %v, next %d", got, err, h.next())
	}
}

func TestDamageIsNamed(t *testing.T) {
	good := kmsg.RecordBatch{FirstOffset: 100, LastOffsetDelta: 1, NumRecords: 2, Records: encodeRecords([]int{0, 1}, []string{"a", "b"})}
	with := func(change func(*kmsg.RecordBatch)) []byte {
		b := good
		change(&b)
		return encodeBatch(b)
	}
	for _, tt := range []struct {
		name string
		raw  []byte
		says string
	}{
		{"a record too few", with(func(b *kmsg.RecordBatch) { b.NumRecords = 3; b.LastOffsetDelta = 2 }), "does not hold its 3 records"},
		{"a record too many", with(func(b *kmsg.RecordBatch) { b.NumRecords = 1 }), "after its records"},
		{"offsets beyond the last", with(func(b *kmsg.RecordBatch) { b.LastOffsetDelta = 0 }), "does not hold"},
		{"offsets that stand still", with(func(b *kmsg.RecordBatch) { b.Records = encodeRecords([]int{1, 1}, []string{"a", "b"}) }), "does not hold"},
		{"compression nobody knows", with(func(b *kmsg.RecordBatch) { b.Attributes = 7 }), "compression 7, which we do not know"},
		{"no gzip", with(func(b *kmsg.RecordBatch) { b.Attributes = 1 }), "unpack batch at offset 100"},
		{"no snappy", with(func(b *kmsg.RecordBatch) { b.Attributes = 2 }), "unpack batch at offset 100"},
		{"no lz4", with(func(b *kmsg.RecordBatch) { b.Attributes = 3 }), "unpack batch at offset 100"},
		{"no zstd", with(func(b *kmsg.RecordBatch) { b.Attributes = 4 }), "unpack batch at offset 100"},
	} {
		var u unpacker
		err := u.runs(header(t, tt.raw), tt.raw[headerSize:], 0, 1000, func(Stored) error { return nil })
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.says)
		}
		u.close()
	}
	raw := encodeBatch(good)
	raw[headerSize+3] ^= 1
	h, err := parseHeader((*[headerSize]byte)(raw))
	if err == nil {
		err = h.intact((*[headerSize]byte)(raw), raw[headerSize:])
	}
	if err == nil || !strings.Contains(err.Error(), "batch at offset 100 is damaged") {
		t.Errorf("a flipped bit: %v", err)
	}
}

func TestBatchThatUnpacksToTooMuchIsGivenUp(t *testing.T) {
	var packed bytes.Buffer
	w, err := zstd.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	for range maxBatch>>20 + 1 {
		_, _ = w.Write(make([]byte, 1<<20))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	raw := encodeBatch(kmsg.RecordBatch{NumRecords: 1, Attributes: 4, Records: packed.Bytes()})
	var u unpacker
	defer u.close()
	err = u.runs(header(t, raw), raw[headerSize:], 0, 1000, func(Stored) error { return nil })
	if err == nil || !errors.Is(err, errTooLong) && !errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		t.Errorf("got %v, want that it is too long", err)
	}
}

// FuzzBatch takes any bytes for a batch. What comes out has to be what another
// library finds in it.
func FuzzBatch(f *testing.F) {
	f.Add(encodeBatch(kmsg.RecordBatch{
		FirstOffset: 100, LastOffsetDelta: 9, NumRecords: 3, FirstSequence: 5,
		Records: encodeRecords([]int{0, 1, 9}, []string{"a", "", "j"}),
	}), int64(0), int64(1000))
	f.Add(encodeBatch(kmsg.RecordBatch{LastOffsetDelta: 9}), int64(3), int64(4))
	f.Fuzz(func(t *testing.T, raw []byte, from, end int64) {
		if len(raw) < headerSize {
			return
		}
		h, err := parseHeader((*[headerSize]byte)(raw))
		if err != nil || h.magic < 2 || h.base > 1<<60 {
			return
		}
		var u unpacker
		defer u.close()
		var got []string
		next := max(from, h.base)
		err = u.runs(h, raw[headerSize:], from, end, func(s Stored) error {
			if s.BaseOffset < next || len(s.Lines) == 0 || s.FirstSequence < 0 {
				t.Fatalf("run %+v after offset %d", s, next)
			}
			next = s.BaseOffset + int64(len(s.Lines))
			if next > min(end, h.next()) {
				t.Fatalf("run up to %d, beyond %d or %d", next, end, h.next())
			}
			for i, line := range s.Lines {
				got = append(got, fmt.Sprintf("%d %q", s.BaseOffset+int64(i), line))
			}
			return nil
		})
		if err != nil || h.attributes&codecBits != 0 {
			return
		}
		var want []string
		for _, r := range readRecords(t, int(h.records), raw[headerSize:]) {
			if at := h.base + int64(r.OffsetDelta); at >= from && at < end {
				want = append(want, fmt.Sprintf("%d %q", at, r.Value))
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

// readRecords reads records with another library.
func readRecords(t *testing.T, n int, raw []byte) []kmsg.Record {
	var all []kmsg.Record
	for range n {
		length, used := kbin.Varint(raw)
		if used <= 0 || int(length) > len(raw)-used {
			t.Fatalf("another library finds no record in %x", raw)
		}
		var r kmsg.Record
		if err := r.ReadFrom(raw[:used+int(length)]); err != nil {
			t.Fatalf("another library can't read a record: %v", err)
		}
		all, raw = append(all, r), raw[used+int(length):]
	}
	return all
}

// FuzzFetch takes any bytes for an answer to Fetch.
func FuzzFetch(f *testing.F) {
	resp := kmsg.NewPtrFetchResponse()
	resp.SetVersion(fetchVersion)
	rt := kmsg.NewFetchResponseTopic()
	rt.Topic = "events"
	rp := kmsg.NewFetchResponseTopicPartition()
	rp.HighWatermark = 1000
	rp.RecordBatches = encodeBatch(kmsg.RecordBatch{FirstOffset: 10, NumRecords: 1, ProducerID: 7, Records: encodeRecords([]int{0}, []string{"a"})})
	rp.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 1}}
	rt.Partitions = append(rt.Partitions, rp)
	resp.Topics = append(resp.Topics, rt)
	answer := resp.AppendTo([]byte{0, 0, 0, 0, 0, 0, 0, 1})
	binary.BigEndian.PutUint32(answer, uint32(len(answer)-4))
	f.Add(answer)
	f.Fuzz(func(t *testing.T, raw []byte) {
		in := bytes.NewReader(raw)
		got, err := parseFetch(in, 1, "events", 0)
		if err != nil || got.records == 0 {
			return
		}
		s := &scan{id: 7, log: Log{HighWatermark: 1000}, fetcher: &fetcher{in: in}, each: func(Stored) error { return nil }}
		defer s.unpacker.close()
		next, need, err := s.batches(got.records, 10)
		if next < 10 || need < 0 {
			t.Errorf("next %d, need %d, %v", next, need, err)
		}
		if err == nil && in.Len() != len(raw)-4-int(binary.BigEndian.Uint32(raw)) {
			t.Errorf("%d bytes are left, of %d", in.Len(), len(raw))
		}
	})
}
