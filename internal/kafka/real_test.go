//go:build kafka

package kafka

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventline/internal/config"
	"eventline/internal/kafka/kafkatest"
)

// realCluster is Kafka 3.6.2 with one listener of each kind. Whoever comes by the plain
// or the TLS one may do everything; the others are known by name, and may not.
type realCluster struct {
	*kafkatest.Real
	ca                   *authority
	sasl, secure, mutual string
}

func startReal(t *testing.T) *realCluster {
	r := &realCluster{ca: newAuthority(t, "ca")}
	for _, addr := range []*string{&r.sasl, &r.secure, &r.mutual} {
		ln := listen(t)
		*addr = ln.Addr().String()
		_ = ln.Close()
	}
	r.Real = kafkatest.StartReal(t,
		fmt.Sprintf("listeners=PLAINTEXT://$ADDR,LOGIN://%s,SECURE://%s,MUTUAL://%s", r.sasl, r.secure, r.mutual),
		"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,LOGIN:SASL_PLAINTEXT,SECURE:SSL,MUTUAL:SSL",
		"listener.name.login.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512",
		`listener.name.login.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_me="right";`,
		"listener.name.login.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;",
		"ssl.keystore.type=PEM",
		"ssl.keystore.location="+r.keystore(t),
		"ssl.truststore.type=PEM",
		"ssl.truststore.location="+r.ca.file,
		"listener.name.mutual.ssl.client.auth=required",
		"connection.failed.authentication.delay.ms=100",
		"authorizer.class.name=kafka.security.authorizer.AclAuthorizer",
		"super.users=User:ANONYMOUS",
	)
	r.addScramUser(t, "me", "right")
	return r
}

// keystore writes what Kafka wants of a PEM store: the key as PKCS #8, then the
// certificate, then its authority.
func (r *realCluster) keystore(t *testing.T) string {
	t.Helper()
	tmpl := template("broker")
	tmpl.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	pair, certFile, _ := r.ca.sign(tmpl)
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	for _, f := range []string{certFile, r.ca.file} {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		text += string(b)
	}
	return writeFile(t, "keystore.pem", text)
}

func (r *realCluster) addScramUser(t *testing.T, user, password string) {
	t.Helper()
	up := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
	up.Name, up.Mechanism, up.Iterations, up.Salt = user, 2, 4096, []byte("salt of the test")
	var err error
	if up.SaltedPassword, err = pbkdf2.Key(sha512.New, password, up.Salt, int(up.Iterations), sha512.Size); err != nil {
		t.Fatal(err)
	}
	req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	req.Upsertions = append(req.Upsertions, up)
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	resp, err := req.RequestWith(within(t), cl)
	if err != nil || resp.Results[0].ErrorCode != 0 {
		t.Fatalf("add SCRAM user: %v, %+v", err, resp)
	}
}

// What kfake plays in the other tests is held here against Kafka itself.
func TestRealKafka(t *testing.T) {
	r := startReal(t)
	t.Run("every codec stores the same records", func(t *testing.T) { realCodecs(t, r) })
	t.Run("duplicates and gaps", func(t *testing.T) { realSequences(t, r) })
	t.Run("limits", func(t *testing.T) { realLimits(t, r) })
	t.Run("topics", func(t *testing.T) { realTopics(t, r) })
	t.Run("two members share the partitions", func(t *testing.T) { realGroup(t, r) })
	t.Run("a static member comes back", func(t *testing.T) { realStatic(t, r) })
	t.Run("consume", func(t *testing.T) { realConsume(t, r) })
	t.Run("the way in", func(t *testing.T) { realTroubles(t, r) })
	t.Run("rights", func(t *testing.T) { realRights(t, r) })
	t.Run("deaths", func(t *testing.T) { realDeaths(t, r) }) // last
}

