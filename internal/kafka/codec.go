package kafka

import (
	"fmt"
	"slices"

	"github.com/IBM/sarama"
)

// Codec is how record batches are compressed.
type Codec int8

// The codecs every broker since 2.1 understands; the numbers are the protocol's.
const (
	None   = Codec(sarama.CompressionNone)
	Gzip   = Codec(sarama.CompressionGZIP)
	Snappy = Codec(sarama.CompressionSnappy)
	LZ4    = Codec(sarama.CompressionLZ4)
	Zstd   = Codec(sarama.CompressionZSTD)
)

var codecNames = []string{None: "none", Gzip: "gzip", Snappy: "snappy", LZ4: "lz4", Zstd: "zstd"}

// String returns the name used in configuration: none, gzip, snappy, lz4, zstd.
func (c Codec) String() string {
	if c < 0 || int(c) >= len(codecNames) {
		return fmt.Sprintf("codec(%d)", int8(c))
	}
	return codecNames[c]
}

// MarshalText implements encoding.TextMarshaler.
func (c Codec) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler and refuses other names.
func (c *Codec) UnmarshalText(text []byte) error {
	i := slices.Index(codecNames, string(text))
	if i < 0 {
		return fmt.Errorf("must be none, lz4, zstd, snappy or gzip, got %q", text)
	}
	*c = Codec(i)
	return nil
}

// TypeName names the type in help texts.
func (Codec) TypeName() string { return "codec" }

// Wants names the type in problems.
func (Codec) Wants() string { return "none, lz4, zstd, snappy or gzip" }
