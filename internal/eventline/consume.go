package eventline

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"eventline/internal/daemon"
	"eventline/internal/kafka"
)

// errEnough ends a consume command that has printed what it was asked for.
var errEnough = errors.New("enough")

// record is one record in the output of `consume --json`.
type record struct {
	Topic     string  `json:"topic"`
	Partition int32   `json:"partition"`
	Offset    int64   `json:"offset"`
	Timestamp string  `json:"timestamp"`
	Key       *string `json:"key"` // null for a null key
	Value     string  `json:"value"`
	// Encoding is "base64" where key or value is not UTF-8 and so can't be a
	// JSON string unaltered; then both are in base64.
	Encoding string `json:"encoding,omitempty"`
}

func consumeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "consume", Args: cobra.NoArgs,
		Short: "Print a topic's records, one value a line, until a signal comes",
	}
	beginning := cmd.Flags().Bool("from-beginning", false, "start with the oldest record instead of the next one")
	count := cmd.Flags().Int64P("count", "n", 0, "end after this many records; 0 never ends")
	return withClient(cmd, func(ctx context.Context, c *kafka.Client, o Options, cmd *cobra.Command, _ []string) error {
		if *count < 0 {
			return daemon.ConfigError(fmt.Errorf("--count: must not be negative, got %d", *count))
		}
		out := bufio.NewWriter(cmd.OutOrStdout())
		var printed int64
		err := c.Consume(ctx, o.Topic, *beginning, func(r kafka.Record) error {
			if o.JSON {
				if err := printJSON(out, toRecord(o.Topic, r)); err != nil {
					return err
				}
			} else {
				_, _ = out.Write(r.Value) // the writer keeps its first error for Flush
				_ = out.WriteByte('\n')
			}
			if err := out.Flush(); err != nil {
				return err
			}
			if printed++; printed == *count {
				return errEnough
			}
			return nil
		})
		if errors.Is(err, errEnough) || ctx.Err() != nil {
			err = nil // that is how it ends in good order
		}
		return err
	})
}

func toRecord(topic string, r kafka.Record) record {
	rec := record{
		Topic: topic, Partition: r.Partition, Offset: r.Offset,
		Timestamp: r.Time.UTC().Format(time.RFC3339Nano),
	}
	text := func(b []byte) string { return string(b) }
	if !utf8.Valid(r.Key) || !utf8.Valid(r.Value) {
		rec.Encoding, text = "base64", base64.StdEncoding.EncodeToString
	}
	rec.Value = text(r.Value)
	if r.Key != nil {
		key := text(r.Key)
		rec.Key = &key
	}
	return rec
}
