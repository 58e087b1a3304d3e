//go:build kafka

package torture

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"eventline/internal/kafka/kafkatest"
)

var (
	clusters   = flag.String("cluster", "single", "clusters to run on, separated by commas: single, three, kraft, kraft3")
	kafkaRuns  = flag.Int("runs", 1, "runs on each cluster")
	kafkaLines = flag.Int("lines", 100_000, "lines of each run, at least")
)

// TestKafka has logship itself ship a log that is rotated in every way but truncation in
// place to a cluster whose brokers are killed and frozen, kills it too, and judges what
// kcat reads from the topic: what a truncation destroys unread could not be told from what
// kcat has not been shown yet. Then a plain shipper does the same, which must fail.
func TestKafka(t *testing.T) {
	logship := logshipOf(build(t, "./cmd/logship"))
	for _, name := range strings.Split(*clusters, ",") {
		kind, ok := kafkatest.Kinds[name]
		if !ok {
			t.Fatalf("no such cluster: %s", name)
		}
		var results []kafkaResult
		for run := range *kafkaRuns {
			seed := uint64(time.Now().UnixNano()/1e6) + uint64(run)
			t.Run(fmt.Sprint(name, " ", run+1), func(t *testing.T) { // its cluster ends with it
				results = append(results, onKafka(t, name, kind, seed, int32(1+2*(run%2)), logship))
			})
		}
		t.Logf("\n%s", kafkaTable(results))
		if name != "single" {
			continue
		}
		// A plain shipper loses or repeats with the first kills already.
		r := shipToKafka(t, name, kind, 1, Rename, 1, naive, 5*time.Second)
		t.Logf("a plain shipper in its place:\n%s", kafkaTable([]kafkaResult{r}))
		if r.Clean() {
			t.Error("a plain shipper passes the audit: it can't be trusted")
		}
	}
}

type kafkaResult struct {
	Result
	cluster       string
	partitions    int32
	kills, frozen int // of brokers
}

func onKafka(t *testing.T, name string, kind kafkatest.Kind, seed uint64, partitions int32, program shipper) kafkaResult {
	t.Helper()
	r := shipToKafka(t, name, kind, seed, Mixed, partitions, program, 2*time.Minute)
	clean(t, r.Result, nil)
	return r
}

func shipToKafka(t *testing.T, name string, kind kafkatest.Kind, seed uint64, style Style, partitions int32, program shipper, patience time.Duration) kafkaResult {
	t.Helper()
	c := kafkatest.StartCluster(t, kind)
	c.CreateTopic(t, "events", partitions)
	dir := t.TempDir()
	const rate = 10_000
	tap := startTap(t, c.Addrs(), filepath.Join(dir, "lines"), partitions)
	o := Options{
		Style: style, Rate: rate, Interval: 300 * time.Millisecond, Kills: 1500 * time.Millisecond, Seed: seed, Where: name, Dir: dir, Patience: patience, Without: Truncate,
		Duration: time.Duration(*kafkaLines) * time.Second / rate,
		Settle:   func() error { return tap.caughtUp(c, partitions) },
		Reader:   func(r Reader) *exec.Cmd { return program(r, c.Addrs()) },
	}
	res := kafkaResult{cluster: name, partitions: partitions}
	ended := make(chan error, 1)
	go func() {
		var err error
		res.Result, err = Run(o)
		ended <- err
	}()
	rng := rand.New(rand.NewPCG(seed, 7))
	for {
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("%s, seed %d: %v", name, seed, err)
			}
			return res
		case <-time.After(time.Second + rand.N(4*time.Second)):
		}
		i := rng.IntN(c.Size())
		if rng.IntN(3) > 0 {
			c.Kill(t, i)
			time.Sleep(rand.N(2 * time.Second))
			c.Start(t, i)
			res.kills++
			continue
		}
		c.Freeze(t, i)
		select {
		case <-time.After(8 * time.Second):
		case err := <-ended:
			ended <- err
		}
		c.Thaw(t, i)
		res.frozen++
	}
}

// shipper makes the process that ships a log.
type shipper func(r Reader, brokers string) *exec.Cmd

