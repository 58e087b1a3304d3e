package kafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventline/internal/kafka/kafkatest"
)

// lastCode is the last one of Kafka 4.2.
const lastCode = 133

func everyCode() []sarama.KError {
	all := []sarama.KError{sarama.ErrUnknown}
	for k := sarama.KError(1); k <= lastCode; k++ {
		all = append(all, k)
	}
	return all
}

func TestEveryErrorCodeHasItsName(t *testing.T) {
	for _, k := range everyCode() {
		c, known := codes[k]
		want := kerr.TypedErrorForCode(int16(k))
		name := want.Message
		if name == "NOT_LEADER_FOR_PARTITION" {
			name = "NOT_LEADER_OR_FOLLOWER" // its name since Kafka 2.6
		}
		if !known || c.name != name {
			t.Errorf("code %d: %q, want %q", k, c.name, name)
		}
		if (c.from == "") != (c.means == "") {
			t.Errorf("%s: is an answer to %q, and means %q", name, c.from, c.means)
		}
		// What a client is told to try again is nothing that we take for definite.
		if e := (&Error{Class: c.class}); want.Retriable && e.Definite() {
			t.Errorf("%s: class %s, but a client may try again", name, c.class)
		}
	}
	if len(codes) != len(everyCode()) {
		t.Errorf("%d codes, want %d", len(codes), len(everyCode()))
	}
}

// The table for people is the table.
func TestDesignListsTheErrorCodes(t *testing.T) {
	text, err := os.ReadFile("DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "| ") && strings.Count(line, "|") >= 6 {
			got = append(got, strings.TrimSpace(line))
		}
	}
	got = got[min(1, len(got)):] // the head
	for _, k := range everyCode() {
		if c := codes[k]; c.means != "" {
			want = append(want, fmt.Sprintf("| %d | %s | %s | %s | %s |", k, c.name, c.from, c.class, c.means))
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("DESIGN.md lacks the line\n%s", line)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("DESIGN.md has a line that is not true\n%s", line)
		}
	}
	for _, k := range everyCode() {
		if c := codes[k]; c.means != "" && !strings.Contains(string(text), "`"+string(c.class)+"`") {
			t.Errorf("DESIGN.md does not say what to do about class %s", c.class)
		}
	}
}

// asking is a request, and how to have it made.
type asking struct {
	question
	key kmsg.Key
	ask func(ctx context.Context, topic *Topic) error
}

func askings(t *testing.T, id int64) []asking {
	return []asking{
		{toProduce, kmsg.Produce, func(ctx context.Context, topic *Topic) error {
			p, err := topic.OpenPartition(ctx, 0)
			if err != nil {
				t.Fatalf("OpenPartition: %v", err)
			}
			defer p.Close()
			done := make(chan error, 1)
			p.Append(Batch{ProducerID: id, Lines: [][]byte{[]byte("x")}}, func(_ int64, err error) { done <- err })
			return <-done
		}},
		{toBegin, kmsg.InitProducerID, func(ctx context.Context, topic *Topic) error {
			_, _, err := topic.ProducerID(ctx)
			return err
		}},
		{toRecall, kmsg.DescribeProducers, func(ctx context.Context, topic *Topic) error {
			_, err := topic.Producers(ctx, 0, id)
			return err
		}},
		{toMeasure, kmsg.ListOffsets, func(ctx context.Context, topic *Topic) error {
			_, err := topic.Log(ctx, 0)
			return err
		}},
		{toFetch, kmsg.Fetch, func(ctx context.Context, topic *Topic) error {
			_, err := topic.Scan(ctx, 0, 0, id, 0, func(Stored) error { return nil })
			return err
		}},
		{toFind, kmsg.Metadata, func(ctx context.Context, topic *Topic) error {
			_, err := topic.Identity(ctx)
			return err
		}},
		{toInspect, kmsg.DescribeConfigs, func(ctx context.Context, topic *Topic) error {
			d, err := topic.Describe(ctx)
			if err == nil && d.MaxBytes != defaultMaxMessageBytes {
				t.Errorf("Describe: %+v", d)
			}
			return err
		}},
	}
}

