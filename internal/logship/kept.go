package logship

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"eventline/internal/checkpoint"
	"eventline/internal/daemon"
	"eventline/internal/kafka"
)

// kept is a line in the quarantine.
type kept struct {
	Log      string    `json:"log"`      // folder of its log
	Position string    `json:"position"` // GENERATION-OFFSET, or with .N where it is the N-th there
	Bytes    int64     `json:"bytes"`
	Since    time.Time `json:"since"`
	Path     string    `json:"path"`
}

func listKept(cfg Config) ([]kept, error) {
	paths, err := filepath.Glob(filepath.Join(cfg.StateDir, "quarantine", "*", "*-*"))
	if err != nil {
		return nil, fmt.Errorf("list quarantine: %w", err)
	}
	lines := []kept{}
	for _, path := range paths {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) || filepath.Ext(path) == ".tmp" {
			continue // being written, or taken out just now
		}
		if err != nil {
			return nil, fmt.Errorf("list quarantine: %w", err)
		}
		lines = append(lines, kept{filepath.Base(filepath.Dir(path)), filepath.Base(path), info.Size(), info.ModTime().UTC(), path})
	}
	slices.SortFunc(lines, func(a, b kept) int {
		return cmp.Or(cmp.Compare(a.Log, b.Log), a.Since.Compare(b.Since), cmp.Compare(a.Path, b.Path))
	})
	return lines, nil
}

// newQuarantine is the command about lines that the topic did not take.
func newQuarantine(cfg *Config, settings func(*cobra.Command) func() error) *cobra.Command {
	cmd := &cobra.Command{
		Use: "quarantine", Short: "List the lines that the topic did not take, or send them again", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Help()
			return daemon.UsageError(errors.New("no command given"))
		},
	}
	ls := &cobra.Command{Use: "ls", Short: "List the lines in the quarantine", Args: cobra.NoArgs}
	readLs := settings(ls)
	asJSON := ls.Flags().Bool("json", false, "print JSON")
	ls.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := readLs(); err != nil {
			return err
		}
		lines, err := listKept(*cfg)
		if err != nil {
			return err
		}
		if *asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(lines)
		}
		for _, l := range lines {
			fmt.Fprintf(cmd.OutOrStdout(), "%s  %10d bytes  %s\n", l.Since.Format(time.RFC3339), l.Bytes, l.Path)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%d lines in the quarantine\n", len(lines))
		return nil
	}
	resend := &cobra.Command{
		Use: "resend", Short: "Send the lines in the quarantine to the topic, and take out those that it takes", Args: cobra.NoArgs,
		Long: "Sends each line in the quarantine to partition 0 of the topic, one after the other, and removes its file once it is acknowledged. " +
			"A line whose answer does not come stays, and may be in the topic; one that is refused stays.",
	}
	readResend := settings(resend)
	resend.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := readResend(); err != nil {
			return err
		}
		lines, err := listKept(*cfg)
		if err != nil || len(lines) == 0 {
			fmt.Fprintln(cmd.OutOrStdout(), "no lines in the quarantine")
			return err
		}
		return resendKept(cmd, *cfg, lines)
	}
	cmd.AddCommand(ls, resend)
	return cmd
}

func resendKept(cmd *cobra.Command, cfg Config, lines []kept) (err error) {
	client, err := kafka.Open(cfg.Config, zerolog.Nop())
	if err != nil {
		return daemon.ConfigError(err)
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	topic := client.Topic(cfg.Topic, kafka.ProduceOptions{Compression: cfg.Compression})
	stay := 0
	for _, l := range lines {
		text, err := os.ReadFile(l.Path)
		if err != nil {
			return fmt.Errorf("read quarantine: %w", err)
		}
		if err := sendOne(cmd.Context(), topic, text); err != nil {
			if class := kafka.ClassOf(err); class != kafka.TooLarge && class != kafka.Refused {
				return fmt.Errorf("%s stays: %w", l.Path, err)
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s stays: %v\n", l.Path, err)
			stay++
			continue
		}
		if err := checkpoint.Delete(l.Path); err != nil {
			return fmt.Errorf("%s is in the topic, and can't be taken out of the quarantine: %w", l.Path, err)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "sent %s\n", l.Path)
	}
	if stay > 0 {
		return daemon.Exit(daemon.ExitDegraded, fmt.Errorf("%d of %d lines stay in the quarantine", stay, len(lines)))
	}
	return nil
}

// sendOne appends a line under a producer id of its own.
func sendOne(ctx context.Context, topic *kafka.Topic, line []byte) error {
	id, epoch, err := topic.ProducerID(ctx)
	if err != nil {
		return err
	}
	p, err := topic.OpenPartition(ctx, 0)
	if err != nil {
		return err
	}
	answer := make(chan error, 1)
	p.Append(kafka.Batch{ProducerID: id, Epoch: epoch, Time: time.Now(), Lines: [][]byte{bytes.Clone(line)}}, func(_ int64, err error) { answer <- err })
	err = <-answer
	return errors.Join(err, p.Close())
}
