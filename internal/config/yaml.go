package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// readYAML walks the file's syntax tree instead of decoding it: a decoder stops
// at the first problem, and only the tree knows every value's line.
func (s *Set) readYAML(file string, data []byte, r *Report) {
	tree, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		line, text := 1, err.Error()
		var at yaml.Error
		if errors.As(err, &at) {
			text = at.GetMessage()
			if tk := at.GetToken(); tk != nil && tk.Position != nil {
				line = tk.Position.Line
			}
		}
		r.addLine(file, line, "not valid YAML: %s", text)
		return
	}
	w := walker{set: s, file: file, report: r, seen: make(map[string]int)}
	for i, doc := range tree.Docs {
		if doc == nil || doc.Body == nil {
			continue
		}
		if i > 0 {
			r.addLine(file, lineOf(doc.Body), "only one YAML document is read")
			return
		}
		w.section(doc.Body, "")
	}
}

type walker struct {
	set    *Set
	file   string
	report *Report
	seen   map[string]int
}

// section reads a mapping whose keys begin with prefix.
func (w *walker) section(n ast.Node, prefix string) {
	values, ok := mapping(n)
	if !ok {
		if n.Type() == ast.NullType || n.Type() == ast.CommentType {
			return // an empty file, or a section with nothing in it
		}
		what := strings.TrimSuffix(prefix, ".")
		if what == "" {
			what = "the file"
		}
		w.report.addLine(w.file, lineOf(n), "%s: want a mapping of keys to values, got %s", what, describe(n))
		return
	}
	for _, mv := range values {
		key := prefix + keyText(mv.Key)
		line := lineOf(mv.Key)
		if first, dup := w.seen[key]; dup {
			w.report.addLine(w.file, line, "%s: is given twice, first in line %d", key, first)
			continue
		}
		w.seen[key] = line
		f := w.set.byKey[key]
		switch {
		case f != nil && f.isRows():
			w.rows(f, mv.Value, line)
		case f != nil:
			w.leaf(f, mv.Value, line)
		case w.set.hasSection(key + "."):
			w.section(mv.Value, key+".")
		default:
			w.unknown(key, line)
		}
	}
}

func (w *walker) unknown(key string, line int) {
	known := make(map[string]bool)
	for _, f := range w.set.byKey {
		known[f.key] = true
		for i := range f.key {
			if f.key[i] == '.' {
				known[f.key[:i]] = true
			}
		}
	}
	near := nearest(key, known)
	if near == "" { // a key of a section, written outside it
		for _, f := range w.set.fields {
			if strings.HasSuffix(f.key, "."+key) {
				near = f.key
				break
			}
		}
	}
	if near == "" {
		w.report.addLine(w.file, line, "%s: unknown key", key)
		return
	}
	w.report.addLine(w.file, line, "%s: unknown key; did you mean %q?", key, near)
}

// leaf stores one value. A string where a number belongs, or the other way
// round, is a problem: YAML's guesses (`yes`, `1e3`, `0777`) are where settings
// silently become something else.
func (w *walker) leaf(f *field, n ast.Node, line int) {
	from := Origin{Kind: FromFile, Name: w.file, Line: line}
	wrong := func(n ast.Node) {
		f.origin = Origin{Kind: FromFile, Name: w.file, Line: lineOf(n)}
		w.report.Addf(f.key, "want %s, got %s", f.wants(), describe(n))
		f.broken = true
	}
	if f.isList() {
		seq, ok := n.(*ast.SequenceNode)
		if !ok {
			wrong(n)
			return
		}
		var texts []string
		var lines []int
		for _, item := range seq.Values {
			text, kind := scalar(item)
			what, good := "text", kind == ast.StringType
			if f.isNumbers() {
				what, good = "numbers", kind == ast.IntegerType || kind == ast.FloatType
			}
			if !good {
				f.origin = from
				w.report.addLine(w.file, lineOf(item), "%s: want %s in the list, got %s", f.key, what, describe(item))
				f.broken = true
				return
			}
			texts, lines = append(texts, text), append(lines, lineOf(item))
		}
		f.setTexts(texts, from, w.report)
		f.items = lines
		return
	}
	text, kind := scalar(n)
	if !f.takes(kind) {
		wrong(n)
		return
	}
	f.setTexts([]string{text}, from, w.report)
}

// rows reads a list of sections. What the file has replaces the whole default list: rows have no names by
// which one could be changed alone.
func (w *walker) rows(f *field, n ast.Node, line int) {
	f.origin = Origin{Kind: FromFile, Name: w.file, Line: line}
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		w.report.Addf(f.key, "want %s, got %s", f.wants(), describe(n))
		f.broken = true
		return
	}
	list := reflect.MakeSlice(f.value.Type(), len(seq.Values), len(seq.Values))
	for i, item := range seq.Values {
		prefix := fmt.Sprintf("%s[%d].", f.key, i)
		w.set.describeRow(list.Index(i), prefix, Origin{Kind: FromFile, Name: w.file, Line: lineOf(item)})
		w.section(item, prefix)
	}
	f.value.Set(list)
}

// takes says which YAML scalars may become the field's value.
func (f *field) takes(kind ast.NodeType) bool {
	number := kind == ast.IntegerType || kind == ast.FloatType || kind == ast.NanType || kind == ast.InfinityType
	switch {
	case f.isText():
		return kind == ast.StringType || number
	case f.value.Type() == durationType:
		return kind == ast.StringType
	case f.isBool():
		return kind == ast.BoolType
	case f.wants() == "text" || f.value.Type() == secretType:
		return kind == ast.StringType
	case f.wants() == "a number":
		return number
	}
	return kind == ast.IntegerType
}

func (s *Set) hasSection(prefix string) bool {
	for _, f := range s.fields {
		if strings.HasPrefix(f.key, prefix) {
			return true
		}
	}
	return false
}

func mapping(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// scalar returns the text of a plain value; anything else has a kind that no
// field takes.
func scalar(n ast.Node) (string, ast.NodeType) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, ast.StringType
	case *ast.LiteralNode:
		return n.Value.Value, ast.StringType
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NanNode, *ast.InfinityNode:
		return n.GetToken().Value, n.Type()
	}
	return "", n.Type()
}

func keyText(n ast.MapKeyNode) string {
	if s, ok := n.(*ast.StringNode); ok {
		return s.Value
	}
	return n.GetToken().Value
}

// describe names what the file has in a place, for a message.
func describe(n ast.Node) string {
	switch n := n.(type) {
	case *ast.NullNode:
		return "nothing"
	case *ast.StringNode:
		return `the text "` + n.Value + `"`
	case *ast.SequenceNode:
		return "a list"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a section"
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		return "an anchor, alias or tag, which are not used here"
	}
	return n.GetToken().Value
}

func lineOf(n ast.Node) int {
	switch n := n.(type) {
	case *ast.MappingNode:
		if len(n.Values) > 0 {
			return lineOf(n.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return lineOf(n.Key)
	}
	if tk := n.GetToken(); tk != nil && tk.Position != nil {
		return tk.Position.Line
	}
	return 1
}
