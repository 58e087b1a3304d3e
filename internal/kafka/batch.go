package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy/xerial"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// headerSize is how much of a record batch stands before its records: the fields of
// batchHeader, of the format that Kafka has had since 0.11 ("magic 2").
const headerSize = 61

// oldHeaderSize is how much of that tells how large a batch of any format is.
const oldHeaderSize = 17

// maxBatch bounds what one batch of ours may take in memory, packed and unpacked.
// Batches are made of at most 1 MiB, so this is a guard against damage only.
const maxBatch = 64 << 20

// batchHeader is what stands before the records of a batch.
type batchHeader struct {
	base          int64 // offset
	size          int   // of the whole batch, headerSize at least
	magic         int8
	crc           uint32
	attributes    int16
	lastDelta     int32 // of the last offset to base; compaction keeps it
	producerID    int64
	epoch         int16
	firstSequence int32
	records       int32
}

// Bits of a batch's attributes.
const (
	codecBits  = 7
	controlBit = 1 << 5 // a marker of the transaction coordinator
)

// parseHeader reads a header from its bytes. Of an older format (magic 0 or 1) only
// base, size and magic are there.
func parseHeader(b *[headerSize]byte) (batchHeader, error) {
	h := batchHeader{base: int64(binary.BigEndian.Uint64(b[0:])), magic: int8(b[16])}
	size := int64(int32(binary.BigEndian.Uint32(b[8:]))) + 12
	least := int64(headerSize)
	if h.magic < 2 {
		least = 12 + 14 // CRC, magic, attributes, lengths of key and value
	}
	switch {
	case h.magic < 0 || h.magic > 2:
		return h, fmt.Errorf("batch at offset %d is of format %d, which we do not know", h.base, h.magic)
	case h.base < 0 || size < least:
		return h, fmt.Errorf("batch at offset %d of %d bytes", h.base, size)
	}
	h.size = int(size)
	if h.magic < 2 {
		return h, nil
	}
	h.crc = binary.BigEndian.Uint32(b[17:])
	h.attributes = int16(binary.BigEndian.Uint16(b[21:]))
	h.lastDelta = int32(binary.BigEndian.Uint32(b[23:]))
	h.producerID = int64(binary.BigEndian.Uint64(b[43:]))
	h.epoch = int16(binary.BigEndian.Uint16(b[51:]))
	h.firstSequence = int32(binary.BigEndian.Uint32(b[53:]))
	h.records = int32(binary.BigEndian.Uint32(b[57:]))
	if h.lastDelta < 0 || h.records < 0 {
		return h, fmt.Errorf("batch at offset %d has %d records up to %d", h.base, h.records, h.lastDelta)
	}
	return h, nil
}

// next is the offset after the batch. One message of the old formats is taken for
// one record: what it may hold more is read again, and skipped again.
func (h batchHeader) next() int64 { return h.base + int64(h.lastDelta) + 1 }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// unpacker takes batches apart, with memory that it uses again and again.
type unpacker struct {
	plain bytes.Buffer
	gzip  *gzip.Reader
	lz4   *lz4.Reader
	zstd  *zstd.Decoder
	lines [][]byte
}

func (u *unpacker) close() {
	if u.zstd != nil {
		u.zstd.Close()
	}
}

var errTooLong = fmt.Errorf("unpacks to more than %d bytes", maxBatch)

