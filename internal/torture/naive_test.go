//go:build kafka

package torture

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/IBM/sarama"
	nxadm "github.com/nxadm/tail"
)

// brokersEnv tells the control where to ship to.
const brokersEnv = "TORTURE_BROKERS"

func init() { readers["naive"] = shipNaively }

// shipNaively ships a log as most shippers do, the negative control: nxadm/tail reads
// it, sarama's AsyncProducer sends it, idempotent and with acks=all, and the offset up
// to which lines were acknowledged is stored once a second.
func shipNaively(r Reader) error {
	path, state, once := r.Path, filepath.Join(r.State, "offset"), r.Once
	brokers := strings.Split(os.Getenv(brokersEnv), ",")
	if err := os.MkdirAll(filepath.Dir(state), 0o700); err != nil {
		return err
	}
	var offset int64
	if text, err := os.ReadFile(state); err == nil {
		if err := json.Unmarshal(text, &offset); err != nil {
			return err
		}
	}
	cfg := sarama.NewConfig()
	cfg.Version = sarama.V3_6_0_0
	cfg.Producer.Idempotent, cfg.Net.MaxOpenRequests = true, 1
	cfg.Producer.RequiredAcks = sarama.WaitForAll
	cfg.Producer.Return.Successes = true
	cfg.Producer.Retry.Max = 20
	var producer sarama.AsyncProducer
	var err error
	for range 100 {
		if producer, err = sarama.NewAsyncProducer(brokers, cfg); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil {
		return err
	}
	if info, err := os.Stat(path); err == nil && info.Size() < offset {
		offset = 0
	}
	t, err := nxadm.TailFile(path, nxadm.Config{
		Follow: !once, ReOpen: !once, CompleteLines: true, Logger: nxadm.DiscardingLogger,
		Location: &nxadm.SeekInfo{Offset: offset, Whence: io.SeekStart},
	})
	if err != nil {
		return err
	}
	go func() {
		for range producer.Errors() {
		}
	}()
	done := make(chan error, 1)
	go func() {
		saved := time.Now()
		for m := range producer.Successes() {
			offset = m.Metadata.(int64)
			if time.Since(saved) > time.Second {
				saved = time.Now()
				if err := saveOffset(state, offset); err != nil {
					done <- err
					return
				}
			}
		}
		done <- saveOffset(state, offset)
	}()
	for line := range t.Lines {
		producer.Input() <- &sarama.ProducerMessage{Topic: "events", Value: sarama.StringEncoder(line.Text), Metadata: line.SeekInfo.Offset}
	}
	producer.AsyncClose()
	return <-done
}

func saveOffset(state string, offset int64) error {
	text, err := json.Marshal(offset)
	if err != nil {
		return err
	}
	return os.WriteFile(state, text, 0o600)
}
