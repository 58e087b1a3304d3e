// Package config reads a daemon's settings: its defaults, then one YAML file,
// then the environment, then flags, each beating the one before.
//
// A daemon describes its settings as a struct with `yaml` and `help` tags. The
// package derives the file's keys, the environment variables and the flags from
// that one description, so that the three can't drift apart.
//
// Nothing is guessed: a key that is not known, a value of the wrong type and a
// value the daemon's Validate refuses are problems, and all of them are reported
// at once, each with the file and line, the variable or the flag it came from.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// Target is a pointer to a struct of settings that already holds the defaults.
type Target interface {
	// Validate reports every value that can't work, whatever its source. It is
	// called after all layers have been read; keys that already have a problem
	// hold the value of the layer below.
	Validate(r *Report)
}

// Section is what a struct of settings implements that knows what is wrong with
// itself. Read asks every one in the target, after the target's Validate, so that
// a section used by several daemons is judged in one place.
type Section interface {
	// Problems returns what can't work, by key below the section.
	Problems() map[string]string
}

// Alias is an environment variable of another name that sets a key. The
// daemon's own variable beats it.
type Alias struct {
	Env, Key string
}

// Set is one daemon's settings and where each of them came from. It is not safe
// for concurrent use.
type Set struct {
	name     string
	target   Target
	aliases  []Alias
	fields   []*field
	byKey    map[string]*field
	sections []section
	warnings []string
}

// section is a Section of the target, and what its keys begin with.
type section struct {
	prefix string
	judge  Section
}

// New describes the settings in target for the daemon called name, whose
// environment variables begin with NAME_. It panics on a struct it can't
// describe: that is a mistake in the program, seen by its first test.
func New(name string, target Target, aliases ...Alias) *Set {
	v := reflect.ValueOf(target)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("config: target must point to a struct, got %T", target))
	}
	s := &Set{name: name, target: target, aliases: aliases, byKey: make(map[string]*field)}
	s.describe(v.Elem(), "")
	for _, a := range aliases {
		if s.byKey[a.Key] == nil {
			panic(fmt.Sprintf("config: alias %s names an unknown key %q", a.Env, a.Key))
		}
	}
	return s
}

// BindFlags adds one flag per setting. A flag's value is checked by Read, not
// while parsing, so that it is reported beside all other problems.
func (s *Set) BindFlags(flags *pflag.FlagSet) {
	for _, f := range s.fields {
		fv := &flagValue{field: f}
		flag := flags.VarPF(fv, f.flag, "", f.help)
		if f.isBool() {
			flag.NoOptDefVal = "true"
		}
	}
}

// Read reads every layer into the target and validates it. The error is nil or
// a *Problems. It may be called once.
//
// file is the path of the YAML file, "" for none; a missing one is a problem
// only if it is required, so that a daemon started by hand needs no file at its
// default path. lookup is os.LookupEnv in production: a variable set to the
// empty string counts as not set, so that an environment file may list variables
// without values. environ is os.Environ(); it only serves to find misspelt
// variables and may be nil.
func (s *Set) Read(file string, required bool, lookup func(string) (string, bool), environ []string) error {
	r := &Report{set: s}
	if file != "" {
		s.readFile(file, required, r)
	}
	if lookup != nil {
		s.readEnv(lookup, environ, r)
	}
	for _, f := range s.fields {
		if f.fromFlag != nil {
			f.setTexts(f.fromFlag, Origin{Kind: FromFlag, Name: "--" + f.flag}, r)
		}
	}
	s.target.Validate(r)
	for _, sec := range s.sections {
		problems := sec.judge.Problems()
		for _, key := range slices.Sorted(maps.Keys(problems)) {
			r.Addf(sec.prefix+key, "%s", problems[key])
		}
	}
	return r.err()
}

// Origin says where the value of a key came from. It panics on an unknown key.
func (s *Set) Origin(key string) Origin { return s.byKey[key].origin }

// Warnings lists what Read found odd but harmless, such as an environment
// variable that looks like ours and sets nothing.
func (s *Set) Warnings() []string { return s.warnings }

func (s *Set) readFile(file string, required bool, r *Report) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && !required {
		return
	}
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		r.problems = append(r.problems, fmt.Sprintf("%s: %v", file, err))
		return
	}
	s.readYAML(file, data, r)
}

func (s *Set) readEnv(lookup func(string) (string, bool), environ []string, r *Report) {
	known := make(map[string]bool)
	set := func(env string, f *field) {
		known[env] = true
		if text, ok := lookup(env); ok && text != "" {
			f.setTexts(f.split(text), Origin{Kind: FromEnv, Name: env}, r)
		}
	}
	for _, a := range s.aliases {
		set(a.Env, s.byKey[a.Key])
	}
	for _, f := range s.fields {
		set(f.env, f)
	}
	prefix := envName(s.name) + "_"
	for _, kv := range environ {
		env, _, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(env, prefix) || known[env] {
			continue
		}
		w := fmt.Sprintf("environment variable %s sets nothing", env)
		if near := nearest(env, known); near != "" {
			w += fmt.Sprintf("; did you mean %s?", near)
		}
		s.warnings = append(s.warnings, w)
	}
}

func envName(s string) string {
	return strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(s))
}
