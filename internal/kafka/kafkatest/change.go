package kafkatest

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// CreateTopic creates a topic with settings such as
// "max.message.bytes", "1000" in pairs, and waits until it has leaders.
func CreateTopic(t testing.TB, addr, topic string, partitions int32, settings ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cl := dial(t, addr)
	if err := create(ctx, cl, topic, partitions, settings...); err != nil {
		t.Fatalf("create topic %s: %v", topic, err)
	}
	awaitLeaders(ctx, t, cl, topic)
}

func awaitLeaders(ctx context.Context, t testing.TB, cl *kgo.Client, topic string) {
	t.Helper()
	WaitFor(t, "leaders of "+topic, func() bool {
		_, err := ends(ctx, cl, topic)
		return err == nil
	})
}

func create(ctx context.Context, cl *kgo.Client, topic string, partitions int32, settings ...string) error {
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = topic, partitions, 1
	for i := 0; i+1 < len(settings); i += 2 {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = settings[i], &settings[i+1]
		rt.Configs = append(rt.Configs, c)
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = 30_000
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(resp.Topics[0].ErrorCode)
}

// RecreateTopic deletes a topic and creates another one of the same name, with one
// partition.
func RecreateTopic(t testing.TB, addr, topic string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cl := dial(t, addr)
	rt := kmsg.NewDeleteTopicsRequestTopic()
	rt.Topic = &topic
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = 30_000
	req.Topics, req.TopicNames = append(req.Topics, rt), []string{topic}
	resp, err := req.RequestWith(ctx, cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.Topics[0].ErrorCode)
	}
	if err != nil {
		t.Fatalf("delete topic %s: %v", topic, err)
	}
	WaitFor(t, "topic "+topic+" to be gone", func() bool { // it is deleted after the answer
		err = create(ctx, cl, topic, 1)
		return !errors.Is(err, kerr.TopicAlreadyExists)
	})
	if err != nil {
		t.Fatalf("create topic %s again: %v", topic, err)
	}
	awaitLeaders(ctx, t, cl, topic)
}

// Configure changes a setting of all brokers while they run.
func Configure(t testing.TB, addr, name, value string) {
	t.Helper()
	configure(t, addr, kmsg.ConfigResourceTypeBroker, "", name, value)
}

// Limit changes the largest batch that a topic takes, and waits until it does: a broker
// with ZooKeeper hears of changes later, one after the other.
func Limit(t testing.TB, addr, topic string, size int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cl := dial(t, addr, kgo.DefaultProduceTopic("limits"), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err := create(ctx, cl, "limits", 1); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		t.Fatalf("create topic limits: %v", err)
	}
	awaitLeaders(ctx, t, cl, "limits")
	set := func(topic string, size int) {
		configure(t, addr, kmsg.ConfigResourceTypeTopic, topic, "max.message.bytes", strconv.Itoa(size))
	}
	taken := func() error {
		return cl.ProduceSync(ctx, &kgo.Record{Value: make([]byte, 3000)}).FirstErr()
	}
	set("limits", 10_000)
	WaitFor(t, "a record to be taken", func() bool { return taken() == nil })
	set(topic, size)
	set("limits", 1000)
	WaitFor(t, "a record not to be taken", func() bool { return errors.Is(taken(), kerr.MessageTooLarge) })
}

func configure(t testing.TB, addr string, kind kmsg.ConfigResourceType, of, name, value string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	rc := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	rc.Name, rc.Value = name, &value
	rr := kmsg.NewIncrementalAlterConfigsRequestResource()
	rr.ResourceType, rr.ResourceName = kind, of
	rr.Configs = append(rr.Configs, rc)
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Resources = append(req.Resources, rr)
	resp, err := req.RequestWith(ctx, dial(t, addr))
	if err == nil {
		err = kerr.ErrorForCode(resp.Resources[0].ErrorCode)
	}
	if err != nil {
		t.Fatalf("set %s: %v", name, err)
	}
}

// Allow adds an ACL: principal, such as User:me, may do op on the topic.
func Allow(t testing.TB, addr, principal, topic string, op kmsg.ACLOperation) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := kmsg.NewCreateACLsRequestCreation()
	c.ResourceType, c.ResourceName, c.ResourcePatternType = kmsg.ACLResourceTypeTopic, topic, kmsg.ACLResourcePatternTypeLiteral
	c.Principal, c.Host, c.Operation, c.PermissionType = principal, "*", op, kmsg.ACLPermissionTypeAllow
	req := kmsg.NewPtrCreateACLsRequest()
	req.Creations = append(req.Creations, c)
	resp, err := req.RequestWith(ctx, dial(t, addr))
	if err == nil {
		err = kerr.ErrorForCode(resp.Results[0].ErrorCode)
	}
	if err != nil {
		t.Fatalf("allow %s to %s topic %s: %v", principal, op, topic, err)
	}
}

// Grow adds partitions to a topic, up to so many, and waits until they have leaders.
func Grow(t testing.TB, addr, topic string, partitions int32) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cl := dial(t, addr)
	rt := kmsg.NewCreatePartitionsRequestTopic()
	rt.Topic, rt.Count = topic, partitions
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis = 30_000
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(ctx, cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.Topics[0].ErrorCode)
	}
	if err != nil {
		t.Fatalf("add partitions to topic %s: %v", topic, err)
	}
	WaitFor(t, "the new partitions of "+topic, func() bool {
		found, err := ends(ctx, cl, topic)
		return err == nil && len(found) == int(partitions)
	})
}
