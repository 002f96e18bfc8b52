package extproc

import "iter"

const (
	// chunkBytes is the most that one message carries of a request body in
	// FULL_DUPLEX_STREAMED mode: some gateways take no gRPC message over 64 KiB.
	chunkBytes = 62_000

	// joinedBytes is how far small parts of a body that needs several messages
	// are filled up from the large part that follows them: enough for no tiny
	// message, not so much that most of a chunk is copied.
	joinedBytes = 16_000
)

// chunks yields the bytes of all parts as one body, in pieces of up to
// chunkBytes, and with each whether it is the last. A chunk is a slice of a
// part where one part fills it, and a copy where several do. An empty body is
// one empty chunk.
func chunks(parts [][]byte) iter.Seq2[[]byte, bool] {
	return func(yield func([]byte, bool) bool) {
		var (
			left = size(parts)
			part []byte // what is left of the part in hand
		)
		for {
			for len(part) == 0 && len(parts) > 0 {
				part, parts = parts[0], parts[1:]
			}
			n := min(left, chunkBytes)
			if int64(len(part)) < n && left > chunkBytes {
				n = max(joinedBytes, int64(len(part)))
			}
			var chunk []byte
			if int64(len(part)) >= n {
				chunk, part = part[:n], part[n:]
			} else {
				chunk = make([]byte, 0, n)
				for int64(len(chunk)) < n {
					if len(part) == 0 {
						part, parts = parts[0], parts[1:]
					}
					take := min(n-int64(len(chunk)), int64(len(part)))
					chunk, part = append(chunk, part[:take]...), part[take:]
				}
			}
			if left -= n; !yield(chunk, left == 0) || left == 0 {
				return
			}
		}
	}
}

// join returns the bytes of all parts, without a copy where there is one part.
func join(parts [][]byte) []byte {
	if len(parts) == 1 {
		return parts[0]
	}
	whole := make([]byte, 0, size(parts))
	for _, part := range parts {
		whole = append(whole, part...)
	}
	return whole
}

func size(parts [][]byte) (n int64) {
	for _, part := range parts {
		n += int64(len(part))
	}
	return n
}
