package payload

// A walker goes over a JSON object that comes in parts, cut anywhere, and
// follows where in it a member with a certain name stands: in the object
// itself, or in that of its members which is named by wrapper. It looks at
// structure only: what stands in strings or deeper inside is not taken for that
// member. An object behind the first is a new one.
//
// It validates nothing. Names must be written without escapes.
type walker struct {
	target  string // the name, of at most 8 bytes
	wrapper string // member of the outer object to look into as well, if not empty; of at most 8 bytes

	depth int // arrays and objects open now
	path  int // how many of them, from outside, may hold the member: none, the object, or also the wrapper

	inString bool
	escaped  bool    // in a string, behind a backslash
	inName   bool    // the string is a name in the innermost object of the path
	name     [9]byte // that name, cut to one more than the longest that matters
	nameLen  int
	member   member // what came of it
}

// A member says which member of the path's innermost object is being read.
type member uint8

const (
	nameComes member = iota // its name is next
	otherMember
	targetMember
	wrapperMember
)

// reset forgets an object that broke off.
func (w *walker) reset() { *w = walker{target: w.target, wrapper: w.wrapper} }

// quote begins a string.
func (w *walker) quote() {
	w.inString = true
	w.inName = w.path > 0 && w.depth == w.path && w.member == nameComes
	w.nameLen = 0
}

// atTarget reports whether what comes next is the member's value.
func (w *walker) atTarget() bool { return w.depth == w.path && w.member == targetMember }

// open begins an array or object.
func (w *walker) open(bracket byte) {
	inPath := w.depth == w.path
	w.depth++
	if inPath && bracket == '{' && (w.depth == 1 || w.member == wrapperMember) {
		w.path = w.depth
		w.member = nameComes
	}
}

// close ends an array or object. It does nothing if there is none.
func (w *walker) close() {
	w.depth = max(w.depth-1, 0)
	w.path = min(w.path, w.depth)
}

// comma ends a member or element.
func (w *walker) comma() {
	if w.depth == w.path {
		w.member = nameComes
	}
}

// passString goes on in a string at i, and returns the position of its closing
// quote or the end of the part.
func (w *walker) passString(part []byte, i int) int {
	from := i
	if w.escaped {
		w.escaped = false
		i++
	}
	for {
		i = passUnquoted(part, i)
		if i >= len(part) {
			i = len(part)
			break
		}
		if part[i] == '"' {
			w.inString = false
			break
		}
		if i+1 == len(part) {
			w.escaped = true
			i++
			break
		}
		i += 2
	}
	if w.inName {
		w.nameLen += copy(w.name[w.nameLen:], part[from:i])
		if !w.inString {
			w.member = w.memberNamed(w.name[:w.nameLen])
		}
	}
	return i
}

func (w *walker) memberNamed(name []byte) member {
	switch {
	case string(name) == w.target:
		return targetMember
	case w.depth == 1 && w.wrapper != "" && string(name) == w.wrapper:
		return wrapperMember
	default:
		return otherMember
	}
}
