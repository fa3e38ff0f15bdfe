package actors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"audiences/actors/batch"
	"audiences/actors/standing"
	"audiences/audience"
	"audiences/journal"
	"audiences/splitclient"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"
)

// ours are all struct types of this package. Whatever it sends, and whatever it
// holds, may be printed one day: by the actor library with an undelivered message,
// or by somebody who looks for a fault.
var ours = []any{
	accept{}, accepted{}, activate{}, operate{}, task{}, recall{}, recalls{}, plan{}, subject{}, inspect{}, surrender{}, surrenderSegment{}, regain{}, pauseEnds{}, list{}, listTenant{}, found{}, foundResting{}, rested{}, restingTenant{}, drainAll{}, drain{}, slot{}, permit{}, rest{}, end{},
	surrendering{}, listing{}, dormantSegments{}, report{}, answer{}, down{}, lateRefusal{},
	wantPermit{}, wantNoPermit{}, callEnded{}, segmentIdle{}, segmentDrained{}, wantSlot{}, slotEnded{}, tenantIdle{}, tenantDrained{},
	tick{}, sweep{}, admit{}, doze{}, flushed{}, drawn{}, counted{}, unparked{}, settled{},
	registry{}, unproven{}, registryDrain{}, alarm{}, tenant{}, tenantDrain{}, cell{}, owner{}, segment{}, &survivor{}, roster[int]{}, child{}, counting{},
	localName{}, whereabouts{},
	dormantTenant{}, dormantSegment{}, news{}, &newsdesk{}, gathering{}, history{}, called{}, callsOf{}, limitsOf{}, recent[int, int]{}, recentItem[int, int]{}, seek{}, keyInFlight{}, keyPlace{}, replacement{}, superseded{}, replacementOf{}, chronicle{}, holdings{}, happened{}, eventsOf{},
	&Relay{}, replayPass{}, &settings{}, Options{}, metrics{}, waiting{}, datedVersion{}, SegmentView{}, listedTenant{},
	Listing{}, TenantListing{}, Sharing{}, own{}, disown{}, letGo{}, leave{}, hinted{}, egressOf{}, tuned{}, Tuning{}, &inTurn{}, &demand{}, replaying{},
}

// forOperators are shown to operators, with what Split said.
var forOperators = []any{SegmentDetail{}}

// below are the types of the packages below this one. Those that these do not show are
// found in their fields.
var below = []any{batch.Batch{}, batch.Chunk{}, batch.Refusal{}, batch.Remains{}, batch.Planned{}, standing.Standing{}}

// harmless are types below this package that nothing leads to and that hold no keys.
var harmless = map[string]bool{"transition": true}

// theirs are the types of other packages that these are made of, or handed over as.
var theirs = []any{
	audience.Change{}, audience.Tenant{}, audience.Token{}, audience.Key{}, audience.KeySet{},
	journal.Append{}, journal.Settle{}, journal.Park{}, journal.Unpark{}, journal.Load{}, journal.ParkedQuery{}, journal.Count{}, journal.Cursor{},
	journal.Page{}, journal.Entry{}, journal.ParkedPage{}, journal.ParkedEntry{}, journal.KnownTenant{}, splitclient.Call{}, dormant{},
}

const (
	secretText   = "sekrit-marker"
	secretNumber = 987654321012345678
)

// secrets is all that a token or a key could show of itself.
func secrets() (texts []string) {
	key := audience.NumericKey(secretNumber)
	var set audience.KeySet
	set.Add(key)
	packed := reflect.ValueOf(set).FieldByName("nums").MapKeys()[0]
	bytes := fmt.Sprint(packed)
	return []string{
		"sekrit", fmt.Sprintf("%x", "sekrit"), fmt.Sprintf("%X", "sekrit"),
		strconv.Itoa(secretNumber), strconv.FormatInt(secretNumber, 16), strconv.FormatInt(secretNumber, 2), strconv.FormatInt(secretNumber, 8),
		strings.Trim(bytes, "[]"), fmt.Sprintf("%#v", packed)[len("[8]uint8{"):], strings.Trim(fmt.Sprintf("%x", packed), "[]"),
	}
}

// TestNothingPrintsASecret covers I7: every type of this package is filled with
// tokens and keys as deep as it goes, and printed, logged and marshalled in every
// way that there is.
func TestNothingPrintsASecret(t *testing.T) {
	known := map[string]bool{}
	for _, v := range append(slices.Clone(ours), forOperators...) {
		name, _, _ := strings.Cut(reflect.Indirect(reflect.ValueOf(v)).Type().Name(), "[")
		known[name] = true
	}
	if declared := structs(t, "."); !maps.Equal(known, declared) {
		t.Fatalf("known %v\ndeclared %v", slices.Sorted(maps.Keys(known)), slices.Sorted(maps.Keys(declared)))
	}
	kinds, seen := withFields(below), map[string]bool{}
	for _, kind := range kinds {
		seen[kind.Name()] = true
	}
	for name := range structs(t, "batch", "standing") {
		if !seen[name] && !harmless[name] {
			t.Errorf("%s is not looked at", name)
		}
	}
	found := 0
	for _, v := range append(slices.Clone(ours), theirs...) {
		kinds = append(kinds, reflect.Indirect(reflect.ValueOf(v)).Type())
	}
	for _, kind := range kinds {
		filled := reflect.New(kind)
		found += stuff(filled.Elem(), 0)
		shown := printed(filled)
		for _, what := range slices.Sorted(maps.Keys(shown)) {
			if at := slices.IndexFunc(secrets(), func(secret string) bool { return strings.Contains(shown[what], secret) }); at >= 0 {
				t.Errorf("%v shows %q in %s: %.300s", kind, secrets()[at], what, shown[what])
				break
			}
		}
	}
	if found < 100 {
		t.Errorf("%d secrets were hidden in all these types; the test looks in the wrong places", found)
	}
}