// unpack returns the records of a batch without compression, valid until the next
// call.
func (u *unpacker) unpack(codec Codec, data []byte) ([]byte, error) {
	var src io.Reader
	var err error
	switch codec {
	case None:
		return data, nil
	case Snappy:
		// Framed as Kafka's Java client does it, or one plain block.
		u.plain.Reset()
		if u.plain.Cap() == 0 {
			u.plain.Grow(64 << 10)
		}
		for {
			out, err := xerial.DecodeCapped(u.plain.AvailableBuffer(), data)
			if !errors.Is(err, xerial.ErrDstTooSmall) {
				return out, err
			}
			if u.plain.Cap() >= maxBatch {
				return nil, errTooLong
			}
			u.plain.Grow(2 * u.plain.Cap())
		}
	case Gzip:
		if u.gzip == nil {
			u.gzip, err = gzip.NewReader(bytes.NewReader(data))
		} else {
			err = u.gzip.Reset(bytes.NewReader(data))
		}
		src = u.gzip
	case LZ4:
		if u.lz4 == nil {
			u.lz4 = lz4.NewReader(nil)
		}
		u.lz4.Reset(bytes.NewReader(data))
		src = u.lz4
	case Zstd:
		if u.zstd == nil {
			u.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBatch))
		}
		if err == nil {
			err = u.zstd.Reset(bytes.NewReader(data))
		}
		src = u.zstd
	default:
		return nil, fmt.Errorf("compression %d, which we do not know", codec)
	}
	if err != nil {
		return nil, err
	}
	u.plain.Reset()
	n, err := u.plain.ReadFrom(io.LimitReader(src, maxBatch+1))
	if err == nil && n > maxBatch {
		err = errTooLong
	}
	return u.plain.Bytes(), err
}

// runs hands out the records of a batch in runs of consecutive offsets, from offset
// from on and below end: compaction may have taken some out of the middle. body is
// what follows the header; it and the lines are valid until the next call.
func (u *unpacker) runs(h batchHeader, body []byte, from, end int64, each func(Stored) error) error {
	data, err := u.unpack(Codec(h.attributes&codecBits), body)
	if err != nil {
		return fmt.Errorf("unpack batch at offset %d: %w", h.base, err)
	}
	u.lines = u.lines[:0]
	first, last := int64(-1), int64(-1)
	flush := func() error {
		if len(u.lines) == 0 {
			return nil
		}
		err := each(Stored{
			Epoch:         h.epoch,
			FirstSequence: int32((int64(h.firstSequence) + first - h.base) & (1<<31 - 1)),
			BaseOffset:    first,
			Lines:         u.lines,
		})
		clear(u.lines)
		u.lines = u.lines[:0]
		return err
	}
	before := h.base - 1
	for range h.records {
		r, rest, ok := parseRecord(data)
		offset := h.base + r.delta
		if !ok || offset <= before || offset >= h.next() {
			return fmt.Errorf("batch at offset %d does not hold its %d records", h.base, h.records)
		}
		before, data = offset, rest
		if offset < from || offset >= end {
			continue
		}
		if offset != last+1 {
			if err := flush(); err != nil {
				return err
			}
		}
		if len(u.lines) == 0 {
			first = offset
		}
		u.lines, last = append(u.lines, r.value), offset
	}
	if len(data) > 0 {
		return fmt.Errorf("batch at offset %d holds %d bytes after its records", h.base, len(data))
	}
	return flush()
}

// content is what we want of a record.
type content struct {
	delta int64 // of the offset to the batch's
	value []byte
}

// parseRecord reads the record at the beginning of data. Its fields: length, then
// attributes, deltas of time and offset, key, value, headers; numbers are varints of
// zigzag, a length of -1 means null.
func parseRecord(data []byte) (r content, rest []byte, ok bool) {
	size, n := binary.Varint(data)
	if n <= 0 || size < 1 || size > int64(len(data)-n) {
		return r, nil, false
	}
	d := data[n : n+int(size)]
	rest = data[n+int(size):]
	d = d[1:] // attributes: none are in use
	number := func() int64 {
		v, n := binary.Varint(d)
		if n <= 0 {
			ok, d = false, nil
			return 0
		}
		d = d[n:]
		return v
	}
	text := func() []byte {
		switch size := number(); {
		case size == -1:
			return nil
		case size < 0 || size > int64(len(d)):
			ok = false
			return nil
		default:
			t := d[:size:size]
			d = d[size:]
			return t
		}
	}
	ok = true
	number() // of time
	r.delta = number()
	text() // key
	r.value = text()
	for headers := number(); headers > 0 && ok; headers-- {
		text()
		text()
	}
	return r, rest, ok && r.delta >= 0 && len(d) == 0
}

// intact checks the sum that the producer put over its batch.
func (h batchHeader) intact(header *[headerSize]byte, body []byte) error {
	sum := crc32.Update(crc32.Checksum(header[21:], castagnoli), castagnoli, body)
	if sum != h.crc {
		return fmt.Errorf("batch at offset %d is damaged: its checksum does not match", h.base)
	}
	return nil
}