func realCodecs(t *testing.T, r *realCluster) {
	c := open(t, settings(r.Addr()))
	lines := []string{`{"a":1}`, "", "not json \x00\xff", strings.Repeat("x", 70_000)}
	for _, codec := range []Codec{None, Gzip, Snappy, LZ4, Zstd} {
		name := "codec-" + codec.String()
		kafkatest.CreateTopic(t, r.Addr(), name, 1)
		newProducer(t, c.Topic(name, ProduceOptions{Compression: codec}), 0).append(0, 0, lines...)
		if got := kafkatest.Values(t, r.Addr(), name, 0); !slices.Equal(got, lines) {
			t.Errorf("%s: topic holds %d records unlike the %d sent", codec, len(got), len(lines))
		}
		if rec := kafkatest.Records(t, r.Addr(), name)[0][1]; rec.Key != nil || rec.Value == nil {
			t.Errorf("%s: key %v value %v of an empty line", codec, rec.Key, rec.Value)
		}
	}
}

func realSequences(t *testing.T, r *realCluster) {
	kafkatest.CreateTopic(t, r.Addr(), "sequences", 1)
	topic := open(t, settings(r.Addr())).Topic("sequences", ProduceOptions{})
	pr := newProducer(t, topic, 0)
	for i := range 7 {
		pr.append(int32(i), int64(i), numbered(i, i+1)...)
	}
	pr.append(2, 2, numbered(2, 3)...) // one of the last five
	pr.append(6, 6, numbered(6, 7)...)
	pr.open(topic, 0)
	pr.append(4, 4, numbered(4, 5)...) // from another connection
	for what, first := range map[string]int32{"a gap": 9, "one older than the last five": 1} {
		pr.open(topic, 0)
		pr.send(first, "x")
		wantClass(t, what, pr.answer().err, OutOfOrder)
	}
	// Five in flight, the first of them wrong: none may come in.
	pr.open(topic, 0)
	for i := range 5 {
		pr.send(int32(8+i), "x")
	}
	for range 5 {
		wantClass(t, "behind a gap", pr.answer().err, OutOfOrder)
	}
	if got := kafkatest.Values(t, r.Addr(), "sequences", 0); !slices.Equal(got, numbered(0, 7)) {
		t.Errorf("topic holds %q, want each line once", got)
	}
}

func realLimits(t *testing.T, r *realCluster) {
	kafkatest.CreateTopic(t, r.Addr(), "limits", 1, "max.message.bytes", "2000")
	kafkatest.CreateTopic(t, r.Addr(), "compacted", 1, "cleanup.policy", "compact")
	c := open(t, settings(r.Addr()))
	topic := c.Topic("limits", ProduceOptions{})
	if d, err := topic.Describe(within(t)); d.MaxBytes != 2000 || d.Compacted || err != nil {
		t.Errorf("Describe: %+v, %v; want 2000 bytes", d, err)
	}
	if d, err := c.Topic("compacted", ProduceOptions{}).Describe(within(t)); d.MaxBytes != defaultMaxMessageBytes || !d.Compacted || err != nil {
		t.Errorf("Describe of a compacted topic: %+v, %v; want that it is, and the default", d, err)
	}
	for name, want := range map[string]Class{"limits": TooLarge, "compacted": Refused} {
		pr := newProducer(t, c.Topic(name, ProduceOptions{}), 0)
		pr.send(0, strings.Repeat("x", 3000)) // without a key, which compaction needs
		err := pr.answer().err
		wantClass(t, name, err, want)
		if e := new(Error); !errors.As(err, &e) || !e.Definite() {
			t.Errorf("%v is not definite", err)
		}
	}
}