// A broker answers each request with each code that there is, and two that there are
// not, whether it can be or not.
func TestEveryErrorCodeArrivesWithItsClassAndMeaning(t *testing.T) {
	f := kafkatest.Start(t)
	kafkatest.CreateTopic(t, f.Addr, "events", 1)
	kafkatest.Produce(t, f.Addr, "events", 0, "a record to fetch")
	cfg := settings(f.Addr)
	c := open(t, cfg)
	topic := c.Topic("events", ProduceOptions{})
	id, _, err := topic.ProducerID(within(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range askings(t, id) {
		t.Run(a.key.Name(), func(t *testing.T) {
			for _, k := range append(everyCode(), 999, -77) {
				fault := f.Cluster().Fault(kfake.Fault{
					Keys: []kmsg.Key{a.key}, Count: -1,
					Err: &kerr.Error{Message: "TEST", Code: int16(k)},
				})
				if a.from == "I" && classOfCode(k) == Leader {
					fault.Remove()
					fault = f.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{a.key}, Err: &kerr.Error{Message: "TEST", Code: int16(k)}})
				}
				err := a.ask(within(t), topic)
				hits := fault.Hits()
				fault.Remove()
				if hits == 0 {
					t.Fatalf("code %d: the broker was not asked", k)
				}
				switch {
				case a.from == "P" && k == sarama.ErrDuplicateSequenceNumber, // an ack
					a.from == "I" && classOfCode(k) == Leader,        // waited for
					a.from == "C" && classOfCode(k) == Authorization: // then it is the defaults
					if err != nil {
						t.Errorf("code %d: %v", k, err)
					}
				default:
					tells(t, a, k, err)
				}
			}
		})
	}
}

// tells wants an error that says all there is to say of a code.
func tells(t *testing.T, a asking, k sarama.KError, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("code %d: no error", k)
		return
	}
	if got := ClassOf(err); got != classOfCode(k) {
		t.Errorf("code %d: class %q, want %q: %v", k, got, classOfCode(k), err)
	}
	if !errors.Is(err, k) {
		t.Errorf("code %d: lost in %v", k, err)
	}
	c := codes[k]
	want := []string{fmt.Sprintf(a.doing, "events"), c.name, fmt.Sprint(int16(k)), c.means}
	switch {
	case k == sarama.ErrUnknownTopicOrPartition && a.from == "M":
		want = []string{"eventline topics create --topic events"}
	case c.class == Authorization && c.means != "":
		want = []string{
			strings.ToUpper(a.right), c.name,
			"--add --allow-principal User:ANONYMOUS --operation " + a.right + " --topic events",
		}
	}
	for _, text := range want {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("code %d: %q does not say %q", k, err, text)
		}
	}
	if strings.Contains(err.Error(), "kafka server:") || strings.Contains(err.Error(), "how did this happen") {
		t.Errorf("code %d: %q has the library's text", k, err)
	}
}

func TestMissingRightNamesWhoNeedsIt(t *testing.T) {
	for _, tt := range []struct {
		cfg  func(*Config)
		want string
	}{
		{func(*Config) {}, "--allow-principal User:ANONYMOUS --operation Read"},
		{func(c *Config) { *c = login(t, "h:1", saslPlain, "ship-1", "x") }, "--allow-principal User:ship-1 --operation Read"},
		{func(c *Config) { *c = login(t, "h:1", saslPlain, "it's me", "x") }, `--allow-principal 'User:it'\''s me' --operation Read`},
	} {
		cfg := settings("h:1")
		tt.cfg(&cfg)
		err := open(t, cfg).refusal(toFetch, "events", "", sarama.ErrTopicAuthorizationFailed, nil)
		if !strings.Contains(err.Error(), "kafka-acls --bootstrap-server h:1 --add "+tt.want) {
			t.Errorf("%q does not say %q", err, tt.want)
		}
	}
}