// withFields are the types of the values, and of what they are made of, as far as it
// is declared in the packages below this one.
func withFields(values []any) (kinds []reflect.Type) {
	var add func(reflect.Type)
	add = func(kind reflect.Type) {
		switch kind.Kind() {
		case reflect.Pointer, reflect.Slice:
			add(kind.Elem())
		case reflect.Struct:
			if !strings.HasPrefix(kind.PkgPath(), "audiences/actors/") || slices.Contains(kinds, kind) {
				return
			}
			kinds = append(kinds, kind)
			for i := range kind.NumField() {
				add(kind.Field(i).Type)
			}
		}
	}
	for _, v := range values {
		add(reflect.TypeOf(v))
	}
	return kinds
}

// structs are the names of the struct types that packages declare.
func structs(t *testing.T, packages ...string) map[string]bool {
	names := map[string]bool{}
	var files []string
	for _, dir := range packages {
		here, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(here) == 0 {
			t.Fatal(dir, err)
		}
		files = append(files, here...)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, declared := range parsed.Decls {
			types, _ := declared.(*ast.GenDecl)
			if types == nil {
				continue
			}
			for _, spec := range types.Specs {
				if named, ok := spec.(*ast.TypeSpec); ok {
					if _, ok := named.Type.(*ast.StructType); ok {
						names[named.Name.Name] = true
					}
				}
			}
		}
	}
	return names
}

// stuff puts tokens and keys wherever there is room for one, and says how many.
func stuff(v reflect.Value, depth int) (n int) {
	if depth > 8 {
		return 0
	}
	v = reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem() // fields that are not exported too
	switch at := v.Addr().Interface().(type) {
	case *audience.Token:
		*at, _ = audience.ParseToken(secretText)
		return 1
	case *audience.Key:
		if *at, _ = audience.ParseKey(secretText); depth%2 == 0 {
			*at = audience.NumericKey(secretNumber)
		}
		return 1
	case *audience.KeySet:
		text, _ := audience.ParseKey(secretText)
		at.Add(text)
		at.Add(audience.NumericKey(secretNumber))
		return 2
	case *journal.Cursor:
		*(*string)(unsafe.Pointer(at)) = secretText // its only field is a key
		return 1
	case *journal.Refusal:
		at.Message = secretText // in Split's words, which may name a key
		return 1
	case *splitclient.Outcome:
		at.Message = secretText
		return 1
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			n += stuff(v.Field(i), depth+1)
		}
	case reflect.Pointer:
		if strings.HasPrefix(v.Type().Elem().PkgPath(), "audiences/") {
			v.Set(reflect.New(v.Type().Elem()))
			n += stuff(v.Elem(), depth+1)
		}
	case reflect.Slice:
		if v.Type() != reflect.TypeFor[[]byte]() {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			n += stuff(v.Index(0), depth+1)
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		n += stuff(key, depth+1) + stuff(value, depth+1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	}
	return n
}

// printed is what is shown of the value that the pointer points to.
func printed(pointer reflect.Value) map[string]string {
	type wrapped struct {
		Message any
		Few     []any
	}
	shown := map[string]string{}
	value := pointer.Elem().Interface()
	for how, v := range map[string]any{
		"pointer": pointer.Interface(), "value": value, "wrapped": wrapped{value, []any{value, pointer.Interface()}},
		"undelivered": actor.DeadLetterEvent{Message: pointer.Interface()}, "undelivered value": &actor.DeadLetterEvent{Message: value},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%o", "%b", "%t", "%g"} {
			shown[how+" "+verb] = fmt.Sprintf(verb, v)
		}
		marshalled, err := json.Marshal(v)
		shown[how+" JSON"] = fmt.Sprint(string(marshalled), err)
		var out bytes.Buffer
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		log := zerolog.New(&out)
		slog.New(zerolog.NewSlogHandler(log)).Info("x", "v", v)
		log.Info().Interface("v", v).Any("a", v).Msg("x")
		log.Info().Fields(map[string]any{"v": v}).Msg("x")
		shown[how+" log"] = out.String()
		shown[how+" panic"] = panicText(v) + fmt.Sprint(fmt.Errorf("wrapped: %v", v))
	}
	return shown
}
