package main

import "sync"

// question is one request from when it is asked about until it has ended.
type question struct {
	id      uint32
	answers chan any // forwardMessage, answerMessage, readMessage, locationMessage

	mu     sync.Mutex
	record *recordMessage
	cut    *cutMessage
	onCut  func(*cutMessage)
}

func (q *question) setRecord(message *recordMessage) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.record = message
}

// recordOrder is nil for what is not recorded.
func (q *question) recordOrder() *recordMessage {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.record
}

func (q *question) setCut(message *cutMessage) {
	q.mu.Lock()
	if q.cut != nil {
		q.mu.Unlock()
		return
	}
	q.cut = message
	onCut := q.onCut
	q.mu.Unlock()
	if onCut != nil {
		onCut(message)
	}
}

// whenCut calls onCut at once if there was a cut already.
func (q *question) whenCut(onCut func(*cutMessage)) {
	q.mu.Lock()
	q.onCut = onCut
	cut := q.cut
	q.mu.Unlock()
	if cut != nil {
		onCut(cut)
	}
}
