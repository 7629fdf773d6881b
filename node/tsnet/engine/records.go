package main

// Reading TLS a system call at a time and not a record at a time, with a buffer while there is something to read: servers write
// records of 4 KiB and less, and a caller gets what has arrived in one piece. Who waits for an event has none.

import (
	"errors"
	"io"
	"net"
	"syscall"
)

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
	// raw is the connection where a read can be tried; nil where it can only be waited for, with a buffer.
	raw     syscall.RawConn
	tried   int // what the last try has read
	tryErr  error
	tryRead func(fd uintptr) bool
}

func newRecordReader(connection net.Conn, buffers *bufferPool) *recordReader {
	r := &recordReader{Conn: connection, buffers: buffers}
	if system, ok := connection.(syscall.Conn); ok {
		if raw, err := system.SyscallConn(); err == nil {
			r.raw, r.tryRead = raw, r.try
		}
	}
	return r
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
		n, err := r.readMore()
		r.end += n
		if n == 0 && err != nil {
			return err
		}
	}
	return nil
}

func (r *recordReader) readMore() (int, error) {
	if r.raw != nil && r.start == r.end {
		r.start, r.end = 0, 0
		if err := r.raw.Read(r.tryRead); err != nil {
			return 0, err
		}
		return r.tried, r.tryErr
	}
	if r.buffer == nil {
		r.buffer = r.buffers.getRecords()
	}
	copy(r.buffer[:], r.buffer[r.start:r.end])
	r.start, r.end = 0, r.end-r.start
	return r.Conn.Read(r.buffer[r.end:])
}

// try reads into an empty buffer what there is; false where it must be waited for.
func (r *recordReader) try(fd uintptr) bool {
	if r.buffer == nil {
		r.buffer = r.buffers.getRecords()
	}
	n, err := syscall.Read(int(fd), r.buffer[:])
	for errors.Is(err, syscall.EINTR) {
		n, err = syscall.Read(int(fd), r.buffer[:])
	}
	if errors.Is(err, syscall.EAGAIN) {
		r.rest()
		return false
	}
	if n == 0 && err == nil {
		err = io.EOF
	}
	r.tried, r.tryErr = max(n, 0), err
	return true
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
