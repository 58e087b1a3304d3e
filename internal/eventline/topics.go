package eventline

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"eventline/internal/daemon"
	"eventline/internal/kafka"
)

func topicsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "topics", Short: "List, create and describe topics", Args: cobra.NoArgs}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		_ = cmd.Help()
		return daemon.UsageError(fmt.Errorf("no command given"))
	}
	cmd.AddCommand(
		withClient(&cobra.Command{Use: "ls", Short: "List the topics", Args: cobra.NoArgs}, listTopics),
		createCommand(),
		withClient(&cobra.Command{Use: "describe [TOPIC]", Short: "Show a topic's partitions, offsets and settings", Args: cobra.MaximumNArgs(1)}, describeTopic),
	)
	return cmd
}

func listTopics(ctx context.Context, c *kafka.Client, o Options, cmd *cobra.Command, _ []string) error {
	topics, err := c.ListTopics(ctx)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if o.JSON {
		type topic struct {
			Name       string `json:"name"`
			Partitions int    `json:"partitions"`
			Replicas   int    `json:"replicas"`
			Internal   bool   `json:"internal"`
		}
		list := make([]topic, 0, len(topics))
		for _, t := range topics {
			list = append(list, topic(t))
		}
		return printJSON(out, list)
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "TOPIC\tPARTITIONS\tREPLICAS")
	for _, t := range topics {
		fmt.Fprintf(w, "%s\t%d\t%d\n", t.Name, t.Partitions, t.Replicas)
	}
	return w.Flush()
}

func createCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "create [TOPIC]", Args: cobra.MaximumNArgs(1),
		Short: "Create a topic; one that is there already is fine",
	}
	partitions := cmd.Flags().Int32("partitions", 1, "number of partitions; that many bucketers can share the work")
	replication := cmd.Flags().Int16("replication", 0, "copies of each partition; 0 takes the broker's default")
	settings := cmd.Flags().StringArray("set", nil, "a topic setting as NAME=VALUE; repeatable")
	return withClient(cmd, func(ctx context.Context, c *kafka.Client, o Options, cmd *cobra.Command, args []string) error {
		if *partitions < 1 {
			return daemon.ConfigError(fmt.Errorf("--partitions: must be at least 1, got %d", *partitions))
		}
		if *replication < 0 {
			return daemon.ConfigError(fmt.Errorf("--replication: must not be negative, got %d", *replication))
		}
		configs := make(map[string]string)
		for _, kv := range *settings {
			name, value, ok := strings.Cut(kv, "=")
			if !ok || name == "" {
				return daemon.ConfigError(fmt.Errorf("--set: want NAME=VALUE, got %q", kv))
			}
			configs[name] = value
		}
		name := topicOperand(o, args)
		if problem := kafka.NameProblem(name); problem != "" {
			return daemon.ConfigError(fmt.Errorf("topic: %s", problem))
		}
		created := true
		err := c.CreateTopic(ctx, name, *partitions, *replication, configs)
		if kafka.ClassOf(err) == kafka.TopicExists {
			created, err = false, nil
		}
		if err != nil {
			return err
		}
		count := int(*partitions)
		if !created {
			d, err := c.DescribeTopic(ctx, name)
			if err != nil {
				return err
			}
			if count = len(d.Partitions); cmd.Flags().Changed("partitions") && count != int(*partitions) {
				return fmt.Errorf("topic %q exists with %d partitions, not %d", name, count, *partitions)
			}
		}
		if o.JSON {
			return printJSON(cmd.OutOrStdout(), map[string]any{"topic": name, "created": created, "partitions": count})
		}
		verb := "created"
		if !created {
			verb = "exists"
		}
		fmt.Fprintf(cmd.OutOrStdout(), "topic %s %s, partitions: %d\n", name, verb, count)
		return nil
	})
}

func topicOperand(o Options, args []string) string {
	if len(args) > 0 {
		return args[0]
	}
	return o.Topic
}

// partition is one partition in the output of `topics describe --json`.
type partition struct {
	ID       int32   `json:"partition"`
	Leader   int32   `json:"leader"`
	Address  string  `json:"address"`
	Replicas []int32 `json:"replicas"`
	ISR      []int32 `json:"isr"`
	First    *int64  `json:"first_offset"` // null where unknown
	End      *int64  `json:"end_offset"`
}

func describeTopic(ctx context.Context, c *kafka.Client, o Options, cmd *cobra.Command, args []string) error {
	d, err := c.DescribeTopic(ctx, topicOperand(o, args))
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if o.JSON {
		parts := make([]partition, 0, len(d.Partitions))
		for _, p := range d.Partitions {
			parts = append(parts, partition{
				ID: p.ID, Leader: p.Leader, Address: p.LeaderAddr, Replicas: p.Replicas, ISR: p.ISR,
				First: known(p.First), End: known(p.End),
			})
		}
		return printJSON(out, map[string]any{"topic": d.Name, "internal": d.Internal, "settings": d.Configs, "partitions": parts})
	}
	fmt.Fprintf(out, "topic %s\n", d.Name)
	names := make([]string, 0, len(d.Configs))
	for name := range d.Configs {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(out, "  %s=%s\n", name, d.Configs[name])
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "PARTITION\tLEADER\tREPLICAS\tISR\tFIRST\tEND\tRECORDS")
	for _, p := range d.Partitions {
		leader := "none"
		if p.Leader >= 0 {
			leader = fmt.Sprintf("%d (%s)", p.Leader, p.LeaderAddr)
		}
		first, end, records := "?", "?", "?"
		if p.First >= 0 && p.End >= 0 {
			first, end, records = fmt.Sprint(p.First), fmt.Sprint(p.End), fmt.Sprint(p.End-p.First)
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", p.ID, leader, ids(p.Replicas), ids(p.ISR), first, end, records)
	}
	return w.Flush()
}

func known(offset int64) *int64 {
	if offset < 0 {
		return nil
	}
	return &offset
}

func ids(list []int32) string {
	text := make([]string, len(list))
	for i, id := range list {
		text[i] = fmt.Sprint(id)
	}
	return strings.Join(text, ",")
}
