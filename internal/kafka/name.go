package kafka

import (
	"fmt"
	"strings"
)

// NameProblem says why Kafka does not take a name for a topic or an instance id,
// or "".
func NameProblem(name string) string {
	bad := strings.IndexFunc(name, func(r rune) bool {
		good := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r)
		return !good
	})
	switch {
	case name == "":
		return "must not be empty"
	case bad >= 0, name == ".", name == "..", len(name) > 249:
		return fmt.Sprintf("must be of letters, digits, dot, dash and underscore, at most 249, got %q", name)
	}
	return ""
}
