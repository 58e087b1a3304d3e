package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Origin says which layer a value came from.
type Origin struct {
	Kind Kind
	// Name is the variable or the flag ("--rate"); for a file, its path.
	Name string
	// Line counts from 1; 0 where there is none.
	Line int
}

// Kind is a layer of settings.
type Kind int

// The layers, lowest first.
const (
	FromDefault Kind = iota
	FromFile
	FromEnv
	FromFlag
)

// String is the origin as people name it.
func (o Origin) String() string {
	switch o.Kind {
	case FromFile:
		return fmt.Sprintf("%s:%d", o.Name, o.Line)
	case FromEnv, FromFlag:
		return o.Name
	default:
		return "default"
	}
}

// field is one setting: a leaf of the target struct.
type field struct {
	key, flag, env, help string
	value                reflect.Value
	origin               Origin
	items                []int // lines of a list's elements, if read from a file
	fromFlag             []string
	broken               bool
}

var (
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
	durationType = reflect.TypeFor[time.Duration]()
	secretType   = reflect.TypeFor[SecretFile]()
)

func (s *Set) describe(v reflect.Value, prefix string) {
	t := v.Type()
	for i := range t.NumField() {
		sf := t.Field(i)
		tag, opts, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		if tag == "-" || (!sf.IsExported() && !sf.Anonymous) {
			continue
		}
		fv := v.Field(i)
		if opts == "inline" {
			s.judge(fv, prefix)
			s.describe(fv, prefix)
			continue
		}
		if tag == "" {
			panic(fmt.Sprintf("config: %s.%s has no yaml tag", t, sf.Name))
		}
		key := prefix + tag
		if fv.Kind() == reflect.Struct && !fv.Addr().Type().Implements(textType) {
			s.judge(fv, key+".")
			s.describe(fv, key+".")
			continue
		}
		f := &field{key: key, value: fv, help: sf.Tag.Get("help"), env: envName(s.name + "_" + key)}
		f.flag = strings.NewReplacer(".", "-", "_", "-").Replace(key)
		if name := sf.Tag.Get("flag"); name != "" {
			f.flag = name
		}
		if f.wants() == "" {
			panic(fmt.Sprintf("config: %s.%s has a type that can't be a setting: %s", t, sf.Name, fv.Type()))
		}
		if s.byKey[key] != nil {
			panic(fmt.Sprintf("config: key %q is described twice", key))
		}
		s.byKey[key] = f
		s.fields = append(s.fields, f)
	}
}

// judge remembers a struct whose keys begin with prefix if it knows what is wrong with itself.
func (s *Set) judge(v reflect.Value, prefix string) {
	if !v.CanInterface() {
		return // inlined, and of a type that only its package knows
	}
	if is, ok := v.Addr().Interface().(Section); ok {
		s.sections = append(s.sections, section{prefix, is})
	}
}

// describeRow describes the sections of a list: they are known by key, so that they can be read and
// reported, but have neither flags nor variables. Where a key is not given, the row is to blame.
func (s *Set) describeRow(v reflect.Value, prefix string, from Origin) {
	row := &Set{name: s.name, byKey: make(map[string]*field)}
	row.describe(v, prefix)
	for _, f := range row.fields {
		f.origin = from
		s.byKey[f.key] = f
	}
}

func (f *field) isText() bool { return f.value.Addr().Type().Implements(textType) }
func (f *field) isBool() bool { return f.value.Kind() == reflect.Bool && !f.isText() }
func (f *field) isList() bool {
	return f.value.Kind() == reflect.Slice && !f.isText() && !f.isRows()
}

// isRows says whether the setting is a list of sections.
func (f *field) isRows() bool {
	return f.value.Kind() == reflect.Slice && f.value.Type().Elem().Kind() == reflect.Struct && !f.isText()
}

// isNumbers says whether the setting is a list of numbers.
func (f *field) isNumbers() bool {
	return f.value.Kind() == reflect.Slice && f.value.Type().Elem().Kind() == reflect.Float64 && !f.isText()
}

