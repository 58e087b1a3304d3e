package logship

import (
	"context"
	"errors"
	"fmt"

	"eventline/internal/daemon"
	"eventline/internal/kafka"
)

// reach asks Kafka whether lines could be shipped as the settings say, and appends
// none. What a person has to change there is a daemon.ConfigError, all of it at once.
func reach(ctx context.Context, cfg Config, p daemon.Process) (err error) {
	client, err := kafka.Open(cfg.Config, p.Log)
	if err != nil {
		return daemon.ConfigError(err)
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	topic := client.Topic(cfg.Topic, kafka.ProduceOptions{Compression: cfg.Compression})
	missing, err := topic.Missing(ctx)
	if err != nil {
		if kafka.ClassOf(err) == kafka.TopicMissing {
			err = daemon.ConfigError(err)
		}
		return err
	}
	if len(missing) > 0 {
		return daemon.ConfigError(errors.Join(missing...))
	}
	d, err := topic.Describe(ctx)
	if err == nil && d.Compacted {
		return daemon.ConfigError(fmt.Errorf("topic %q is compacted: Kafka refuses lines without a key; set cleanup.policy=delete, or ship to another topic", cfg.Topic))
	}
	return err
}
