package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "eventline/"

// source is one Go file of the tree.
type source struct {
	path, pkg string // relative to the root, with slashes
	test      bool
	lines     int
	file      *ast.File
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func sources(t *testing.T) ([]source, *token.FileSet) {
	t.Helper()
	var all []source
	set := token.NewFileSet()
	top := root(t)
	for _, dir := range []string{"cmd", "internal", "packaging", "ansible", ".ci"} {
		err := filepath.WalkDir(filepath.Join(top, dir), func(path string, d fs.DirEntry, err error) error {
			if os.IsNotExist(err) {
				return nil
			}
			if err != nil {
				return err
			}
			if d.IsDir() && (d.Name() == "testdata" || d.Name() == ".cache") {
				return filepath.SkipDir
			}
			if d.IsDir() || !strings.HasSuffix(path, ".go") {
				return nil
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			f, err := parser.ParseFile(set, path, data, parser.ParseComments)
			if err != nil {
				return err
			}
			rel, _ := filepath.Rel(top, path)
			all = append(all, source{
				path: rel, pkg: filepath.Dir(rel), test: strings.HasSuffix(path, "_test.go"),
				lines: strings.Count(string(data), "\n"), file: f,
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(all) < 20 {
		t.Fatalf("found %d Go files: the walk is broken", len(all))
	}
	return all, set
}

func importsOf(s source) []string {
	var paths []string
	for _, spec := range s.file.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		paths = append(paths, path)
	}
	return paths
}

func TestPackagesImportOnlyWhatTheTableAllows(t *testing.T) {
	all, _ := sources(t)
	seen := make(map[string]bool)
	for _, s := range all {
		allowed, known := imports[s.pkg]
		seen[s.pkg] = true
		if !known {
			t.Errorf("%s: package %s is not in the table of imports", s.path, s.pkg)
			continue
		}
		if s.test {
			continue
		}
		for _, path := range importsOf(s) {
			if own, ok := strings.CutPrefix(path, module); ok && !slices.Contains(allowed, own) {
				t.Errorf("%s: imports %s, which %s may not", s.path, own, s.pkg)
			}
		}
	}
	for pkg := range imports {
		if !seen[pkg] {
			t.Errorf("%s: is in the table of imports but not in the tree", pkg)
		}
	}
}

// The rules are prefixes of import paths; the longest that fits rules.
func TestLibrariesStayWhereTheyBelong(t *testing.T) {
	all, _ := sources(t)
	for _, s := range all {
		if s.test {
			continue
		}
		for _, path := range importsOf(s) {
			rule := ""
			for prefix := range libraries {
				if (path == prefix || strings.HasPrefix(path, prefix+"/")) && len(prefix) > len(rule) {
					rule = prefix
				}
			}
			if rule != "" && !slices.Contains(libraries[rule], s.pkg) {
				t.Errorf("%s: imports %s, which is for %v only", s.path, path, libraries[rule])
			}
		}
	}
}

// The judge of what we sent must not share the client we sent it with.
func TestTestsReadTopicsWithoutOurClientLibrary(t *testing.T) {
	all, _ := sources(t)
	for _, s := range all {
		if s.path == "internal/torture/naive_test.go" {
			continue // it is the shipper there, and kcat the judge
		}
		if s.test && !strings.HasPrefix(s.pkg, "internal/kafka") && slices.Contains(importsOf(s), "github.com/IBM/sarama") {
			t.Errorf("%s: imports sarama; tests outside internal/kafka judge with another client", s.path)
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	all, _ := sources(t)
	docs := make(map[string]string)
	for _, s := range all {
		if s.test {
			continue
		}
		if _, ok := docs[s.pkg]; !ok {
			docs[s.pkg] = ""
		}
		if s.file.Doc != nil {
			if docs[s.pkg] != "" {
				t.Errorf("%s: a second package comment", s.path)
			}
			docs[s.pkg] = s.file.Doc.Text()
		}
	}
	for pkg, doc := range docs {
		want := "Package " + filepath.Base(pkg) + " "
		if strings.HasPrefix(pkg, "cmd/") {
			want = "Command " + filepath.Base(pkg) + " "
		}
		if !strings.HasPrefix(doc, want) {
			t.Errorf("%s: package comment begins with %.40q, want %q", pkg, doc, want)
		}
	}
}

func TestNamesSaySomething(t *testing.T) {
	for pkg := range imports {
		if bannedPackages[filepath.Base(pkg)] {
			t.Errorf("%s: the name says nothing", pkg)
		}
	}
}

func TestFilesStayReadable(t *testing.T) {
	all, _ := sources(t)
	for _, s := range all {
		most := maxLines
		if s.test {
			most = maxTestLines
		}
		if s.lines > most {
			t.Errorf("%s: has %d lines, more than %d: split it by what it means", s.path, s.lines, most)
		}
	}
}

func TestMainsOnlyTranslate(t *testing.T) {
	all, _ := sources(t)
	for _, s := range all {
		if strings.HasPrefix(s.pkg, "cmd/") && !s.test && s.lines > 40 {
			t.Errorf("%s: has %d lines; a main translates, the app does the work", s.path, s.lines)
		}
	}
}

// A test that is not run reads as passed. What needs something special has a
// build tag instead, and a make target that sets it.
func TestNothingIsSkipped(t *testing.T) {
	all, set := sources(t)
	for _, s := range all {
		if !s.test {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				switch sel.Sel.Name {
				case "Skip", "Skipf", "SkipNow":
					t.Errorf("%s: skips", set.Position(sel.Pos()))
				}
			}
			return true
		})
	}
}

// Errors say verb, operand, cause; "failed to" is true of every error.
func TestErrorsDoNotStammer(t *testing.T) {
	all, set := sources(t)
	for _, s := range all {
		if s.pkg == "internal/archtest" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && strings.Contains(lit.Value, "failed to ") {
				t.Errorf("%s: %s: say what was done and why it did not work", set.Position(lit.Pos()), lit.Value)
			}
			return true
		})
	}
}

func TestRootHoldsOnlyWhatIsAgreed(t *testing.T) {
	out, err := exec.Command("git", "-C", root(t), "ls-files", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	for _, path := range strings.Fields(string(out)) {
		first, _, _ := strings.Cut(path, "/")
		if !topLevel[first] {
			t.Errorf("%s: the root may not hold %s", path, first)
		}
	}
}
