package admin

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"audiences/api/admin/access"
	"audiences/status"
)

var update = flag.Bool("update", false, "write openapi.json anew")

// operation is what the document says of a route beside its method and path.
type operation struct {
	summary    string
	parameters []string
	body       any // nil: none
	answers    any // several: one of them
}

var windowed, aSegment = windowNames, targetNames

// operations are those of the routes, by method and path.
var operations = map[string]operation{
	"GET summary":           {"The relay as a whole, with a verdict in a sentence.", nil, nil, Summary{}},
	"GET tenants":           {"Tenants, the ones that need an operator most first.", windowed, nil, TenantList{}},
	"GET segments":          {"Segments, the ones that need an operator most first.", windowed, nil, SegmentList{}},
	"GET segment":           {"One segment with its last calls.", aSegment, nil, status.Detail{}},
	"GET parked":            {"Without a segment: what is parked, by reason and by segment. With one: its parked keys, masked.", append(slices.Clone(aSegment), "reason", "limit", "cursor"), nil, []any{ParkedList{}, status.ParkedPage{}}},
	"POST parked/reveal":    {"A segment's parked keys as they are. Each use is an event.", nil, RevealRequest{}, status.ParkedPage{}},
	"POST where":            {"Where a key is: in one segment, in a tenant, or everywhere.", nil, WhereRequest{}, status.Whereabouts{}},
	"GET events":            {"What happened, the newest first.", []string{"before", "limit"}, nil, EventList{}},
	"GET tokens":            {"The tokens that callers may show, by their names: when each ends and was shown last to this relay. Never the tokens.", nil, nil, TokenList{}},
	"POST reload":           {"Read the configuration again. Other values of some keys count from now on, others need a restart. 422: it has a fault, and all stays as it was.", nil, nil, status.Reload{}},
	"GET nodes":             {"The nodes that share the journal; none, where the relay is alone.", nil, nil, NodeList{}},
	"GET budgets":           {"What is left of Split's rate limits, and who waits.", nil, nil, BudgetList{}},
	"GET series":            {"How the relay fared: figures of now, and points of up to a day, in memory.", []string{"window"}, nil, SeriesAnswer{}},
	"GET openapi.json":      {"This document.", nil, nil, map[string]any{}},
	"POST remedies/flush":   {"Send now what is pending.", nil, RemedyRequest{}, RemedyAnswer{}},
	"POST remedies/pause":   {"Make no calls, until a time or until resume.", nil, RemedyRequest{}, RemedyAnswer{}},
	"POST remedies/resume":  {"End a pause.", nil, RemedyRequest{}, RemedyAnswer{}},
	"POST remedies/retry":   {"Make parked keys pending, and try a parked segment at once.", nil, RemedyRequest{}, RemedyAnswer{}},
	"POST remedies/discard": {"Delete parked keys, and what is pending of a parked segment.", nil, RemedyRequest{}, RemedyAnswer{}},
	"POST remedies/move":    {"Hand the keys of a tenant to another one.", nil, RemedyRequest{}, RemedyAnswer{}},

	"GET /health/application":  {"Whether changes are taken, in the form of the Split Synchronizer.", nil, nil, ApplicationHealth{}},
	"GET /health/dependencies": {"Whether Split takes calls, in the same form.", nil, nil, DependencyHealth{}},
}

// parameterWords are of each parameter: what it is, and its type where that is not text.
var parameterWords = map[string][2]string{
	"sort": {"state (the usual one), pending, parked, oldest (since when the state lasts) or name", ""}, "order": {"asc or desc", ""},
	"limit": {"so many at most, 1 to 1,000", "integer"}, "cursor": {"next of the page before", ""},
	"tenant": {"a fingerprint, how it begins, or a name of tenantNames", ""}, "state": {"only what is in this state", ""}, "search": {"a part of the segment's or environment's name, in any case; of tenants: of the name or the fingerprint", ""},
	"environment": {"the id of the segment's environment", ""}, "segment": {"the segment's name", ""}, "workspace": {"where the rest is not enough", ""}, "trafficType": {"where the rest is not enough", ""},
	"reason": {"only keys that are parked for this reason", ""}, "before": {"only events with a number below this one", "integer"}, "window": {"how far back: 15m to 24h, such as 6h; the usual one is 1h", ""},
}

// enums are the types of text that have a closed set of values.
var enums = map[reflect.Type]any{
	reflect.TypeFor[status.State]():  status.States(),
	reflect.TypeFor[status.Wait]():   status.Waits(),
	reflect.TypeFor[status.Remedy](): status.Remedies(),
}

type object = map[string]any

// schemas makes JSON Schemas of Go types, the named structs as components.
type schemas object

func (s schemas) of(t reflect.Type, closed bool) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case enums[t] != nil:
		return object{"type": "string", "enum": enums[t]}
	}
	switch t.Kind() {
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Pointer:
		return s.of(t.Elem(), closed)
	case reflect.Slice:
		return object{"type": "array", "items": s.of(t.Elem(), closed)}
	case reflect.Map:
		if t.Elem().Kind() == reflect.Interface {
			return object{"type": "object"}
		}
		return object{"type": "object", "additionalProperties": s.of(t.Elem(), closed)}
	case reflect.Struct:
		s.component(t, closed)
		return object{"$ref": "#/components/schemas/" + t.Name()}
	}
	return object{"type": "integer"}
}

func (s schemas) component(t reflect.Type, closed bool) {
	if s[t.Name()] != nil {
		return
	}
	made := object{"type": "object"}
	s[t.Name()] = made
	properties, required := object{}, []string{}
	s.fields(t, closed, properties, &required)
	slices.Sort(required)
	made["properties"] = properties
	if required = slices.Compact(required); len(required) > 0 {
		made["required"] = required
	}
	if closed {
		made["additionalProperties"] = false
	}
}

