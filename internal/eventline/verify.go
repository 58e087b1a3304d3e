package eventline

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"eventline/internal/config"
	"eventline/internal/daemon"
	"eventline/internal/kafka"
	"eventline/internal/verify"
)

func verifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "verify", Args: cobra.NoArgs,
		Short: "Hold the topic and the windows against eventgen's answer key; exit code 3 on any difference",
		Long: "Hold the topic against the answer key that `eventgen run --truth FILE` wrote: every line once,\n" +
			"unaltered, in order per partition. If there is a topic of results, also hold every window and\n" +
			"bucket against it: final results, late events and dead letters together, exactly.\n" +
			"Exit code 3 if there is any difference or a window is still open. All topics are only read.",
	}
	path := cmd.Flags().String("truth", "", "answer key to hold the topic against")
	wait := cmd.Flags().Bool("wait", false, "wait for lines that are not in the topic yet, and for open windows to close")
	timeout := cmd.Flags().Duration("timeout", 10*time.Minute, "how long --wait waits before it judges what is there")
	buckets := cmd.Flags().String("buckets-topic", "", "topic of results (default the topic's name and .buckets)")
	_ = cmd.MarkFlagRequired("truth") // it is there
	return withOptions(cmd, func(ctx context.Context, o Options, cmd *cobra.Command, _ []string) error {
		v := verify.Options{Topic: o.Topic, Buckets: *buckets, Late: o.Topic + ".late", DeadLetters: o.Topic + ".dlq"}
		if v.Buckets == "" {
			v.Buckets = o.Topic + ".buckets"
		}
		if problem := kafka.NameProblem(v.Buckets); problem != "" {
			return daemon.ConfigError(fmt.Errorf("--buckets-topic: %s", problem))
		}
		if *timeout <= 0 {
			return daemon.ConfigError(fmt.Errorf("--timeout: must be above 0, got %s", *timeout))
		}
		if *wait {
			v.Wait = *timeout
		}
		c, err := connection(o.Config)
		if err != nil {
			return daemon.ConfigError(err)
		}
		// Most of the heap are tables that stay: what is let go of is small beside them,
		// and need not wait until it is as much.
		defer debug.SetGCPercent(debug.SetGCPercent(40))
		answers, err := verify.Load(*path)
		if err != nil {
			return daemon.ConfigError(err)
		}
		bar := newProgress(cmd.ErrOrStderr())
		v.Progress = bar.set
		report, err := verify.Run(ctx, c, answers, v)
		bar.clear()
		if ctx.Err() != nil {
			return fmt.Errorf("verify topic %q: interrupted, there is no verdict", o.Topic)
		}
		if err != nil {
			return fmt.Errorf("verify: %w", err)
		}
		if o.JSON {
			err = printJSON(cmd.OutOrStdout(), report)
		} else {
			err = report.Print(cmd.OutOrStdout())
		}
		if err == nil && !report.Equal {
			err = daemon.Exit(daemon.ExitDegraded, nil)
		}
		return err
	})
}

// connection says for the judge's client what cfg says for ours. It reads the
// files that cfg names.
func connection(cfg kafka.Config) (verify.Connection, error) {
	c := verify.Connection{
		Brokers: cfg.Brokers, ClientID: cfg.ClientID, DialTimeout: cfg.DialTimeout, RequestTimeout: cfg.RequestTimeout,
		Mechanism: cfg.SASL.Mechanism, User: cfg.SASL.User,
	}
	if err := c.Check(); err != nil {
		return c, err
	}
	if c.Mechanism != "" {
		password, err := cfg.SASL.PasswordFile.Read()
		if err != nil {
			return c, fmt.Errorf("sasl.password_file: %w", err)
		}
		c.Password = password.Reveal()
	}
	var err error
	if cfg.TLS.Enabled {
		c.TLS, err = tlsSettings(cfg.TLS)
	}
	return c, err
}

func tlsSettings(t kafka.TLSConfig) (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls.ca_file: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca_file: no PEM certificate in %s", t.CAFile)
		}
	}
	if t.CertFile == "" {
		return conf, nil
	}
	cert, err := os.ReadFile(t.CertFile)
	if err != nil {
		return nil, fmt.Errorf("tls.cert_file: %w", err)
	}
	var key config.Secret
	if key, err = t.KeyFile.Read(); err != nil {
		return nil, fmt.Errorf("tls.key_file: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, []byte(key.Reveal()))
	if err != nil {
		return nil, errors.Join(errors.New("tls.cert_file, tls.key_file: do not fit together"), err)
	}
	conf.Certificates = []tls.Certificate{pair}
	return conf, nil
}

// progress is a bar on a terminal, and nothing elsewhere.
type progress struct {
	out io.Writer // nil without a terminal
	bar *progressbar.ProgressBar
}

func newProgress(out io.Writer) *progress {
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &progress{out: out}
	}
	return &progress{}
}

func (p *progress) set(read, all int64) {
	if p.out == nil || all == 0 {
		return
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(all,
			progressbar.OptionSetWriter(p.out), progressbar.OptionSetDescription("reading"), progressbar.OptionShowCount(),
			progressbar.OptionShowIts(), progressbar.OptionSetItsString("records"), progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionFullWidth())
	}
	if p.bar.GetMax64() != all {
		p.bar.ChangeMax64(all)
	}
	_ = p.bar.Set64(read) // a terminal that is gone shows no bar
}

func (p *progress) clear() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
