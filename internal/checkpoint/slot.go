package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

// A slot file is a header and a payload. All numbers are little-endian.
//
//	0  magic     "EVLSTATE"
//	8  version   uint32, of everything after the preamble
//	12 preamble  uint32, CRC-32C of bytes 0 to 12
//	16 sequence  uint64, counts saves from 1
//	24 saved     int64, Unix time in nanoseconds
//	32 length    uint32, of the payload
//	36 checksum  uint32, CRC-32C of bytes 16 to 36 and of the payload
//	40 payload
//
// The preamble has the same form in every version, with a checksum of its own:
// so a flipped bit is garbage, and a newer version is really one.
const (
	magic         = "EVLSTATE"
	formatVersion = 1
	preambleSize  = 16
	headerSize    = 40
)

// maxPayload bounds what is read into memory because a length field says so.
const maxPayload = 64 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// What is wrong with a slot's bytes; only a newer version is a reason to refuse
// what the other slot holds.
var (
	errEmpty     = errors.New("file is empty")
	errTruncated = errors.New("file is truncated")
	errTrailing  = errors.New("file has bytes after its end")
	errMagic     = errors.New("not a checkpoint file")
	errChecksum  = errors.New("checksum does not match")
)

// VersionError says that a slot was written by a newer program.
type VersionError struct{ Version uint32 }

func (e *VersionError) Error() string {
	return fmt.Sprintf("written in format %d by a newer version, this one reads up to %d", e.Version, formatVersion)
}

// slot is the content of a slot file.
type slot struct {
	sequence uint64
	saved    time.Time
	payload  []byte
}

// encode returns the bytes of a slot file.
func (s slot) encode() []byte {
	b := make([]byte, headerSize, headerSize+len(s.payload))
	copy(b, magic)
	binary.LittleEndian.PutUint32(b[8:], formatVersion)
	binary.LittleEndian.PutUint32(b[12:], crc32.Checksum(b[:12], castagnoli))
	binary.LittleEndian.PutUint64(b[16:], s.sequence)
	binary.LittleEndian.PutUint64(b[24:], uint64(s.saved.UnixNano()))
	binary.LittleEndian.PutUint32(b[32:], uint32(len(s.payload)))
	b = append(b, s.payload...)
	binary.LittleEndian.PutUint32(b[36:], checksum(b))
	return b
}

func checksum(b []byte) uint32 {
	sum := crc32.Checksum(b[preambleSize:36], castagnoli)
	return crc32.Update(sum, castagnoli, b[headerSize:])
}

// decode reads a slot file. The payload shares b's memory.
func decode(b []byte) (slot, error) {
	switch {
	case len(b) == 0:
		return slot{}, errEmpty
	case !bytes.HasPrefix(b, []byte(magic)[:min(len(b), len(magic))]):
		return slot{}, errMagic
	case len(b) < preambleSize:
		return slot{}, errTruncated
	case binary.LittleEndian.Uint32(b[12:]) != crc32.Checksum(b[:12], castagnoli):
		return slot{}, errChecksum
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v > formatVersion {
		return slot{}, &VersionError{Version: v}
	} else if v != formatVersion {
		return slot{}, errMagic
	}
	if len(b) < headerSize {
		return slot{}, errTruncated
	}
	length := int64(binary.LittleEndian.Uint32(b[32:]))
	switch have := int64(len(b) - headerSize); {
	case have < length:
		return slot{}, errTruncated
	case have > length:
		return slot{}, errTrailing
	case binary.LittleEndian.Uint32(b[36:]) != checksum(b):
		return slot{}, errChecksum
	}
	return slot{
		sequence: binary.LittleEndian.Uint64(b[16:]),
		saved:    time.Unix(0, int64(binary.LittleEndian.Uint64(b[24:]))),
		payload:  b[headerSize:],
	}, nil
}
