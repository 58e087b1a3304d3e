package kafka

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/IBM/sarama"
)

// TopicInfo is a topic in a listing.
type TopicInfo struct {
	Name       string
	Partitions int
	Replicas   int // of its first partition
	Internal   bool
}

// TopicDescription is what DescribeTopic finds.
type TopicDescription struct {
	Name       string
	Internal   bool
	Partitions []PartitionInfo   // by id
	Configs    map[string]string // settings that differ from the defaults; nil if we may not know
}

// PartitionInfo describes a partition.
type PartitionInfo struct {
	ID         int32
	Leader     int32  // broker id, -1 without a leader
	LeaderAddr string // host:port, "" without a leader
	Replicas   []int32
	ISR        []int32
	First      int64 // offset of the oldest record, -1 unknown
	End        int64 // offset after the last record, -1 unknown
}

// CreateTopic creates a topic. One that exists is an Error of class
// TopicExists, whatever its settings. replication 0 means the broker's default. A
// cluster that has no controller yet, as one that has just started, is waited for,
// at most RequestTimeout.
func (c *Client) CreateTopic(ctx context.Context, name string, partitions int32, replication int16, configs map[string]string) error {
	return c.settled(ctx, func() error { return c.createTopic(ctx, name, partitions, replication, configs) })
}

func (c *Client) createTopic(ctx context.Context, name string, partitions int32, replication int16, configs map[string]string) error {
	if replication == 0 {
		replication = -1
	}
	cl, err := c.metadata(ctx, name)
	if err != nil {
		return err
	}
	detail := &sarama.TopicDetail{
		NumPartitions:     partitions,
		ReplicationFactor: replication,
		ConfigEntries:     make(map[string]*string, len(configs)),
	}
	for k, v := range configs {
		detail.ConfigEntries[k] = &v
	}
	// With ZooKeeper only the controller can do it; with KRaft any broker passes
	// it on.
	addr, ok := cl.addrs[cl.controller]
	if !ok {
		return errorf(Leader, "", "create topic %q: the cluster has no controller just now", name)
	}
	return c.at(ctx, addr, func(cn *conn) error {
		resp, err := cn.CreateTopics(sarama.NewCreateTopicsRequest(
			c.conf.Version, map[string]*sarama.TopicDetail{name: detail}, c.cfg.RequestTimeout, false))
		if err != nil {
			return err
		}
		result, ok := resp.TopicErrors[name]
		if !ok {
			return sarama.ErrIncompleteResponse
		}
		if result.Err == sarama.ErrNoError {
			return nil
		}
		if result.Err == sarama.ErrTopicAlreadyExists {
			return errorf(TopicExists, "", "topic %q exists already%w", name, quiet{result.Err})
		}
		if result.ErrMsg != nil && *result.ErrMsg != "" {
			return errorf(classOfCode(result.Err), addr, "create topic %q: %s%w", name, *result.ErrMsg, quiet{result.Err})
		}
		return errorf(classOfCode(result.Err), addr, "create topic %q: %s%w", name, explainCode(result.Err), quiet{result.Err})
	})
}

// ListTopics lists all topics by name, internal ones too.
func (c *Client) ListTopics(ctx context.Context) ([]TopicInfo, error) {
	cl, err := c.metadata(ctx)
	if err != nil {
		return nil, err
	}
	topics := make([]TopicInfo, 0, len(cl.topics))
	for _, t := range cl.topics {
		info := TopicInfo{Name: t.Name, Partitions: len(t.Partitions), Internal: t.IsInternal}
		if len(t.Partitions) > 0 {
			info.Replicas = len(t.Partitions[0].Replicas)
		}
		topics = append(topics, info)
	}
	slices.SortFunc(topics, func(a, b TopicInfo) int { return strings.Compare(a.Name, b.Name) })
	return topics, nil
}

// DescribeTopic describes a topic. First and End of a partition whose leader
// does not answer are -1.
func (c *Client) DescribeTopic(ctx context.Context, name string) (*TopicDescription, error) {
	cl, t, err := c.topic(ctx, name)
	if err != nil {
		return nil, err
	}
	first, _ := c.offsets(ctx, cl, t, sarama.OffsetOldest)
	end, _ := c.offsets(ctx, cl, t, sarama.OffsetNewest)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	d := &TopicDescription{Name: name, Internal: t.IsInternal}
	for _, p := range t.Partitions {
		info := PartitionInfo{
			ID: p.ID, Leader: p.Leader, LeaderAddr: cl.addrs[p.Leader],
			Replicas: p.Replicas, ISR: p.Isr, First: -1, End: -1,
		}
		if n, ok := first[p.ID]; ok {
			info.First = n
		}
		if n, ok := end[p.ID]; ok {
			info.End = n
		}
		d.Partitions = append(d.Partitions, info)
	}
	entries, err := c.configs(ctx, name)
	if ClassOf(err) == Authorization {
		return d, nil
	}
	if err != nil {
		return nil, err
	}
	d.Configs = make(map[string]string)
	for _, e := range entries {
		if e.Source == sarama.SourceTopic && !e.Sensitive {
			d.Configs[e.Name] = e.Value
		}
	}
	return d, nil
}

// configs asks for settings of a topic: those named, or all.
func (c *Client) configs(ctx context.Context, topic string, names ...string) ([]*sarama.ConfigEntry, error) {
	var entries []*sarama.ConfigEntry
	err := c.any(ctx, func(cn *conn) (err error) {
		entries, err = cn.configs(topic, names...)
		return err
	})
	return entries, err
}

func (cn *conn) configs(topic string, names ...string) ([]*sarama.ConfigEntry, error) {
	resp, err := cn.DescribeConfigs(&sarama.DescribeConfigsRequest{
		Version:   2,
		Resources: []*sarama.ConfigResource{{Type: sarama.TopicResource, Name: topic, ConfigNames: names}},
	})
	if err != nil {
		return nil, err
	}
	for _, r := range resp.Resources {
		if r.Name != topic {
			continue
		}
		if k := sarama.KError(r.ErrorCode); k != sarama.ErrNoError {
			return nil, cn.client.refusal(toInspect, topic, cn.Addr(), k, &r.ErrorMsg)
		}
		return r.Configs, nil
	}
	return nil, errors.New("broker did not describe the topic's settings")
}
