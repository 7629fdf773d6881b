package main

// Requests to answers. Requests run side by side; `start` and `stop` take their time, the rest is quick.

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	// How long connections have to deliver what Node has sent. A peer that has vanished holds up the end for as long.
	drainWithin = 3 * time.Second
	// The client's own close waits up to 5 s for the control server; Node waits a little longer than for both.
	closeWithin = 4 * time.Second
)

type service struct {
	pipe *pipe
	exit func(code int)

	greeted bool // only the reader's goroutine looks

	mu      sync.Mutex
	secrets []secret
	started bool
	home    *home // nil: not started
	tailnet *tailnet
	stopped sync.Once
}

// secret is what log lines and failures must not show, and what they show instead.
type secret struct{ value, shown string }

func newService(pipe *pipe, exit func(code int)) *service {
	return &service{pipe: pipe, exit: exit}
}

// handle takes one line of the control pipe. It must be called from one goroutine.
func (s *service) handle(line []byte) {
	request, id, err := decodeRequest(line)
	if err != nil {
		if id == 0 {
			s.log(logError, "control pipe: "+err.Error())
		} else {
			s.fail(id, codeBadRequest, err.Error())
		}
		return
	}
	if hello, ok := request.(*helloMessage); ok {
		if hello.Version != protocolVersion {
			s.log(logError, fmt.Sprintf("this engine speaks protocol %d, not %d", protocolVersion, hello.Version))
			s.exit(exitMismatch)
		}
		s.greeted = true
		return
	}
	if !s.greeted {
		s.log(logError, "the first message must be hello")
		s.exit(exitMismatch)
		return
	}
	switch request := request.(type) {
	case *pingRequest:
		s.done(request.ID)
	case *startRequest:
		go s.start(request)
	case *listenRequest:
		go s.listen(request)
	case *unlistenRequest:
		if t := s.running(); t != nil {
			t.unlisten(request.Listener)
		}
		s.done(request.ID)
	case *whoIsRequest:
		go s.whoIs(request)
	case *identifyRequest:
		go s.identify(request)
	case *findPeerRequest:
		go s.findPeer(request)
	case *proxyRequest:
		go s.proxy(request)
	case *savedRequest:
		if home := s.at(); home != nil && home.piped != nil {
			home.piped.saved(request.Save, request.Problem)
		}
		s.done(request.ID)
	case *stopRequest:
		go func() {
			s.close(drainWithin)
			s.done(request.ID)
			s.exit(0)
		}()
	}
}

// close ends the tailnet node, once, within closeWithin after connections have drained.
func (s *service) close(drain time.Duration) {
	s.stopped.Do(func() {
		t := s.running()
		if t == nil {
			return
		}
		closed := make(chan struct{})
		go func() { t.close(drain); close(closed) }()
		select {
		case <-closed:
		case <-time.After(drain + closeWithin):
		}
	})
}

// forsaken is for the end of stdin: Node is gone, perhaps killed, and cannot tidy up behind itself any more.
func (s *service) forsaken() {
	home := s.at()
	if home != nil {
		home.abandon()
	}
	s.close(0)
	if home != nil {
		home.remove()
	}
	if t := s.running(); t != nil {
		// Only what is Node's own: its socket, and the directory if nothing else is in it.
		_ = os.Remove(t.handOver.socketPath)
		_ = os.Remove(filepath.Dir(t.handOver.socketPath))
	}
}

func (s *service) running() *tailnet {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tailnet
}

func (s *service) at() *home {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.home
}

