package payload

// Bounds of what [Request.Metadata] reads, in bytes. OpenAI allows sixteen keys
// of 64 characters with values of 512 characters
// (https://platform.openai.com/docs/api-reference/chat/create).
const (
	maxMetadata      = 64 << 10
	maxMetadataValue = 2 << 10
)

// Metadata returns the string that the request's metadata has under the key. It
// reads the body each time. There is none where the key or metadata itself
// stands twice in its object, where the value is no string or is longer than
// 2 KiB, or where all metadata is longer than 64 KiB.
func (r *Request) Metadata(key string) (value string, ok bool) {
	metadata, ok := r.only("metadata")
	if !ok || metadata.size() > maxMetadata {
		return "", false
	}
	s := scanner{data: metadata.of(r.body)}
	at, ok := s.only(key)
	if !ok || s.data[at.from] != '"' {
		return "", false
	}
	text, whole := appendText(nil, s.data[at.from+1:at.to-1], maxMetadataValue)
	return string(text), whole
}

// IncludeUsage reports whether a streamed reply is to tell token usage:
// stream_options.include_usage.
func (r *Request) IncludeUsage() bool {
	options, ok := r.only("stream_options")
	if !ok {
		return false
	}
	s := scanner{data: options.of(r.body)}
	at, ok := s.only("include_usage")
	return ok && string(at.of(s.data)) == "true"
}

// only returns where the value of a member of the request is, unless there is
// none or more than one.
func (r *Request) only(name string) (value span, ok bool) {
	if r.model == (span{}) {
		return span{}, false
	}
	s := scanner{data: r.body}
	return s.only(name, r.conversation, r.tools)
}

// only returns where the value of a member of the object ahead is, unless there
// is none or more than one. The data must be valid JSON, and known are values
// in it that need not be read again.
func (s *scanner) only(name string, known ...span) (value span, ok bool) {
	if s.peek() != '{' {
		return span{}, false
	}
	for more := s.open('}'); more; more = s.next('}') {
		_, exact := sameKey(s.name(), name)
		at := s.valueOr(known)
		if exact && ok {
			return span{}, false
		}
		if exact {
			value, ok = at, true
		}
	}
	return value, ok
}

// valueOr passes one value, at once if it is one of those that are known.
func (s *scanner) valueOr(known []span) span {
	s.peek()
	for _, at := range known {
		if at.from == s.pos {
			s.pos = at.to
			return at
		}
	}
	return s.value()
}
