package torture

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// record is some lines with the position of the first one. It is written by one
// write, and has a checksum: after kill -9 it is there as a whole or not at all.
// So a line that is there twice was read twice.
type record struct {
	generation, offset int64
	data               []byte
}

const (
	headerSize = 4 + 4 + 8 + 8
	maxRecord  = 64 << 20
)

// Output is the file of records that a reader appends to.
type Output struct {
	file *os.File
	buf  []byte
	end  int64
}

// Append adds lines, with their newlines, that were read at a position.
func (o *Output) Append(generation, offset int64, lines []byte) error {
	b := append(o.buf[:0], make([]byte, headerSize)...)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(lines)))
	binary.LittleEndian.PutUint64(b[8:], uint64(generation))
	binary.LittleEndian.PutUint64(b[16:], uint64(offset))
	b = append(b, lines...)
	binary.LittleEndian.PutUint32(b, crc32.Checksum(b[4:], castagnoli))
	o.buf = b
	n, err := o.file.Write(b)
	o.end += int64(n)
	return err
}

// Close closes the file.
func (o *Output) Close() error { return o.file.Close() }

// openOutput opens the file of records to append to it. What a killed process
// has half written at its end is cut off. Records from offset from on are handed
// to each; from has to be where a record begins.
func openOutput(path string, from int64, each func(record) error) (*Output, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	end, err := scan(f, from, each)
	if err == nil {
		err = f.Truncate(end)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &Output{file: f, end: end}, nil
}

// OpenOutput opens the file of records to append to it, for a reader that knows
// no positions.
func OpenOutput(path string) (*Output, error) {
	return openOutput(path, 0, func(record) error { return nil })
}

// scan hands the complete records from offset from on to each and returns where
// the last one ends. The data is valid until each returns.
func scan(f io.ReaderAt, from int64, each func(record) error) (int64, error) {
	r := bufio.NewReaderSize(io.NewSectionReader(f, from, 1<<62), 1<<18)
	var header [headerSize]byte
	var data []byte
	for {
		if _, err := io.ReadFull(r, header[:]); err != nil {
			return from, unlessEnd(err)
		}
		n := int(binary.LittleEndian.Uint32(header[4:]))
		if n > maxRecord {
			return from, fmt.Errorf("record at %d: has a length of %d", from, n)
		}
		if cap(data) < n {
			data = make([]byte, n)
		}
		data = data[:n]
		if _, err := io.ReadFull(r, data); err != nil {
			return from, unlessEnd(err)
		}
		sum := crc32.Update(crc32.Checksum(header[4:], castagnoli), castagnoli, data)
		if sum != binary.LittleEndian.Uint32(header[:]) {
			return from, nil // being written just now
		}
		err := each(record{
			generation: int64(binary.LittleEndian.Uint64(header[8:])),
			offset:     int64(binary.LittleEndian.Uint64(header[16:])),
			data:       data,
		})
		if err != nil {
			return from, err
		}
		from += headerSize + int64(n)
	}
}

func unlessEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}