func realTopics(t *testing.T, r *realCluster) {
	c := open(t, settings(r.Addr()))
	topic := c.Topic("later", ProduceOptions{})
	_, err := topic.Describe(within(t))
	wantClass(t, "a missing topic", err, TopicMissing)
	_, err = topic.OpenPartition(within(t), 0)
	wantClass(t, "a partition of a missing topic", err, TopicMissing)
	if err := c.CreateTopic(within(t), "later", 2, 0, map[string]string{"retention.ms": "3600000"}); err != nil {
		t.Fatalf("CreateTopic: %v", err)
	}
	kafkatest.WaitFor(t, "the topic to have leaders", func() bool {
		_, err := c.EndOffsets(within(t), "later")
		return err == nil
	})
	newProducer(t, topic, 1).append(0, 0, numbered(0, 3)...)
	kafkatest.DeleteBefore(t, r.Addr(), "later", 1, 2)
	d, err := c.DescribeTopic(within(t), "later")
	if err != nil {
		t.Fatalf("DescribeTopic: %v", err)
	}
	if p := d.Partitions[1]; len(d.Partitions) != 2 || d.Configs["retention.ms"] != "3600000" || len(d.Configs) != 1 ||
		p.First != 2 || p.End != 3 || p.LeaderAddr != r.Addr() || !slices.Equal(p.ISR, []int32{1}) {
		t.Errorf("DescribeTopic: %+v", d)
	}
	if topics, err := c.ListTopics(within(t)); err != nil || !slices.Contains(topics, TopicInfo{Name: "later", Partitions: 2, Replicas: 1}) {
		t.Errorf("ListTopics: %v, %v", topics, err)
	}
	for _, tt := range []struct {
		name        string
		replication int16
		configs     map[string]string
		want        Class
		says        string
	}{
		{"later", 1, nil, TopicExists, "exists"},
		{"two words", 1, nil, Invalid, "Topic name is invalid"},
		{"many", 3, nil, Invalid, "available brokers"},
		{"soon", 1, map[string]string{"retention.ms": "soon"}, Invalid, "retention.ms"},
	} {
		err := c.CreateTopic(within(t), tt.name, 1, tt.replication, tt.configs)
		wantClass(t, "CreateTopic "+tt.name, err, tt.want)
		if !strings.Contains(err.Error(), tt.says) {
			t.Errorf("CreateTopic %q: %q does not say %q", tt.name, err, tt.says)
		}
	}
}

func realGroup(t *testing.T, r *realCluster) {
	kafkatest.CreateTopic(t, r.Addr(), "shared", 4)
	put := func(from, to int) {
		for p := range int32(4) {
			kafkatest.Produce(t, r.Addr(), "shared", p, numbered(from, to)...)
		}
	}
	put(0, 100)
	c := open(t, settings(r.Addr()))
	g := group
	g.Topic = "shared"
	a, b := &recorder{}, &recorder{}
	ra := join(t, c, g, a)
	kafkatest.WaitFor(t, "the first member to read all", func() bool { return a.count() == 400 })
	rb := join(t, c, g, b)
	kafkatest.WaitFor(t, "two claims each", func() bool { return a.holds() == 2 && b.holds() == 2 })
	put(100, 200)
	kafkatest.WaitFor(t, "the second lot", func() bool { return a.count()+b.count() == 800 })
	if err := ra.end(); err != nil {
		t.Fatal(err)
	}
	kafkatest.WaitFor(t, "the second member to hold all", func() bool { return b.holds() == 4 })
	put(200, 300)
	kafkatest.WaitFor(t, "the third lot", func() bool { return a.count()+b.count() >= 1200 })
	if err := rb.end(); err != nil {
		t.Fatal(err)
	}
	for p := range int32(4) {
		if got := append(a.values(p), b.values(p)...); !slices.Equal(got, offsets(0, 300)) {
			t.Errorf("partition %d: %d records, want each of 300 once and in order", p, len(got))
		}
		if n := kafkatest.Committed(t, r.Addr(), g.Group, "shared", p); n != 300 {
			t.Errorf("partition %d: committed %d, want 300", p, n)
		}
	}
}

