package kafka

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"

	"github.com/IBM/sarama"
)

// cluster is what a Metadata answer says.
type cluster struct {
	id         string           // "" where the broker does not tell
	addrs      map[int32]string // by broker id
	controller int32
	topics     []*sarama.TopicMetadata
}

// metadata asks any broker about the topics named, or about all.
func (c *Client) metadata(ctx context.Context, topics ...string) (*cluster, error) {
	var cl *cluster
	err := c.any(ctx, func(cn *conn) error {
		req := sarama.NewMetadataRequest(c.conf.Version, topics)
		req.AllowAutoTopicCreation = false
		req.IncludeTopicAuthorizedOperations = len(topics) == 1 && req.Version >= 8
		resp, err := cn.GetMetadata(req)
		if err != nil {
			return err
		}
		cl = &cluster{addrs: make(map[int32]string), controller: resp.ControllerID, topics: resp.Topics}
		if resp.ClusterID != nil {
			cl.id = *resp.ClusterID
		}
		for _, b := range resp.Brokers {
			cl.addrs[b.ID()] = b.Addr()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.learn(cl)
	return cl, nil
}

// learn remembers the brokers' own addresses for the day when none of the
// configured ones answers.
func (c *Client) learn(cl *cluster) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known = c.known[:0]
	for _, addr := range cl.addrs {
		c.known = append(c.known, addr)
	}
	slices.Sort(c.known)
}

// topic asks for one topic. Partitions without a leader are in the answer.
func (c *Client) topic(ctx context.Context, name string) (*cluster, *sarama.TopicMetadata, error) {
	cl, err := c.metadata(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	for _, t := range cl.topics {
		if t.Name != name {
			continue
		}
		if t.Err != sarama.ErrNoError {
			return nil, nil, c.refusal(toFind, name, "", t.Err, nil)
		}
		slices.SortFunc(t.Partitions, func(a, b *sarama.PartitionMetadata) int { return int(a.ID - b.ID) })
		return cl, t, nil
	}
	return nil, nil, topicMissing(name)
}

// leader returns the address of a partition's leader.
func (cl *cluster) leader(t *sarama.TopicMetadata, partition int32) (string, error) {
	for _, p := range t.Partitions {
		if p.ID != partition {
			continue
		}
		addr, ok := cl.addrs[p.Leader]
		if !ok {
			return "", errorf(Leader, "", "topic %q partition %d has no leader just now%w", t.Name, partition, quiet{sarama.ErrLeaderNotAvailable})
		}
		return addr, nil
	}
	return "", errorf(TopicMissing, "", "topic %q has no partition %d%w", t.Name, partition, quiet{sarama.ErrUnknownTopicOrPartition})
}

// offsets asks the leaders where partitions begin (sarama.OffsetOldest) or end
// (sarama.OffsetNewest). Partitions whose leader does not answer are missing
// from the map and in the error.
func (c *Client) offsets(ctx context.Context, cl *cluster, t *sarama.TopicMetadata, at int64) (map[int32]int64, error) {
	byLeader := make(map[string][]int32)
	var failed []error
	for _, p := range t.Partitions {
		addr, err := cl.leader(t, p.ID)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		byLeader[addr] = append(byLeader[addr], p.ID)
	}
	found := make(map[int32]int64)
	for addr, partitions := range byLeader {
		err := c.at(ctx, addr, func(cn *conn) error {
			req := sarama.NewOffsetRequest(c.conf.Version)
			for _, p := range partitions {
				req.AddBlock(t.Name, p, at, 1)
			}
			resp, err := cn.GetAvailableOffsets(req)
			if err != nil {
				return err
			}
			for _, p := range partitions {
				block := resp.GetBlock(t.Name, p)
				switch {
				case block == nil:
					failed = append(failed, sarama.ErrIncompleteResponse)
				case block.Err != sarama.ErrNoError:
					failed = append(failed, c.refusal(toMeasure, t.Name, addr, block.Err, nil))
				default:
					found[p] = block.Offset
				}
			}
			return nil
		})
		if err != nil {
			failed = append(failed, err)
		}
	}
	return found, errors.Join(failed...)
}

// EndOffsets asks the leaders for the offset after the last record of each
// partition.
func (c *Client) EndOffsets(ctx context.Context, topic string) (map[int32]int64, error) {
	cl, t, err := c.topic(ctx, topic)
	if err != nil {
		return nil, err
	}
	return c.offsets(ctx, cl, t, sarama.OffsetNewest)
}

// Diagnose tries each address of cfg, and each address the brokers give for
// themselves, and says for the first that does not work what stands in the way
// and what would remedy it. It returns nil when every one answers as a broker
// that lets us in. It takes at most a few DialTimeouts per address.
func Diagnose(ctx context.Context, cfg Config) error {
	c, err := Open(cfg, noLog)
	if err != nil {
		return err
	}
	defer c.Close()
	done := make(map[string]bool)
	advertised := make(map[string]int32)
	try := func(addr string) error {
		done[addr] = true
		return c.at(ctx, addr, func(cn *conn) error {
			resp, err := cn.DescribeCluster(&sarama.DescribeClusterRequest{})
			if errors.Is(err, sarama.ErrUnsupportedVersion) {
				return nil // before Kafka 2.8; it spoke to us, which is enough
			}
			if err != nil {
				return err
			}
			for _, b := range resp.Brokers {
				advertised[net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))] = b.BrokerID
			}
			return nil
		})
	}
	for _, addr := range cfg.Brokers {
		if err := try(addr); err != nil {
			return err
		}
	}
	for addr, id := range advertised {
		if done[addr] {
			continue
		}
		if err := try(addr); err != nil {
			return errorf(ClassOf(err), "", "broker %d gives its address as %s (its advertised.listeners), which does not work from here: %w", id, addr, err)
		}
	}
	return nil
}
