package logship

import (
	"context"

	"eventline/internal/kafka"
	"eventline/internal/ship"
)

// topic fits kafka's topic into what ship asks for.
type topic struct{ *kafka.Topic }

var _ ship.Topic = topic{}

func (t topic) Describe(ctx context.Context) (partitions int32, maxBytes int, err error) {
	if partitions, err = t.Partitions(ctx); err != nil {
		return 0, 0, err
	}
	maxBytes, err = t.MaxMessageBytes(ctx)
	return partitions, maxBytes, err
}

func (t topic) Open(ctx context.Context, partition int32) (ship.Appender, error) {
	p, err := t.OpenPartition(ctx, partition)
	if err != nil {
		return nil, err
	}
	return appender{p}, nil
}

type appender struct{ *kafka.Partition }

func (a appender) Append(b ship.Batch, done func(int64, error)) {
	a.Partition.Append(kafka.Batch(b), done)
}