func logshipOf(program string) shipper {
	return func(r Reader, brokers string) *exec.Cmd {
		args := []string{"run", "--path", r.Path, "--state-dir", r.State, "--brokers", brokers, "--admin-listen", "off", "--log-level", "warn", "--retry-max", "1s"}
		if r.Once {
			args = append(args, "--once")
		}
		cmd := exec.Command(program, args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		return cmd
	}
}

func naive(r Reader, brokers string) *exec.Cmd {
	cmd := by("naive")(r)
	cmd.Env = append(cmd.Env, brokersEnv+"="+brokers)
	return cmd
}

func kafkaTable(results []kafkaResult) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%8s %10s %8s %9s %6s %6s %6s %7s %9s %5s %8s %7s %8s\n", "cluster", "partitions", "lines", "rotations", "kills", "broker", "frozen", "missing", "duplicate", "torn", "disorder", "window", "seconds")
	for _, r := range results {
		fmt.Fprintf(&b, "%8s %10d %8d %9d %6d %6d %6d %7d %9d %5d %8d %7d %8.0f\n", r.cluster, r.partitions, r.Lines, r.Rotations, r.Killed, r.kills, r.frozen,
			r.Missing, r.Duplicate, r.Torn, r.Disorder, r.Window+r.Truncated+r.Deleted, r.Elapsed.Seconds())
	}
	return b.String()
}

func build(t *testing.T, pkg string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), filepath.Base(pkg))
	cmd := exec.Command("go", "build", "-o", path, pkg)
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
	return path
}

// tap is kcat, a consumer that is not ours and reads uncommitted records. It is run
// again and again, from where it was on to the end of the topic, and what it reads is
// put into a file of records.
type tap struct {
	brokers string
	out     *Output
	stop    chan struct{}
	done    chan struct{}
	mu      sync.Mutex
	next    []int64 // by partition
}

func startTap(t *testing.T, brokers, path string, partitions int32) *tap {
	t.Helper()
	out, err := OpenOutput(path)
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{brokers: brokers, out: out, stop: make(chan struct{}), done: make(chan struct{}), next: make([]int64, partitions)}
	go func() {
		defer close(p.done)
		for pause(p.stop, 50*time.Millisecond) {
			for n := range p.next {
				_ = p.read(n) // a broker that is away is asked again
			}
		}
	}()
	t.Cleanup(func() {
		close(p.stop)
		<-p.done
		_ = out.Close()
	})
	return p
}

func (p *tap) read(n int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "kcat", "-C", "-e", "-q", "-b", p.brokers, "-t", "events", "-p", fmt.Sprint(n), "-o", fmt.Sprint(p.next[n]),
		"-f", `%o %S\n%s\n`, "-X", "isolation.level=read_uncommitted", "-X", "fetch.wait.max.ms=50", "-X", "allow.auto.create.topics=false")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = p.copy(n, bufio.NewReaderSize(stdout, 1<<20))
	return errors.Join(err, cmd.Wait())
}

// copy makes records of kcat's, many lines each.
func (p *tap) copy(n int, in *bufio.Reader) error {
	var lines []byte
	next := p.next[n]
	flush := func() error {
		if len(lines) == 0 {
			return nil
		}
		err := p.out.Append(int64(n), p.next[n], lines)
		p.mu.Lock()
		p.next[n] = next
		p.mu.Unlock()
		lines = lines[:0]
		return err
	}
	for {
		var offset int64
		var size int
		header, err := in.ReadString('\n')
		if err == nil {
			_, err = fmt.Sscanf(header, "%d %d", &offset, &size)
		}
		if err == nil && offset != next {
			err = fmt.Errorf("kcat went from offset %d to %d", next, offset)
		}
		was := len(lines)
		if err == nil {
			lines = append(lines, make([]byte, size+1)...)
			_, err = io.ReadFull(in, lines[was:])
		}
		if err != nil {
			lines = lines[:was]
			return errors.Join(err, flush())
		}
		next++
		if len(lines) > 1<<16 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
}

// caughtUp waits until kcat has read to the end of each partition.
func (p *tap) caughtUp(c *kafkatest.Cluster, partitions int32) error {
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		ends, err := ends(c.Addrs(), partitions)
		if err != nil {
			continue // a broker is starting
		}
		behind := false
		p.mu.Lock()
		for n, end := range ends {
			behind = behind || p.next[n] < end
		}
		p.mu.Unlock()
		if !behind {
			return nil
		}
	}
	return fmt.Errorf("kcat did not read to the end of the topic")
}

// ends asks kcat for the end of each partition.
func ends(brokers string, partitions int32) ([]int64, error) {
	var found []int64
	for n := range partitions {
		cmd := exec.Command("kcat", "-Q", "-b", brokers, "-t", fmt.Sprintf("events:%d:-1", n))
		text, err := cmd.Output()
		if err != nil {
			return nil, err
		}
		var end int64
		_, s, ok := strings.Cut(string(text), "offset ")
		if _, err := fmt.Sscan(s, &end); !ok || err != nil {
			return nil, fmt.Errorf("kcat said %q", text)
		}
		found = append(found, end)
	}
	return found, nil
}
