package eventgen

import (
	"bufio"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"eventline/internal/config"
	"eventline/internal/daemon"
	"eventline/internal/generate"
	"eventline/internal/pace"
)

// Profile is what a profile file says: what the shop is like, and when its customers come.
type Profile struct {
	generate.Profile `yaml:",inline"`
	Rate             pace.Shape `yaml:"rate"`
}

var _ config.Target = (*Profile)(nil)

// DefaultProfile is a clean shop at a constant rate.
func DefaultProfile() Profile {
	return Profile{Profile: generate.DefaultProfile(), Rate: pace.DefaultShape()}
}

// Validate has nothing to add: both parts judge themselves.
func (p *Profile) Validate(*config.Report) {}

// LoadProfile reads a profile file. What it leaves out is as in DefaultProfile. The error lists every
// problem with file and line; its exit code is 78.
func LoadProfile(path string) (Profile, error) {
	p := DefaultProfile()
	return p, config.New("profile", &p).Read(path, true, nil, nil)
}

// profile is the one that the settings name.
func (c *Config) profile() (Profile, error) {
	if c.Profile == "" {
		return DefaultProfile(), nil
	}
	return LoadProfile(c.Profile)
}

func extraCommands(cfg *Config) func(func(*cobra.Command) func() error) []*cobra.Command {
	return func(settings func(*cobra.Command) (read func() error)) []*cobra.Command {
		show := &cobra.Command{Use: "profile", Short: "Print the effective profile of the shop, with comments", Args: cobra.NoArgs}
		readShow := settings(show)
		show.RunE = func(cmd *cobra.Command, _ []string) error {
			if err := readShow(); err != nil {
				return err
			}
			return printProfile(cmd.OutOrStdout(), cfg.Profile)
		}
		preview := &cobra.Command{Use: "preview", Short: "Print the first events that a run would write", Args: cobra.NoArgs}
		readPreview := settings(preview)
		n := preview.Flags().IntP("number", "n", 5, "how many events")
		preview.RunE = func(cmd *cobra.Command, _ []string) error {
			if err := readPreview(); err != nil {
				return err
			}
			if *n < 0 {
				return daemon.ConfigError(fmt.Errorf("--number: must not be negative, got %d", *n))
			}
			return cfg.preview(cmd.OutOrStdout(), *n)
		}
		return []*cobra.Command{show, preview}
	}
}

// printProfile prints the profile in the file at path, or the default one, as a file.
func printProfile(w io.Writer, path string) error {
	p := DefaultProfile()
	set := config.New("profile", &p)
	if err := set.Read(path, path != "", nil, nil); err != nil {
		return err
	}
	return set.Print(w)
}

// preview writes the first n events.
func (c *Config) preview(out io.Writer, n int) error {
	p, err := c.profile()
	if err != nil {
		return err
	}
	seed := c.Seed
	if seed == 0 {
		seed = generate.RandomSeed()
	}
	start := c.Start.Or(time.Now()).UTC()
	schedule, err := p.Rate.Schedule(c.Rate, start, uint64(seed))
	if err != nil {
		return daemon.ConfigError(err)
	}
	shop := generate.New(uint64(seed), p.Profile).NewShop()
	w := bufio.NewWriter(out)
	var line []byte
	for i := range uint64(n) {
		line, _ = shop.Append(line[:0], schedule.Due(i), start.Add(schedule.Due(i)), nil)
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	return w.Flush()
}