// wants names the type for people: in help texts and in problems.
func (f *field) wants() string {
	switch {
	case f.isText():
		if n, ok := f.value.Addr().Interface().(interface{ Wants() string }); ok {
			return n.Wants()
		}
		return "text"
	case f.value.Type() == durationType:
		return "a duration such as 10s"
	case f.value.Type() == secretType:
		return "the path of a file"
	}
	switch f.value.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Slice:
		switch f.value.Type().Elem().Kind() {
		case reflect.String:
			return "a list"
		case reflect.Float64:
			return "a list of numbers"
		case reflect.Struct:
			return "a list of sections"
		}
	}
	return ""
}

// split cuts the text of an environment variable or a flag into elements.
func (f *field) split(text string) []string {
	if !f.isList() {
		return []string{text}
	}
	var items []string
	for _, item := range strings.Split(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// setTexts stores texts in the field, or reports why it can't and leaves the
// value of the layer below.
func (f *field) setTexts(texts []string, from Origin, r *Report) {
	f.origin, f.items, f.broken = from, nil, false
	if f.isList() {
		list := reflect.MakeSlice(f.value.Type(), 0, len(texts))
		for _, text := range texts {
			item := reflect.ValueOf(text)
			if f.isNumbers() {
				n, err := strconv.ParseFloat(text, 64)
				if err != nil {
					r.Addf(f.key, "want %s, got %q", f.wants(), text)
					f.broken = true
					return
				}
				item = reflect.ValueOf(n)
			}
			list = reflect.Append(list, item)
		}
		f.value.Set(list)
		return
	}
	if err := f.parse(texts[len(texts)-1]); err != nil {
		r.Addf(f.key, "%v", err)
		f.broken = true
	}
}

func (f *field) parse(text string) error {
	if f.isText() {
		next := reflect.New(f.value.Type())
		if err := next.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
			return err
		}
		f.value.Set(next.Elem())
		return nil
	}
	wrong := fmt.Errorf("want %s, got %q", f.wants(), text)
	if f.value.Type() == durationType {
		d, err := time.ParseDuration(text)
		if err != nil {
			return wrong
		}
		f.value.SetInt(int64(d))
		return nil
	}
	switch f.value.Kind() {
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return wrong
		}
		f.value.SetBool(b)
	case reflect.Int, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, f.value.Type().Bits())
		if err != nil {
			return wrong
		}
		f.value.SetInt(n)
	case reflect.Float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return wrong
		}
		f.value.SetFloat(n)
	default:
		f.value.SetString(text)
	}
	return nil
}

// text is the value as setTexts would take it back.
func (f *field) text() string {
	if f.isText() {
		if m, ok := f.value.Addr().Interface().(encoding.TextMarshaler); ok {
			b, err := m.MarshalText()
			if err == nil {
				return string(b)
			}
		}
	}
	return fmt.Sprint(f.value.Interface())
}

// list is the value of a list field.
func (f *field) list() []string {
	items := make([]string, f.value.Len())
	for i := range items {
		items[i] = fmt.Sprint(f.value.Index(i).Interface())
	}
	return items
}

// flagValue records what a flag was given, for Read to check.
type flagValue struct{ field *field }

func (v *flagValue) Set(text string) error {
	if !v.field.isList() {
		v.field.fromFlag = []string{text}
		return nil
	}
	if v.field.fromFlag == nil {
		v.field.fromFlag = []string{}
	}
	v.field.fromFlag = append(v.field.fromFlag, v.field.split(text)...)
	return nil
}

func (v *flagValue) String() string {
	switch {
	case v.field == nil: // pflag asks a zero value
		return ""
	case v.field.isList():
		return strings.Join(v.field.list(), ",")
	case v.field.value.IsZero() && !v.field.isText():
		return "" // pflag then prints no "(default …)"
	}
	return v.field.text()
}

func (v *flagValue) Type() string {
	f := v.field
	if n, ok := f.value.Addr().Interface().(interface{ TypeName() string }); ok {
		return n.TypeName()
	}
	switch {
	case f.value.Type() == durationType:
		return "duration"
	case f.value.Type() == secretType:
		return "file"
	case f.isList():
		return "list"
	case f.isBool():
		return "bool"
	case f.value.Kind() == reflect.String || f.isText():
		return "text"
	}
	return "number"
}
