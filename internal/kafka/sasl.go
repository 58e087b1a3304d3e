package kafka

import (
	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"

	"eventline/internal/config"
)

// scramClient is one SCRAM conversation (RFC 5802) as sarama wants it.
type scramClient struct {
	hash         scram.HashGeneratorFcn
	conversation *scram.ClientConversation
}

func (s *scramClient) Begin(user, password, authzID string) error {
	client, err := s.hash.NewClient(user, password, authzID)
	if err != nil {
		return err
	}
	s.conversation = client.NewConversation()
	return nil
}

func (s *scramClient) Step(challenge string) (string, error) { return s.conversation.Step(challenge) }

func (s *scramClient) Done() bool { return s.conversation.Done() }

// useSASL puts the credentials into sarama's settings.
func useSASL(conf *sarama.Config, s SASLConfig, password config.Secret) {
	sasl := &conf.Net.SASL
	sasl.Enable = true
	sasl.Version = sarama.SASLHandshakeV1
	sasl.Mechanism = sarama.SASLMechanism(s.Mechanism)
	sasl.User = s.User
	sasl.Password = password.Reveal()
	switch s.Mechanism {
	case saslScram256:
		sasl.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scramClient{hash: scram.SHA256} }
	case saslScram512:
		sasl.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scramClient{hash: scram.SHA512} }
	}
}