func realStatic(t *testing.T, r *realCluster) {
	kafkatest.CreateTopic(t, r.Addr(), "static", 1)
	c := open(t, settings(r.Addr()))
	g := GroupConfig{Group: "static", Topic: "static", InstanceID: "host-1"}
	for i := range 3 {
		kafkatest.Produce(t, r.Addr(), "static", 0, numbered(i, i+1)...)
		h := &recorder{}
		run := join(t, c, g, h)
		kafkatest.WaitFor(t, "the next record", func() bool { return h.count() == 1 })
		if err := run.end(); err != nil || !slices.Equal(h.values(0), offsets(i, i+1)) {
			t.Errorf("start %d: got %q, %v", i, h.values(0), err)
		}
	}
}

func realConsume(t *testing.T, r *realCluster) {
	kafkatest.CreateTopic(t, r.Addr(), "console", 2)
	kafkatest.Produce(t, r.Addr(), "console", 0, numbered(0, 50)...)
	kafkatest.Produce(t, r.Addr(), "console", 1, numbered(0, 50)...)
	n, enough := 0, errors.New("enough")
	err := open(t, settings(r.Addr())).Consume(within(t), "console", true, func(Record) error {
		if n++; n == 100 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Errorf("Consume: %v after %d records", err, n)
	}
}

func realTroubles(t *testing.T, r *realCluster) {
	withTLS := func(addr, ca string) Config {
		cfg := settings(addr)
		cfg.TLS = TLSConfig{Enabled: true, CAFile: ca}
		return cfg
	}
	client := template("client")
	_, certFile, keyFile := r.ca.sign(client)
	known := withTLS(r.mutual, r.ca.file)
	known.TLS.CertFile, known.TLS.KeyFile = certFile, config.SecretFile(keyFile)
	for _, tt := range []struct {
		name  string
		cfg   Config
		class Class
		says  string
	}{
		{"plain", settings(r.Addr()), "", ""},
		{"TLS", withTLS(r.secure, r.ca.file), "", ""},
		{"TLS with client certificate", known, "", ""},
		{"PLAIN", login(t, r.sasl, saslPlain, "me", "right"), "", ""},
		{"SCRAM", login(t, r.sasl, saslScram512, "me", "right"), "", ""},
		{"a wrong password, PLAIN", login(t, r.sasl, saslPlain, "me", "wrong-secret"), Auth, "refused the credentials"},
		{"a wrong password, SCRAM", login(t, r.sasl, saslScram512, "me", "wrong-secret"), Auth, "refused the credentials"},
		{"a mechanism that is not offered", login(t, r.sasl, saslScram256, "me", "right"), Auth, "[PLAIN SCRAM-SHA-512]"},
		{"SASL is wanted", settings(r.sasl), Auth, "(PLAIN, SCRAM-SHA-512): set sasl.mechanism"},
		{"SASL is not wanted", login(t, r.Addr(), saslPlain, "me", "right"), Auth, "remove sasl.mechanism"},
		{"TLS where the setting is plain", settings(r.secure), TLS, "tls.enabled: true"},
		{"plain where the setting is TLS", withTLS(r.Addr(), r.ca.file), TLS, "tls.enabled: false"},
		{"an authority nobody knows", withTLS(r.secure, newAuthority(t, "another").file), TLS, "tls.ca_file"},
		{"a client certificate is wanted", withTLS(r.mutual, r.ca.file), TLS, "tls.cert_file"},
		{"ZooKeeper's port", settings(r.ZooKeeperAddr()), NotKafka, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := Diagnose(within(t), tt.cfg)
			if tt.class == "" {
				if err != nil {
					t.Errorf("Diagnose: %v", err)
				}
				return
			}
			check(t, "Diagnose", err, tt.cfg, trouble{class: tt.class, says: tt.says})
			_, err = open(t, tt.cfg).ListTopics(within(t))
			check(t, "ListTopics", err, tt.cfg, trouble{class: tt.class, says: tt.says})
		})
	}
}

