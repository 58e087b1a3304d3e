package kafka

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventline/internal/kafka/kafkatest"
)

func TestTopicIsCreatedListedAndDescribed(t *testing.T) {
	f := kafkatest.Start(t)
	c := open(t, settings(f.Addr))
	if topics, err := c.ListTopics(within(t)); err != nil || len(topics) != 0 {
		t.Fatalf("ListTopics of an empty cluster: %v, %v", topics, err)
	}
	if err := c.CreateTopic(within(t), "events", 3, 0, map[string]string{"retention.ms": "3600000"}); err != nil {
		t.Fatalf("CreateTopic: %v", err)
	}
	if err := c.CreateTopic(within(t), "alarms", 1, 1, nil); err != nil {
		t.Fatalf("CreateTopic: %v", err)
	}
	kafkatest.Produce(t, f.Addr, "events", 2, numbered(0, 5)...)
	kafkatest.DeleteBefore(t, f.Addr, "events", 2, 2)

	topics, err := c.ListTopics(within(t))
	want := []TopicInfo{{Name: "alarms", Partitions: 1, Replicas: 1}, {Name: "events", Partitions: 3, Replicas: 1}}
	if err != nil || !slices.Equal(topics, want) {
		t.Errorf("ListTopics: %v, %v; want %v", topics, err, want)
	}

	d, err := c.DescribeTopic(within(t), "events")
	if err != nil {
		t.Fatalf("DescribeTopic: %v", err)
	}
	if len(d.Partitions) != 3 || d.Configs["retention.ms"] != "3600000" || len(d.Configs) != 1 {
		t.Fatalf("DescribeTopic: %+v", d)
	}
	for i, p := range d.Partitions {
		first, end := int64(0), int64(0)
		if i == 2 {
			first, end = 2, 5
		}
		if p.ID != int32(i) || p.LeaderAddr != f.Addr || p.First != first || p.End != end || len(p.Replicas) != 1 || len(p.ISR) != 1 {
			t.Errorf("partition %d: %+v", i, p)
		}
	}
}

func TestTopicThatExistsIsTold(t *testing.T) {
	f := kafkatest.Start(t)
	c := open(t, settings(f.Addr))
	if err := c.CreateTopic(within(t), "events", 1, 1, nil); err != nil {
		t.Fatal(err)
	}
	err := c.CreateTopic(within(t), "events", 1, 1, nil)
	wantClass(t, "CreateTopic again", err, TopicExists)
	if !strings.Contains(err.Error(), `topic "events" exists`) {
		t.Errorf("error %q does not name the topic", err)
	}
}

func TestCreateTopicHandsOnTheBrokersReason(t *testing.T) {
	f := kafkatest.Start(t)
	c := open(t, settings(f.Addr))
	err := c.CreateTopic(within(t), "events", 0, 1, nil)
	wantClass(t, "CreateTopic with 0 partitions", err, Invalid)
	for _, part := range []string{f.Addr, `create topic "events"`} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
}

// A broker answers before it knows its controller: seen on Kafka 3.6.2 in the
// first moment after "started".
func TestCreateTopicWaitsForAController(t *testing.T) {
	f := kafkatest.Start(t)
	c := open(t, settings(f.Addr))
	asked := 0
	f.Cluster().ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if asked++; asked > 2 {
			return nil, nil, false
		}
		f.Cluster().KeepControl()
		resp := req.ResponseKind().(*kmsg.MetadataResponse)
		resp.ControllerID = -1
		host, port, _ := net.SplitHostPort(f.Addr)
		n, _ := strconv.Atoi(port)
		resp.Brokers = append(resp.Brokers, kmsg.MetadataResponseBroker{NodeID: 0, Host: host, Port: int32(n)})
		return resp, nil, true
	})
	if err := c.CreateTopic(within(t), "events", 1, 1, nil); err != nil {
		t.Fatalf("CreateTopic: %v; want the topic once there is a controller", err)
	}
	if asked != 3 {
		t.Errorf("asked for the controller %d times, want 3", asked)
	}
}

func TestDescribeOfAMissingTopic(t *testing.T) {
	f := kafkatest.Start(t, kfake.AllowAutoTopicCreation())
	c := open(t, settings(f.Addr))
	_, err := c.DescribeTopic(within(t), "events")
	wantClass(t, "DescribeTopic", err, TopicMissing)
	_, err = c.EndOffsets(within(t), "events")
	wantClass(t, "EndOffsets", err, TopicMissing)
	if topics, _ := c.ListTopics(within(t)); len(topics) != 0 {
		t.Errorf("asking created %v", topics)
	}
}