func (s schemas) fields(t reflect.Type, closed bool, properties object, required *[]string) {
	for i := range t.NumField() {
		field := t.Field(i)
		name, option, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous:
			s.fields(field.Type, closed, properties, required)
		case name == "-" || !field.IsExported():
		default:
			properties[name] = s.of(field.Type, closed)
			if option == "" {
				*required = append(*required, name)
			}
		}
	}
}

func (s schemas) content(value any, closed bool) object {
	schema := object{}
	if several, ok := value.([]any); ok {
		var list []object
		for _, one := range several {
			list = append(list, s.of(reflect.TypeOf(one), closed))
		}
		schema["oneOf"] = list
	} else {
		schema = s.of(reflect.TypeOf(value), closed)
	}
	return object{"application/json": object{"schema": schema}}
}

func (s schemas) operation(o operation) object {
	made := object{"summary": o.summary, "responses": object{
		"200":     object{"description": "as asked for", "content": s.content(o.answers, false)},
		"default": object{"description": "why not, in words", "content": s.content(Problem{}, false)},
	}}
	if o.body != nil {
		made["requestBody"] = object{"required": true, "content": s.content(o.body, true)}
	}
	var list []object
	for _, name := range o.parameters {
		kind := parameterWords[name][1]
		if kind == "" {
			kind = "string"
		}
		list = append(list, object{"name": name, "in": "query", "description": parameterWords[name][0], "schema": object{"type": kind}})
	}
	if list != nil {
		made["parameters"] = list
	}
	return made
}

// document is openapi.json as the routes and types have it.
func document() object {
	s, paths := schemas{}, object{}
	for of, o := range operations {
		method, path, _ := strings.Cut(of, " ")
		path = fullPath(path)
		if paths[path] == nil {
			paths[path] = object{}
		}
		made := s.operation(o)
		if path == "/health/application" {
			made["responses"].(object)["500"] = object{"description": "changes are not taken", "content": s.content(ApplicationHealth{}, false)}
		}
		paths[path].(object)[strings.ToLower(method)] = made
	}
	return object{
		"openapi": "3.1.0",
		"info":    object{"title": "audiences relay: the operator's side", "version": "1", "description": "Served on adminAddress. GET needs the role viewer, so does where; the other POSTs need operator. On loopback everybody is an operator."},
		"paths":   paths,
		"components": object{"schemas": s, "securitySchemes": object{
			"token":   object{"type": "http", "scheme": "bearer"},
			"session": object{"type": "apiKey", "in": "cookie", "name": "audiences-session", "description": "of the login; a POST also needs the session's " + access.FormHeader},
		}},
		"security": []object{{"token": []string{}}, {"session": []string{}}, {}},
	}
}

func fullPath(path string) string {
	if strings.HasPrefix(path, "/") {
		return path
	}
	return apiPath + "/" + path
}

// TestOpenAPI: the document is what the routes and the types say; -update writes it.
func TestOpenAPI(t *testing.T) {
	text, err := json.MarshalIndent(document(), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	if *update {
		if err := os.WriteFile("openapi.json", text, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(text, openAPIText) {
		t.Error("openapi.json is not what the routes and types say: go test ./api/admin -run TestOpenAPI -update")
	}
}

// TestOpenAPIHasAllRoutes, and no other.
func TestOpenAPIHasAllRoutes(t *testing.T) {
	left := map[string]bool{}
	for of := range operations {
		left[of] = true
	}
	for _, route := range New(Options{}).api() {
		if of := route.method + " " + route.path; !left[of] {
			t.Errorf("%s is not described", of)
		} else {
			delete(left, of)
		}
	}
	for of := range left {
		_, path, _ := strings.Cut(of, " ")
		if code, _ := call(t, local(busy()), http.MethodGet, path, "", ""); code != http.StatusOK || !strings.HasPrefix(path, "/health/") {
			t.Errorf("%s is described and not served", of)
		}
	}
}

// TestAnswersAreAsDescribed: what is asked and what is answered is valid by the
// document that is served.
func TestAnswersAreAsDescribed(t *testing.T) {
	handler := local(busy())
	_, served := call(t, handler, http.MethodGet, apiPath+"/openapi.json", "", "")
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("openapi.json", parsed(t, served)); err != nil {
		t.Fatal(err)
	}
	valid := func(what, text string, at ...string) {
		t.Helper()
		escape := strings.NewReplacer("~", "~0", "/", "~1")
		pointer := "openapi.json#"
		for _, step := range append(at, "content", "application/json", "schema") {
			pointer += "/" + escape.Replace(step)
		}
		schema, err := compiler.Compile(pointer)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(parsed(t, text)); err != nil {
			t.Errorf("%s: %v\n%s", what, err, text)
		}
	}
	for _, a := range asked {
		path, method := fullPath(pathOf(a.path)), strings.ToLower(a.method)
		_, text := call(t, handler, a.method, fullPath(a.path), a.body, "")
		valid(a.path, text, "paths", path, method, "responses", "200")
		if a.body != "" {
			valid(a.path+", the body", a.body, "paths", path, method, "requestBody")
		}
		_, refused := call(t, handler, a.method, path+"?none=1", "", "")
		valid(a.path+", refused", refused, "paths", path, method, "responses", "default")
	}
	for _, path := range []string{"/health/application", "/health/dependencies"} {
		_, text := call(t, handler, http.MethodGet, path, "", "")
		valid(path, text, "paths", path, "get", "responses", "200")
	}
}

func parsed(t *testing.T, text string) any {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return value
}
