package event

import (
	"strconv"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"
)

// A Line is one decided event: where it was in the topic, which bucket it fell
// into, and what is printed of it. Its slices belong to the record that it was
// decoded from.
type Line struct {
	Topic     string
	Partition int32
	Offset    int64
	Key       []byte // nil is a null key, which differs from an empty one
	Bucket    string
	ID        []byte
	Price     Price
}

// AppendClassic appends the classic line, without a newline, byte for byte as
// the old Python consumer printed it:
//
//	offset=19148 key=None bucket=low event_id=a89e1e3d-4905-4fe9-aa26-053b505efd8d price=35.32
//
// Id and key are printed as they are, also with a newline inside, as Python
// prints them. See [Line.AppendKey] for keys.
func (l *Line) AppendClassic(dst []byte) []byte {
	dst = append(dst, "offset="...)
	dst = strconv.AppendInt(dst, l.Offset, 10)
	dst = append(dst, " key="...)
	dst = l.AppendKey(dst)
	dst = append(dst, " bucket="...)
	dst = append(dst, l.Bucket...)
	dst = append(dst, " event_id="...)
	dst = append(dst, l.ID...)
	dst = append(dst, " price="...)
	return l.Price.AppendPython(dst)
}

// AppendKey appends the key's text, or None for a null key.
//
// A key that is not UTF-8 has no text. The old consumer died of it when it
// decoded strictly; the line here is the one it prints with
// key.decode("utf-8", errors="replace"): U+FFFD for each maximal part of a
// character that is broken.
func (l *Line) AppendKey(dst []byte) []byte {
	switch {
	case l.Key == nil:
		return append(dst, "None"...)
	case utf8.Valid(l.Key):
		return append(dst, l.Key...)
	}
	// Not bytes.ToValidUTF8, which makes one U+FFFD of a whole broken run.
	// This decoder never returns an error: it replaces.
	text, _ := unicode.UTF8.NewDecoder().Bytes(l.Key)
	return append(dst, text...)
}
