package archtest

// imports says which of our own packages a package may import outside its
// tests. Every package of the tree stands here.
//
// A stage never imports its neighbour's machinery; what fits two stages together
// lives in the app. The interfaces belong to the stage that consumes them.
var imports = map[string][]string{
	"cmd/eventgen":  {"internal/eventgen", "internal/daemon"},
	"cmd/logship":   {"internal/logship", "internal/daemon"},
	"cmd/bucketer":  {"internal/bucketer", "internal/daemon"},
	"cmd/eventline": {"internal/eventline", "internal/daemon"},

	"internal/eventgen": {
		"internal/event", "internal/generate", "internal/pace", "internal/logfile", "internal/truth", "internal/checkpoint",
		"internal/config", "internal/admin", "internal/daemon",
	},
	"internal/logship":  {"internal/tail", "internal/checkpoint", "internal/ship", "internal/kafka", "internal/config", "internal/admin", "internal/daemon"},
	"internal/bucketer": {"internal/rollup", "internal/sink", "internal/event", "internal/classify", "internal/kafka", "internal/config", "internal/admin", "internal/daemon"},
	"internal/eventline": {
		"internal/eventgen", "internal/logship", "internal/bucketer",
		"internal/kafka", "internal/broker", "internal/verify", "internal/truth", "internal/config", "internal/admin", "internal/daemon",
	},

	"internal/broker":     {},
	"internal/event":      {},
	"internal/generate":   {"internal/event"},
	"internal/pace":       {},
	"internal/logfile":    {},
	"internal/truth":      {},
	"internal/verify":     {"internal/truth"},
	"internal/tail":       {},
	"internal/torture":    {"internal/tail", "internal/kafka/kafkatest"},
	"internal/checkpoint": {},
	"internal/ship":       {"internal/tail", "internal/checkpoint"},
	"internal/kafka":      {"internal/config"},
	"internal/classify":   {},
	"internal/rollup":     {"internal/event", "internal/classify", "internal/kafka"},
	"internal/sink":       {"internal/event", "internal/classify"},
	"internal/config":     {},
	"internal/daemon":     {},
	"internal/admin":      {},

	"internal/ship/model":      {},
	"internal/ship/shiptest":   {"internal/ship"},
	"internal/kafka/kafkatest": {"internal/kafka", "internal/config"},
	"internal/e2e":             {},
	"internal/archtest":        {},

	"packaging/testhost":    {},
	"packaging/packagetest": {"packaging/testhost"},
	"ansible/sitetest":      {"packaging/testhost"},
}

// libraries says who may import a library outside tests: where one library
// leaks, replacing it means touching everything.
var libraries = map[string][]string{
	"github.com/IBM/sarama":              {"internal/kafka"},
	"github.com/twmb/franz-go":           {"internal/broker", "internal/verify", "internal/kafka/kafkatest"},
	"github.com/nxadm/tail":              {"internal/tail"},
	"github.com/fsnotify/fsnotify":       {"internal/tail"},
	"github.com/go-faker/faker":          {"internal/generate"},
	"github.com/goccy/go-yaml":           {"internal/config"},
	"github.com/valyala/fastjson":        {"internal/event"},
	"github.com/coreos/go-systemd":       {"internal/daemon", "internal/sink"},
	"github.com/spf13/cobra":             {"internal/daemon", "internal/eventgen", "internal/logship", "internal/bucketer", "internal/eventline"},
	"github.com/xdg-go/scram":            {"internal/kafka"},
	"github.com/schollz/progressbar/v3":  {"internal/daemon"},
	"github.com/cespare/xxhash/v2":       {"internal/truth", "internal/verify"},
	"github.com/prometheus/common":       {"internal/eventline"},
	"github.com/stretchr/testify":        {},
	"github.com/sirupsen/logrus":         {},
	"log":                                {},
	"encoding/gob":                       {},
	"math/rand":                          {}, // for math/rand/v2
	"math/rand/v2":                       {"internal/generate", "internal/pace", "internal/kafka", "internal/kafka/kafkatest", "internal/torture"},
	"io/ioutil":                          {},
	"github.com/pkg/errors":              {},
	"github.com/twmb/franz-go/pkg/kfake": {"internal/broker", "internal/kafka/kafkatest"},
}

// topLevel is what the root may hold.
var topLevel = map[string]bool{
	"cmd": true, "internal": true, "packaging": true, "systemd": true, "ansible": true,
	"go.mod": true, "go.sum": true, ".goreleaser.yaml": true, "Makefile": true,
	"README.md": true, "LICENSE": true, "CHANGELOG.md": true, "CONTRIBUTING.md": true,
	".ci": true, ".golangci.yml": true, ".gitignore": true, ".gitattributes": true,
}

// bannedPackages are names that say nothing.
var bannedPackages = map[string]bool{
	"util": true, "utils": true, "common": true, "helper": true, "helpers": true, "misc": true,
	"base": true, "lib": true, "shared": true, "types": true, "models": true, "manager": true,
}

// maxLines is where a file needs a table of contents; then it is two files. A
// test file is a list of stories and may be longer.
const (
	maxLines     = 430
	maxTestLines = 550
)
