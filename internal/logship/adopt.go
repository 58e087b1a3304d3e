package logship

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"eventline/internal/checkpoint"
	"eventline/internal/daemon"
	"eventline/internal/kafka"
	"eventline/internal/tail"
)

// newAdopt is the command with which a person decides what logship can't know.
func newAdopt(cfg *Config, settings func(*cobra.Command) func() error) *cobra.Command {
	var choice struct{ resend, skip, here bool }
	cmd := &cobra.Command{
		Use: "adopt", Args: cobra.NoArgs,
		Short: "Say what is stored and what there is to choose; with a choice, go on by it",
		Long: "Says what is stored of each log, what Kafka says now, and what each choice would do. " +
			"Nothing is changed without a choice. logship must not run with this state directory.",
	}
	read := settings(cmd)
	cmd.Flags().BoolVar(&choice.resend, "resend", false, "send what may be in the topic or not: it may be there twice")
	cmd.Flags().BoolVar(&choice.skip, "skip", false, "don't send what may be in the topic or not: it may be missing")
	cmd.Flags().BoolVar(&choice.here, "here", false, "this directory was moved here, the original is not used any more: go on as if it had always been here")
	cmd.MarkFlagsMutuallyExclusive("resend", "skip", "here")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := read(); err != nil {
			return err
		}
		logs, err := readStored(*cfg)
		if err != nil {
			return err
		}
		dir, err := checkpoint.OpenDir(cfg.StateDir)
		if err != nil {
			return daemon.ConfigError(err)
		}
		defer dir.Close()
		out := cmd.OutOrStdout()
		now := askTopic(cmd.Context(), *cfg)
		explain(out, *cfg, logs, now)
		if !choice.resend && !choice.skip && !choice.here {
			fmt.Fprintln(out, "\nNothing was changed. Choose --resend, --skip or --here.")
			return nil
		}
		if !choice.here {
			for _, l := range logs {
				if err := decide(cmd.Context(), out, *cfg, l, choice.skip, now); err != nil {
					return err
				}
			}
		}
		h, err := thisHost(cfg.StateDir)
		if err != nil {
			return err
		}
		if err := h.note(cfg.StateDir); err != nil {
			return err
		}
		fmt.Fprintln(out, "\nDone. Start logship.")
		return nil
	}
	return cmd
}

// topicNow is what Kafka says of the topic, or why it says nothing.
type topicNow struct {
	kafka.Description
	err error
}

func askTopic(ctx context.Context, cfg Config) (now topicNow) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	client, err := kafka.Open(cfg.Config, zerolog.Nop())
	if err != nil {
		return topicNow{err: err}
	}
	defer client.Close()
	now.Description, now.err = client.Topic(cfg.Topic, kafka.ProduceOptions{}).Identity(ctx)
	return now
}

func explain(out io.Writer, cfg Config, logs []storedLog, now topicNow) {
	fmt.Fprintf(out, "State directory %s\n", cfg.StateDir)
	switch _, err := ownHost(cfg.StateDir); {
	case err != nil:
		fmt.Fprintf(out, "  %v\n", err)
	default:
		fmt.Fprintln(out, "  is where it was made.")
	}
	if now.err != nil {
		fmt.Fprintf(out, "Topic %s now: can't be asked for: %v\n", cfg.Topic, now.err)
	} else {
		fmt.Fprintf(out, "Topic %s now: id %s in cluster %s, %d partitions\n", cfg.Topic, now.TopicID, now.ClusterID, now.Partitions)
	}
	for _, l := range logs {
		s := l.state()
		fmt.Fprintf(out, "\nLog %s\n  dealt with up to %s\n", l.Path, l.place())
		if s.Topic != "" || s.Cluster != "" {
			fmt.Fprintf(out, "  lines went to topic %s, id %s in cluster %s, %d partitions\n", l.Topic, s.Topic, s.Cluster, len(s.Partitions))
		}
		var doubt int64
		for i, n := range s.Doubt() {
			p := s.Partitions[i]
			if p.ID < 0 {
				continue
			}
			fmt.Fprintf(out, "  partition %d: producer id %d, epoch %d: lines up to %d are in the topic, ", i, p.ID, p.Epoch, p.Final)
			switch {
			case n == 0 || s.Clean:
				fmt.Fprintln(out, "and no more were sent")
			default:
				fmt.Fprintf(out, "of the %d behind them, up to %d, it is not known\n", n, p.Reserved)
				doubt += n
			}
		}
		fmt.Fprintf(out, "  --resend: new producer ids; sends everything behind what is known to be there: up to %d lines may be there twice, none is missing\n", doubt)
		fmt.Fprintf(out, "  --skip:   new producer ids; passes over up to %d lines, as far as they are in the log now: they may be missing, none is there twice\n", doubt)
		fmt.Fprintln(out, "  --here:   keeps producer ids and numbers, and only takes over a directory that was moved")
	}
}

// decide stores what a person has chosen for a log.
func decide(ctx context.Context, out io.Writer, cfg Config, l storedLog, skip bool, now topicNow) error {
	s := l.state()
	through := s.Known()
	fewer := now.err == nil && int(now.Partitions) < len(s.Partitions)
	switch {
	case fewer && skip:
		return daemon.ConfigError(fmt.Errorf("%s: the topic has %d partitions, lines were sent to %d: which of them are dealt with can't be kept; --resend begins behind %s",
			l.Path, now.Partitions, len(s.Partitions), l.place()))
	case fewer:
		through = nil
	case skip && !s.Clean:
		var err error
		if through, err = sentOf(ctx, cfg, l); err != nil {
			return err
		}
	}
	adopted := s.Adopted(through)
	if err := (&positions{cfg: cfg, saving: make(chan struct{}, 1)}).save(l.store, l.Path, adopted, true); err != nil {
		return err
	}
	passed := int64(0)
	for i, n := range through {
		passed += n - s.Partitions[i].Final
	}
	fmt.Fprintf(out, "\n%s: new numberings begin at %s, %d lines behind it are passed over\n", l.Path, l.place(), passed)
	return nil
}

// sentOf reads the log as it is now for how many of the lines in doubt are in it.
func sentOf(ctx context.Context, cfg Config, l storedLog) ([]int64, error) {
	s := l.state()
	t, err := tail.New(tail.Config{
		Path: l.Path, State: &s.Tail, MaxLine: s.Longest(int(cfg.MaxLine)), Once: true, MayBeGone: true, Folder: cfg.StateDir,
		Reader: tail.ReaderBlock, Log: zerolog.Nop(),
	})
	if err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- t.Run(ctx) }()
	through := s.Sent(t.Blocks(), homeOf(l.Path))
	return through, <-ended
}
