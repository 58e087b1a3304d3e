package logship

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/rs/zerolog"

	"eventline/internal/checkpoint"
	"eventline/internal/tail"
)

// position is what the state directory holds: how far which log is in which
// topic.
type position struct {
	Path  string     `json:"path"`
	Topic string     `json:"topic"`
	From  string     `json:"from"` // where the first start began, for people
	Tail  tail.State `json:"tail"`
}

// loadPosition returns nil at a first start. A position of another log or topic
// is refused: going on from it would skip lines, and beginning anew would send
// some twice.
func loadPosition(store *checkpoint.Store, cfg Config, log zerolog.Logger) (*tail.State, error) {
	payload, findings, err := store.Load()
	if err != nil {
		return nil, err
	}
	for _, finding := range findings {
		log.Warn().Msg(finding)
	}
	if payload == nil {
		return nil, nil
	}
	var p position
	d := json.NewDecoder(strings.NewReader(string(payload)))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return nil, fmt.Errorf("read position in %s: %w", cfg.StateDir, err)
	}
	if p.Path != cfg.Paths[0] || p.Topic != cfg.Topic {
		return nil, fmt.Errorf("state directory %s belongs to %s and topic %s, not to %s and topic %s; give this one another with --state-dir",
			cfg.StateDir, p.Path, p.Topic, cfg.Paths[0], cfg.Topic)
	}
	log.Info().Int64("generations", p.Tail.Next).Msg("going on from the stored position")
	return &p.Tail, nil
}

func savePosition(store *checkpoint.Store, cfg Config, s tail.State) error {
	payload, err := json.Marshal(position{Path: cfg.Paths[0], Topic: cfg.Topic, From: cfg.From, Tail: s})
	if err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	return store.Save(payload)
}
