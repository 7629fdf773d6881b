package main

// Reading TLS a system call at a time and not a record at a time, with a buffer while there is something to read: servers write
// records of 4 KiB and less, and a caller gets what has arrived in one piece.

import "net"

const (
	recordHeader = 5
	recordBuffer = 64 << 10
)

// recordReader is a connection beneath TLS. It hands out no more than the record under way, so that what is left begins with one.
type recordReader struct {
	net.Conn
	buffers *bufferPool
	buffer  *[recordBuffer]byte // of which [start:end] was read and not handed out; nil where there is nothing
	start   int
	end     int
	left    int  // of the record under way
	isReady bool // what is not here counts as not to be had
}

// errWouldWait is one that TLS does not take for the end.
type errWouldWait struct{}

func (errWouldWait) Error() string   { return "nothing more has arrived" }
func (errWouldWait) Timeout() bool   { return true }
func (errWouldWait) Temporary() bool { return true }

// withoutWaiting runs read. A whole record may hold nothing for whoever reads, such as a ticket of TLS.
func (r *recordReader) withoutWaiting(read func() int) int {
	r.isReady = true
	defer func() { r.isReady = false }()
	return read()
}

func (r *recordReader) Read(p []byte) (int, error) {
	need := 1
	if r.left == 0 {
		need = recordHeader
	}
	if err := r.fill(need); err != nil {
		return 0, err
	}
	if r.left == 0 {
		r.left = r.sizeOfRecord()
	}
	n := copy(p, r.buffer[r.start:min(r.end, r.start+r.left)])
	r.start += n
	r.left -= n
	return n, nil
}

// fill reads until there are that many bytes.
func (r *recordReader) fill(need int) error {
	for r.end-r.start < need {
		if r.isReady {
			return errWouldWait{}
		}
		if r.buffer == nil {
			r.buffer = r.buffers.getRecords()
		}
		copy(r.buffer[:], r.buffer[r.start:r.end])
		r.start, r.end = 0, r.end-r.start
		n, err := r.Conn.Read(r.buffer[r.end:])
		r.end += n
		if n == 0 && err != nil {
			return err
		}
	}
	return nil
}

func (r *recordReader) sizeOfRecord() int {
	return recordHeader + int(r.buffer[r.start+3])<<8 + int(r.buffer[r.start+4])
}

// hasRecord reports whether there is a whole record more, for which nobody has to wait.
func (r *recordReader) hasRecord() bool {
	return r.left == 0 && r.end-r.start >= recordHeader && r.end-r.start >= r.sizeOfRecord()
}

func (r *recordReader) isEmpty() bool { return r.start == r.end && r.left == 0 }

// rest gives the buffer back, where nothing is in it.
func (r *recordReader) rest() {
	if r.buffer != nil && r.start == r.end {
		r.buffers.putRecords(r.buffer)
		r.buffer, r.start, r.end = nil, 0, 0
	}
}
