//go:build kafka

package logship

import (
	"fmt"
	"testing"

	"eventline/internal/kafka"
	"eventline/internal/kafka/kafkatest"
)

// BenchmarkFileToKafka is BenchmarkFileToBroker with Kafka 3.6.2, which stores what it
// acknowledges, on the same machine. The CPU time is logship's alone.
func BenchmarkFileToKafka(b *testing.B) {
	path := millionLines(b)
	k := kafkatest.StartReal(b)
	for _, partitions := range []int32{1, 3} {
		for _, codec := range []kafka.Codec{kafka.None, kafka.LZ4, kafka.Zstd} {
			b.Run(fmt.Sprintf("%d partitions, %s", partitions, codec), func(b *testing.B) {
				topic := fmt.Sprintf("events-%d-%s", partitions, codec)
				kafkatest.CreateTopic(b, k.Addr(), topic, partitions)
				shipFile(b, path, k.Addr(), topic, codec)
			})
		}
	}
}
