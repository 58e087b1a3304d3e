package kafka

import (
	"context"
	"sync"

	"github.com/IBM/sarama"
)

// Consume reads all partitions the topic has at the start, from their oldest
// records or from what comes next, and calls fn for each record from one
// goroutine, in order per partition, until ctx ends (it returns nil) or fn
// returns an error (it returns that). A broker that goes away later is waited
// for, with a warning in the log. The record's slices may be kept.
func (c *Client) Consume(ctx context.Context, topic string, fromBeginning bool, fn func(Record) error) error {
	if err := c.begin(); err != nil {
		return err
	}
	defer c.open.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(c.ctx, cancel)
	defer stop()
	_, meta, err := c.topic(ctx, topic)
	if err != nil {
		return err
	}

	conf := c.config(ctx) // with ctx the connections end, and with them all waiting
	conf.Metadata.Full = false
	conf.Consumer.Return.Errors = true
	conf.Consumer.IsolationLevel = sarama.ReadCommitted
	conf.Consumer.Retry.Backoff = c.cfg.Retry.Delay(1)
	conf.Consumer.Retry.BackoffFunc = c.cfg.Retry.Delay
	consumer, err := sarama.NewConsumer(c.addrs(), conf)
	if err != nil {
		return c.explain(ctx, "", err)
	}
	defer consumer.Close()
	start := sarama.OffsetNewest
	if fromBeginning {
		start = sarama.OffsetOldest
	}
	var (
		claims  []sarama.PartitionConsumer
		readers sync.WaitGroup
		records = make(chan Record, 256)
	)
	defer func() {
		cancel()
		for _, pc := range claims {
			pc.AsyncClose()
		}
		readers.Wait()
	}()
	for _, p := range meta.Partitions {
		pc, err := consumer.ConsumePartition(topic, p.ID, start)
		if err != nil {
			return c.explain(ctx, "", err)
		}
		claims = append(claims, pc)
		readers.Go(func() {
			for err := range pc.Errors() {
				if ctx.Err() == nil {
					c.log.Warn().Err(classify("", err)).Str("topic", topic).Int32("partition", p.ID).Msg("partition is not readable, trying again")
				}
			}
		})
		readers.Go(func() {
			for msg := range pc.Messages() {
				select {
				case records <- record(msg):
				case <-ctx.Done(): // read on, so that sarama can close
				}
			}
		})
	}
	for {
		select {
		case r := <-records:
			if err := fn(r); err != nil {
				return err
			}
		case <-ctx.Done():
			if c.ctx.Err() != nil {
				return errClosed
			}
			return nil
		}
	}
}