func (s *service) start(request *startRequest) {
	s.mu.Lock()
	if s.started {
		s.mu.Unlock()
		s.fail(request.ID, codeBadRequest, "started already")
		return
	}
	s.started = true
	clientSecret, _, _ := strings.Cut(request.ClientSecret, "?")
	for _, secret := range []secret{
		{request.AuthKey, "[auth key]"}, {clientSecret, "[client secret]"}, {request.IDToken, "[ID token]"},
	} {
		if secret.value != "" {
			s.secrets = append(s.secrets, secret)
		}
	}
	s.mu.Unlock()

	changed := func() {
		if t := s.running(); t != nil {
			go t.publish()
		}
	}
	home, err := openHome(request, s.pipe.send, changed, clientLogger(s.log))
	if err != nil {
		s.fail(request.ID, startFailure(err), err.Error())
		return
	}
	s.mu.Lock()
	s.home = home
	s.mu.Unlock()
	if err := home.finish(); err != nil {
		s.fail(request.ID, codeStart, err.Error())
		return
	}
	if home.unfinished != "" {
		s.log(logInfo, "a first join that was interrupted is resumed")
	}
	if request.NoCredential != "" && !home.hasJoined() {
		s.fail(request.ID, codeCredential, request.NoCredential)
		return
	}
	t, err := startTailnet(request, home, s.pipe.send, s.log, s.redact)
	if err != nil {
		s.fail(request.ID, codeStart, err.Error())
		return
	}
	s.mu.Lock()
	s.tailnet = t
	s.mu.Unlock()
	s.done(request.ID)
}

func startFailure(err error) failureCode {
	if isDamaged(err) {
		return codeState
	}
	return codeStart
}

func (s *service) listen(request *listenRequest) {
	t := s.running()
	if t == nil {
		s.fail(request.ID, codeNotStarted, "listen before start")
		return
	}
	if err := t.listen(request); err != nil {
		s.fail(request.ID, codeListen, err.Error())
		return
	}
	s.done(request.ID)
}

func (s *service) whoIs(request *whoIsRequest) {
	t := s.running()
	if t == nil {
		s.pipe.send(identityMessage{Type: "identity", ID: request.ID, Identity: unknownIdentity()})
		return
	}
	who, err := t.whoIs(request.Address)
	if err != nil {
		s.fail(request.ID, codeBadRequest, err.Error())
		return
	}
	s.pipe.send(identityMessage{Type: "identity", ID: request.ID, Identity: who})
}

func (s *service) identify(request *identifyRequest) {
	t := s.running()
	if t == nil {
		s.fail(request.ID, codeNotStarted, "identify before start")
		return
	}
	if len(request.Nodes) > maxIdentify {
		s.fail(request.ID, codeBadRequest, fmt.Sprintf("more than %d nodes at once", maxIdentify))
		return
	}
	identities, err := t.identifyNodes(request.Nodes)
	if err != nil {
		s.fail(request.ID, codeNotStarted, err.Error())
		return
	}
	s.pipe.send(identitiesMessage{Type: "identities", ID: request.ID, Identities: identities})
}

func (s *service) findPeer(request *findPeerRequest) {
	who := unknownIdentity()
	if t := s.running(); t != nil {
		who = t.findPeer(context.Background(), request.Name)
	}
	s.pipe.send(identityMessage{Type: "identity", ID: request.ID, Identity: who})
}

func (s *service) proxy(request *proxyRequest) {
	t := s.running()
	if t == nil {
		s.fail(request.ID, codeNotStarted, "proxy before start")
		return
	}
	address, err := t.serveProxy(request)
	if err != nil {
		s.fail(request.ID, codeListen, err.Error())
		return
	}
	s.pipe.send(addressMessage{Type: "address", ID: request.ID, Address: address})
}

func (s *service) done(id uint32) { s.pipe.send(doneMessage{Type: "done", ID: id}) }

func (s *service) fail(id uint32, code failureCode, text string) {
	s.pipe.send(failedMessage{Type: "failed", ID: id, Code: code, Message: s.redact(text)})
}

func (s *service) log(level logLevel, text string) { s.pipe.log(level, s.redact(text)) }

func (s *service) redact(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range s.secrets {
		text = strings.ReplaceAll(text, secret.value, secret.shown)
	}
	return text
}
