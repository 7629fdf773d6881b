package main

// The control pipe's messages, twin of ../protocol.ts: change both together, and protocolVersion with any change
// that the other side would misread.
//
// One JSON object a line, UTF-8, at most maxLine bytes, each with a `type`. Node writes requests to stdin, the engine
// writes to stdout; nothing else is ever written there. The first line each way is `hello` with the protocol's version;
// an engine that is greeted with another version ends. Each request but `hello` has an `id` and gets exactly one of
// `done`, `identity`, `identities`, `address` or `failed` with that id, in any order. `state`, `peers`, `log` and `save` come unasked.
// Secrets travel in `start`, `proxy` and `save` alone, bytes as base64. Numbers that may pass 2^53 (user ids) are strings. The end of stdin ends the engine.

const (
	protocolVersion = 8
	maxLine         = 2 << 20 // a Secret's worth of state in base64, and the rest of `start`
)

// Requests, Node to engine.
type (
	helloMessage struct {
		Type    string `json:"type"`
		Version int    `json:"version"`
	}

	// startRequest joins the tailnet; once in an engine's life. It is answered when the client runs, not when it has
	// joined: `state` messages tell that.
	startRequest struct {
		Type       string `json:"type"`
		ID         uint32 `json:"id"`
		Hostname   string `json:"hostname"`
		StateDir   string `json:"stateDir"`
		ControlURL string `json:"controlUrl"` // empty: Tailscale's own
		// At most one way to join, the others empty; none for a node that has joined, or that a person will approve.
		AuthKey      string `json:"authKey"`
		ClientSecret string `json:"clientSecret"` // OAuth client secret, its attributes after a `?`
		ClientID     string `json:"clientId"`     // workload identity, its attributes after a `?`
		IDToken      string `json:"idToken"`
		// Why Node has no credential to give though one is configured; matters to a node alone that has not joined.
		NoCredential string `json:"noCredential"`
		// Null: state is kept in stateDir. Otherwise all of it by key; each change is told by `save`, and stateDir is for what
		// may be lost, which the engine removes when Node is gone.
		State        map[string][]byte `json:"state"`
		Ephemeral    bool              `json:"ephemeral"`
		Tags         []string          `json:"tags"`
		Capabilities []string          `json:"capabilities"`
		SocketPath   string            `json:"socketPath"` // where accepted connections are handed over
		Nonce        string            `json:"nonce"`      // goes into each preamble
		Callers      []string          `json:"callers"`    // addresses that a former engine served of late; see rehandshake
		Lost         []lostMessage     `json:"lost"`       // connections that ended with a former engine; see reset
	}

	lostMessage struct {
		Source      endpoint `json:"source"`
		Destination endpoint `json:"destination"`
	}

	listenRequest struct {
		Type     string `json:"type"`
		ID       uint32 `json:"id"`
		Listener string `json:"listener"` // chosen by Node, names the listener in preambles
		Port     uint16 `json:"port"`
		TLS      bool   `json:"tls"`
		Decide   bool   `json:"decide"` // requests are asked about, one by one, over a channel of their own (decisions_protocol.go)
	}

	// unlistenRequest closes a listener; the connections it accepted go on.
	unlistenRequest struct {
		Type     string `json:"type"`
		ID       uint32 `json:"id"`
		Listener string `json:"listener"`
	}

	whoIsRequest struct {
		Type    string `json:"type"`
		ID      uint32 `json:"id"`
		Address string `json:"address"` // ip or ip:port
	}

	// identifyRequest asks who several nodes are now; at most maxIdentify.
	identifyRequest struct {
		Type  string   `json:"type"`
		ID    uint32   `json:"id"`
		Nodes []string `json:"nodes"` // stable node IDs
	}

	// findPeerRequest is answered as whoIs is.
	findPeerRequest struct {
		Type string `json:"type"`
		ID   uint32 `json:"id"`
		Name string `json:"name"` // MagicDNS name, short or full, or ip
	}

	// proxyRequest serves an HTTP proxy into the tailnet on loopback, for the rest of the engine's life; once in it.
	proxyRequest struct {
		Type     string `json:"type"`
		ID       uint32 `json:"id"`
		Port     uint16 `json:"port"` // 0: any
		User     string `json:"user"`
		Password string `json:"password"`
	}

	// savedRequest says what became of a `save`. With a problem Node goes on trying, and says so again once it is saved.
	savedRequest struct {
		Type    string `json:"type"`
		ID      uint32 `json:"id"`
		Save    uint32 `json:"save"`
		Problem string `json:"problem"` // empty: it is saved
	}

	pingRequest struct {
		Type string `json:"type"`
		ID   uint32 `json:"id"`
	}

	// stopRequest closes everything, logs an ephemeral node out, answers, and ends the engine.
	stopRequest struct {
		Type string `json:"type"`
		ID   uint32 `json:"id"`
	}
)