func realRights(t *testing.T, r *realCluster) {
	kafkatest.CreateTopic(t, r.Addr(), "forbidden", 1)
	c := open(t, login(t, r.sasl, saslPlain, "me", "right"))
	topic := c.Topic("forbidden", ProduceOptions{})
	_, err := topic.Describe(within(t))
	wantClass(t, "Partitions", err, Authorization)
	_, _, err = topic.ProducerID(within(t))
	wantClass(t, "ProducerID", err, Authorization)
	wantClass(t, "CreateTopic", c.CreateTopic(within(t), "mine", 1, 1, nil), Authorization)
	h := &recorder{}
	g := group
	g.Topic = "forbidden"
	run := join(t, c, g, h)
	kafkatest.WaitFor(t, "the refusal to be told", func() bool { return ClassOf(h.err()) == Authorization })
	_ = run.end()

	// Each right is named that is not given, and none that is.
	wantMissing := func(rights ...string) {
		t.Helper()
		kafkatest.WaitFor(t, "the rights to be known to the broker", func() bool {
			missing, err := topic.Missing(within(t))
			if err != nil || len(missing) != len(rights) {
				return false
			}
			for i, right := range rights {
				if ClassOf(missing[i]) != Authorization || !strings.Contains(missing[i].Error(), "--allow-principal User:me --operation "+right) {
					return false
				}
			}
			return true
		})
	}
	wantMissing("Describe")
	kafkatest.Allow(t, r.Addr(), "User:me", "forbidden", kmsg.ACLOperationDescribe)
	wantMissing("Write", "Read")
	kafkatest.Allow(t, r.Addr(), "User:me", "forbidden", kmsg.ACLOperationWrite)
	wantMissing("Read")
	kafkatest.Allow(t, r.Addr(), "User:me", "forbidden", kmsg.ACLOperationRead)
	wantMissing()
}

func realDeaths(t *testing.T, r *realCluster) {
	kafkatest.CreateTopic(t, r.Addr(), "deaths", 1)
	c := open(t, settings(r.Addr()))
	topic := c.Topic("deaths", ProduceOptions{})
	pr := newProducer(t, topic, 0)
	pr.append(0, 0, numbered(0, 2)...)
	pr.append(2, 2, numbered(2, 4)...)
	h := &recorder{}
	run := join(t, c, GroupConfig{Group: "deaths", Topic: "deaths", InstanceID: "host-1"}, h)
	kafkatest.WaitFor(t, "the first records", func() bool { return h.count() == 4 })

	r.KillZooKeeper(t) // the broker serves without
	pr.append(4, 4, numbered(4, 6)...)
	r.StartZooKeeper(t)
	kafkatest.WaitFor(t, "the records meanwhile", func() bool { return h.count() == 6 })

	r.KillBroker(t)
	kafkatest.WaitFor(t, "the loss to be noticed", func() bool { return h.said(away) })
	pr.send(6, numbered(6, 8)...)
	wantClass(t, "append to a dead broker", pr.answer().err, Unreachable)
	r.StartBroker(t)

	kafkatest.WaitFor(t, "the leader to be back", func() bool {
		p, err := topic.OpenPartition(context.Background(), 0)
		if err != nil {
			return false
		}
		_ = p.Close()
		return true
	})
	pr.open(topic, 0)
	pr.append(4, 4, numbered(4, 6)...) // known to be there, though the broker died
	pr.append(6, 6, numbered(6, 8)...)
	kafkatest.WaitFor(t, "the records after", func() bool { return h.count() >= 8 })
	if err := run.end(); err != nil {
		t.Error(err)
	}
	if got := kafkatest.Values(t, r.Addr(), "deaths", 0); !slices.Equal(got, numbered(0, 8)) {
		t.Errorf("topic holds %q, want each line once", got)
	}
}
