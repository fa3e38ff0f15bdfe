package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// site is one place in the sources and one way to break it.
type site struct {
	id         string // stays the same while the text of its function does
	dir, file  string
	line       int
	function   string
	start, end int    // bytes of the file that are replaced
	with       string // what they are replaced with
	from, to   string // the same for a person: of an operator the whole expression
}

// String tells a person what is broken, on one line.
func (s site) String() string {
	return fmt.Sprintf("%s %s:%d %s: %s -> %s", s.id, s.file, s.line, s.function, brief(s.from), brief(s.to))
}

// brief is a text on one line, cut where it is long.
func brief(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 70 {
		text = text[:70] + "..."
	}
	if text == "" {
		return "(nothing)"
	}
	return text
}

// findSites lists all places of a package that can be broken, tests apart.
func findSites(dir string) (sites []site, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("find sources of %s: %w", dir, os.ErrNotExist)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read source: %w", err)
		}
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, file, text, parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("read source: %w", err)
		}
		for _, decl := range tree.Decls {
			if function, ok := decl.(*ast.FuncDecl); ok && function.Body != nil {
				f := finder{dir: dir, file: file, text: text, set: set, function: function.Name.Name, seen: map[string]int{}}
				ast.Inspect(function.Body, f.visit)
				sites = append(sites, f.sites...)
			}
		}
	}
	return sites, nil
}

// finder collects the sites of one function.
type finder struct {
	dir, file, function string
	text                []byte
	set                 *token.FileSet
	seen                map[string]int // how often the same text is broken the same way
	sites               []site
}

// operators are the ones that are taken for another.
var operators = map[token.Token]string{
	token.LSS: "<=", token.LEQ: "<", token.GTR: ">=", token.GEQ: ">",
	token.EQL: "!=", token.NEQ: "==", token.LAND: "||", token.LOR: "&&",
	token.ADD: "-", token.SUB: "+", token.MUL: "/", token.QUO: "*",
	token.SHL: ">>", token.SHR: "<<", token.AND: "|", token.OR: "&",
}

func (f *finder) visit(node ast.Node) bool {
	switch n := node.(type) {
	case *ast.IfStmt:
		f.add(n.Cond, "!("+f.of(n.Cond)+")")
	case *ast.BinaryExpr:
		if to, ok := operators[n.Op]; ok {
			at := f.offset(n.OpPos)
			f.addAt(at, at+len(n.Op.String()), n, to)
		}
	case *ast.ExprStmt:
		if f.isTold(n) {
			return false
		}
		f.add(n, "")
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE && !blank(n.Lhs) {
			f.add(n, "")
		}
	case *ast.IncDecStmt, *ast.SendStmt, *ast.DeferStmt, *ast.BranchStmt:
		f.add(n, "")
	case *ast.BasicLit:
		if value, err := strconv.ParseInt(n.Value, 0, 64); n.Kind == token.INT && err == nil {
			f.add(n, strconv.FormatInt(value+1, 10))
		}
	case *ast.Ident:
		switch n.Name {
		case "true":
			f.add(n, "false")
		case "false":
			f.add(n, "true")
		}
	case *ast.CaseClause:
		if len(n.Body) > 0 {
			f.addRange(n.Body[0].Pos(), n.Body[len(n.Body)-1].End(), n, "")
		}
	case *ast.ReturnStmt:
		for _, result := range n.Results {
			if name, ok := result.(*ast.Ident); ok && name.Name == "err" {
				f.add(result, "nil")
			}
		}
	}
	return true
}

// isTold: what is only told to a person (a log line) is not broken, since no test
// may hang on its wording; nor is what ends the process over a bug.
func (f *finder) isTold(n ast.Node) bool {
	text := f.of(n)
	return strings.Contains(text, ".Msg(") || strings.HasPrefix(text, "panic(")
}

func blank(targets []ast.Expr) bool {
	return !slices.ContainsFunc(targets, func(e ast.Expr) bool {
		name, ok := e.(*ast.Ident)
		return !ok || name.Name != "_"
	})
}

func (f *finder) offset(p token.Pos) int { return f.set.Position(p).Offset }

func (f *finder) of(n ast.Node) string {
	return string(f.text[f.offset(n.Pos()):f.offset(n.End())])
}

func (f *finder) add(n ast.Node, to string) { f.addRange(n.Pos(), n.End(), n, to) }

func (f *finder) addRange(from, until token.Pos, n ast.Node, to string) {
	f.addAt(f.offset(from), f.offset(until), n, to)
}

func (f *finder) addAt(start, end int, n ast.Node, with string) {
	s := site{dir: f.dir, file: f.file, function: f.function, line: f.set.Position(n.Pos()).Line,
		start: start, end: end, with: with, from: string(f.text[start:end]), to: with}
	if _, binary := n.(*ast.BinaryExpr); binary { // the operator alone would tell a person little
		whole, at := f.of(n), start-f.offset(n.Pos())
		s.from, s.to = whole, whole[:at]+with+whole[at+end-start:]
	}
	what := strings.Join([]string{s.file, s.function, s.from, s.to}, "\x00")
	f.seen[what]++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d", what, f.seen[what]))
	s.id = hex.EncodeToString(sum[:4])
	f.sites = append(f.sites, s)
}

// broken is the file with this place broken.
func (s site) broken() ([]byte, error) {
	text, err := os.ReadFile(s.file)
	if err != nil {
		return nil, fmt.Errorf("read source: %w", err)
	}
	return slices.Concat(text[:s.start], []byte(s.with), text[s.end:]), nil
}

// draw takes a sample, of each package in proportion to its places, in an order
// that the seed decides.
func draw(all []site, count int, seed uint64) []site {
	random := rand.New(rand.NewPCG(seed, 0))
	sample := slices.Clone(all)
	random.Shuffle(len(sample), func(i, j int) { sample[i], sample[j] = sample[j], sample[i] })
	return sample[:min(count, len(sample))]
}

func withID(all []site, id string) []site {
	return slices.DeleteFunc(slices.Clone(all), func(s site) bool { return s.id != id })
}

// shard is one of several parts of the sample; the zero value is all of it.
type shard struct{ part, of int }

func (s shard) has(i int) bool { return s.of == 0 || i%s.of == s.part-1 }

func (s *shard) String() string { return fmt.Sprintf("%d/%d", s.part, s.of) }

// Set reads "2/4".
func (s *shard) Set(text string) error {
	if _, err := fmt.Sscanf(text, "%d/%d", &s.part, &s.of); err != nil || s.part < 1 || s.part > s.of {
		return fmt.Errorf("shard %q is not like 2/4", text)
	}
	return nil
}
