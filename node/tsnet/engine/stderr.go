package main

// What libraries say on the standard logger, which is stderr, which Node.js logs. net/http's Transport quotes what comes on an idle
// connection unasked, which may be the rest of a caller's answer: the line stays, without the bytes.

import (
	"bytes"
	"io"
)

type unquotedLog struct{ to io.Writer }

var unsolicited = []byte("Unsolicited response received on idle HTTP channel")

func (l unquotedLog) Write(line []byte) (int, error) {
	if at := bytes.Index(line, unsolicited); at >= 0 {
		if _, err := l.to.Write(append(bytes.Clone(line[:at+len(unsolicited)]), '\n')); err != nil {
			return 0, err
		}
		return len(line), nil
	}
	return l.to.Write(line)
}
