package config

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// Print writes the effective settings as a YAML file that Read takes back,
// each with its meaning and where its value came from.
func (s *Set) Print(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Effective settings of %s.\n", s.name)
	open := ""
	for _, f := range s.fields {
		section, name := "", f.key
		if i := strings.LastIndexByte(f.key, '.'); i >= 0 {
			section, name = f.key[:i], f.key[i+1:]
		}
		indent := strings.Repeat("  ", strings.Count(f.key, "."))
		if section != open {
			openSection(&b, open, section)
			open = section
		}
		if f.help != "" {
			fmt.Fprintf(&b, "%s# %s\n", indent, f.help)
		}
		if f.isRows() {
			fmt.Fprintf(&b, "%s%s:  # %s\n", indent, name, f.origin)
			s.printRows(&b, f, indent+"  ")
			continue
		}
		fmt.Fprintf(&b, "%s%s: %s  # %s\n", indent, name, f.yamlText(), f.origin)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// printRows writes a list of sections. The first one says what its keys mean.
func (s *Set) printRows(b *bytes.Buffer, f *field, indent string) {
	for i := range f.value.Len() {
		row := &Set{name: s.name, byKey: make(map[string]*field)}
		row.describe(f.value.Index(i), "")
		for k, leaf := range row.fields {
			dash, comment := "  ", ""
			if k == 0 {
				dash = "- "
			}
			if i == 0 && leaf.help != "" {
				comment = "  # " + leaf.help
			}
			fmt.Fprintf(b, "%s%s%s: %s%s\n", indent, dash, leaf.key, leaf.yamlText(), comment)
		}
	}
}

// openSection writes the headings that lead from one section to the next.
func openSection(b *bytes.Buffer, from, to string) {
	have := strings.Split(from, ".")
	for i, name := range strings.Split(to, ".") {
		if to == "" || (i < len(have) && have[i] == name) {
			continue
		}
		fmt.Fprintf(b, "%s%s:\n", strings.Repeat("  ", i), name)
	}
}

func (f *field) yamlText() string {
	switch {
	case f.isNumbers():
		return "[" + strings.Join(f.list(), ", ") + "]"
	case f.isList():
		quoted := make([]string, 0, f.value.Len())
		for _, item := range f.list() {
			quoted = append(quoted, quoteYAML(item))
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case f.isText():
		return quoteYAML(f.text())
	case f.value.Kind() == reflect.String:
		return quoteYAML(f.value.String())
	}
	return f.text()
}

// quoteYAML leaves a text plain only where YAML reads it back as that text.
func quoteYAML(text string) string {
	var back any
	if err := yaml.Unmarshal([]byte(text), &back); err == nil {
		if s, ok := back.(string); ok && s == text && !strings.ContainsAny(text, ",[]{}#\n") {
			return text
		}
	}
	return strconv.Quote(text)
}