// Answers and events, engine to Node.
type (
	doneMessage struct {
		Type string `json:"type"`
		ID   uint32 `json:"id"`
	}

	identityMessage struct {
		Type     string   `json:"type"`
		ID       uint32   `json:"id"`
		Identity identity `json:"identity"`
	}

	// identitiesMessage answers identifyRequest, in the order asked.
	identitiesMessage struct {
		Type       string     `json:"type"`
		ID         uint32     `json:"id"`
		Identities []identity `json:"identities"`
	}

	// addressMessage answers proxy.
	addressMessage struct {
		Type    string `json:"type"`
		ID      uint32 `json:"id"`
		Address string `json:"address"` // ip:port
	}

	failedMessage struct {
		Type    string      `json:"type"`
		ID      uint32      `json:"id"`
		Code    failureCode `json:"code"`
		Message string      `json:"message"`
	}

	// stateMessage is the whole state each time, not a difference.
	stateMessage struct {
		Type string `json:"type"`
		state
	}

	// peersMessage hints that an identity may have changed.
	peersMessage struct {
		Type string `json:"type"`
	}

	// saveMessage is one change of a state that Node keeps. Later changes of a key win.
	saveMessage struct {
		Type  string `json:"type"`
		Save  uint32 `json:"save"`
		Key   string `json:"key"`
		Value []byte `json:"value"` // null: there is none any more
	}

	logMessage struct {
		Type    string   `json:"type"`
		Level   logLevel `json:"level"`
		Message string   `json:"message"`
	}
)

type failureCode string

const (
	codeBadRequest failureCode = "BadRequest" // a bug of the caller
	codeNotStarted failureCode = "NotStarted" // `start` must come first
	codeStart      failureCode = "StartFailed"
	codeState      failureCode = "StateDamaged" // what `start` gave as state is none
	codeCredential failureCode = "NoCredential" // the node has not joined, and `start` gave nothing to join with
	codeListen     failureCode = "ListenFailed"
)

type logLevel string

const (
	logDebug logLevel = "debug"
	logInfo  logLevel = "info"
	logWarn  logLevel = "warn"
	logError logLevel = "error"
)

// identity says who is at a tailnet address; an unknown one has a refusal and nothing else.
type identity struct {
	NodeID       string              `json:"nodeId"`
	NodeKey      string              `json:"nodeKey"`
	NodeName     string              `json:"nodeName"`
	User         *identityUser       `json:"user,omitempty"` // nil for a tagged node
	Tags         []string            `json:"tags"`
	Refusal      refusal             `json:"refusal,omitempty"`
	Capabilities map[string][]string `json:"capabilities"`
}

type identityUser struct {
	ID          string `json:"id"`
	LoginName   string `json:"loginName"`
	DisplayName string `json:"displayName"`
}

// refusal says why a caller is turned away whatever its grants.
type refusal string

const (
	refusedUnknown refusal = "unknown"
	refusedFunnel  refusal = "funnel"
	refusedShared  refusal = "shared-in"
	refusedExpired refusal = "expired"
	refusedAddress refusal = "foreign-address"
	refusedRouter  refusal = "router"
)

// status is what an operator wants to know first about the node.
type status string

const (
	statusStarting   status = "Starting"
	statusNeedsLogin status = "NeedsLogin"
	statusRunning    status = "Running"
	statusFailed     status = "Failed"
)

type state struct {
	Status       status   `json:"status"`
	Ready        bool     `json:"ready"`
	AuthURL      string   `json:"authUrl,omitempty"`
	Reason       string   `json:"reason,omitempty"`
	Addresses    []string `json:"addresses"`
	DNSName      string   `json:"dnsName"`
	StableNodeID string   `json:"stableNodeId"`
	CertDomains  []string `json:"certDomains"`
	CAPEM        string   `json:"caPem,omitempty"`
	KeyExpiry    string   `json:"keyExpiry,omitempty"`
	ControlHeard string   `json:"controlHeard,omitempty"` // when the control server last said anything; a keep-alive counts
	ControlAway  string   `json:"controlAway,omitempty"`  // when contact with the control server was lost; absent: there is contact
	CertExpiry   string   `json:"certExpiry,omitempty"`   // of the certificate that TLS listeners serve
	Health       []string `json:"health"`
	Unsaved      string   `json:"unsaved,omitempty"` // why something of the node's own state is not saved
}

// preamble comes before a connection's own bytes on the unix socket: four bytes of length, big endian, then this as JSON.
type preamble struct {
	Nonce       string   `json:"nonce"`
	Listener    string   `json:"listener"`
	Source      endpoint `json:"source"`
	Destination endpoint `json:"destination"`
	TLS         bool     `json:"tls"`
	Identity    identity `json:"identity"`
}

type endpoint struct {
	Address string `json:"address"`
	Port    uint16 `json:"port"`
}
