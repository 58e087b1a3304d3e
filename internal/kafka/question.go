package kafka

import (
	"fmt"
	"strings"

	"github.com/IBM/sarama"
)

// question is a kind of request about a topic, for what is said when a broker
// does not answer it.
type question struct {
	doing string // with the topic's name
	from  string // its letter in codes
	right string // what it takes on the topic, as kafka-acls spells it
}

var (
	toProduce = question{"append to topic %q", "P", "Write"}
	toBegin   = question{"get a producer id for topic %q", "I", "Write"}
	toRecall  = question{"ask what the leader holds of a producer in topic %q", "D", "Read"}
	toMeasure = question{"ask for the bounds of topic %q", "L", "Describe"}
	toFetch   = question{"read topic %q", "F", "Read"}
	toFind    = question{"look up topic %q", "M", "Describe"}
	toInspect = question{"ask for the settings of topic %q", "C", "DescribeConfigs"}
)

// refusal makes an Error of the code that a broker answered a question about a
// topic with. detail is what the broker added, nil or empty if nothing.
func (c *Client) refusal(q question, topic, addr string, k sarama.KError, detail *string) *Error {
	text := fmt.Sprintf(q.doing, topic) + ": "
	class := classOfCode(k)
	switch {
	case k == sarama.ErrUnknownTopicOrPartition && q == toFind:
		return topicMissing(topic)
	case class == Authorization && codes[k].means != "":
		text += c.missingRight(q, topic, k)
	default:
		text += explainCode(k)
	}
	if detail != nil && *detail != "" {
		text += ": " + *detail
	}
	return errorf(class, addr, "%s%w", text, quiet{k})
}

func topicMissing(name string) *Error {
	return errorf(TopicMissing, "", "topic %q does not exist: create it with `eventline topics create --topic %s`%w", name, name, quiet{sarama.ErrUnknownTopicOrPartition})
}

// missingRight says which right to add, and how. Without the right to describe it,
// a broker does not tell a topic that is forbidden from one that does not exist.
func (c *Client) missingRight(q question, topic string, k sarama.KError) string {
	text := fmt.Sprintf("not allowed (%s, %d), it needs %s on the topic", codes[k].name, int16(k), strings.ToUpper(q.right))
	if q == toBegin {
		text += " (before Kafka 2.8 IDEMPOTENT_WRITE on the cluster)"
	}
	if q == toFind {
		text += ", or the topic does not exist"
	}
	return fmt.Sprintf("%s: kafka-acls --bootstrap-server %s --add --allow-principal %s --operation %s --topic %s",
		text, c.cfg.Brokers[0], quoted("User:"+c.principal()), q.right, topic)
}

// principal is the name that brokers give us, unless they map names.
func (c *Client) principal() string {
	if c.cfg.SASL.Mechanism != "" {
		return c.cfg.SASL.User
	}
	if c.tls != nil {
		for _, pair := range c.tls.Certificates {
			if pair.Leaf != nil {
				return pair.Leaf.Subject.String()
			}
		}
	}
	return "ANONYMOUS"
}

// quoted is s as a word of a shell's command line.
func quoted(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(":._-@", r)
	}
	if strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
