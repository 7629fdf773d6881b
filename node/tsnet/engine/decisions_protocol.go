package main

// The decision channel's messages, twin of ../decisions-protocol.ts: change both together, and protocolVersion with any
// change that the other side would misread.
//
// A connection to the same unix socket as callers' connections come by, one for each listener that was opened with
// `decide`; its preamble has `decisions`. After that, one message a line each way, UTF-8, at most maxLine bytes: a JSON
// object with a `type`, but for the three that each request needs, `ask`, `forward` and `ended`: those are fields with U+001F
// between them, the name first, flags as 0 or 1, in the order in which they are here, lists last. Node begins with
// `settings`. The engine tells of each caller's connection (`opened`, at last `closed`), and asks
// for each request on it (`ask`, numbered over all connections). Node answers each question once: `forward`, or
// `answer`, with one of its own; it may `read` the `body` first. A decision is good for that one request. Each question has an end
// (`ended`), always; before it
// come at most one each of `begun` (if wanted), `unrecorded`, `failed` and `moved`, of which Node answers the last two with
// `answer` and `location`. An upgrade is forwarded like any other request; Node may want it recorded (`record`, before `forward`). Node
// may `cut` what it has let forward, `hangUp` on a caller, `forget` a pool, and `drain`. What names a request or connection that
// has ended meanwhile is ignored. The end of the channel ends every connection that it was asked for: nothing is forwarded that
// Node cannot stop. The credentials in `ask` and `forward` are kept by neither side for longer than the request.

// Engine to Node.
type (
	// decisionsPreamble is framed as a connection's preamble is.
	decisionsPreamble struct {
		Nonce     string `json:"nonce"`
		Listener  string `json:"listener"`
		Decisions bool   `json:"decisions"` // true
	}

	openedMessage struct {
		Type        string   `json:"type"`
		Connection  uint32   `json:"connection"`
		Source      endpoint `json:"source"`
		Destination endpoint `json:"destination"`
		TLS         bool     `json:"tls"`
		Identity    identity `json:"identity"`
	}

	closedMessage struct {
		Type       string `json:"type"`
		Connection uint32 `json:"connection"`
	}

	askMessage struct {
		Connection uint32
		Request    uint32
		HasBody    bool
		Version    string // of HTTP: 1.1
		Method     string
		Target     string
		Headers    []string // name, value, name, value; as sent
	}

	// begunMessage: the answer's head is there.
	begunMessage struct {
		Type    string `json:"type"`
		Request uint32 `json:"request"`
		Status  int    `json:"status"`
	}

	// failedMessage: there is no answer to be had. Sent: the server may have acted on the request. Invalid: what it answered
	// is not valid HTTP.
	forwardFailedMessage struct {
		Type    string `json:"type"`
		Request uint32 `json:"request"`
		Sent    bool   `json:"sent"`
		Invalid bool   `json:"invalid"`
		Reason  string `json:"reason"` // for the log
	}

	// movedMessage: the answer has a Location, which is Node's to write.
	movedMessage struct {
		Type     string `json:"type"`
		Request  uint32 `json:"request"`
		Location string `json:"location"`
	}

	// bodyMessage answers `read`, with nothing for a body that is longer.
	bodyMessage struct {
		Type    string `json:"type"`
		Request uint32 `json:"request"`
		Body    []byte `json:"body"` // base64; null: longer
	}

	// unrecordedMessage: a recording has failed. One that is required waits for a cut.
	unrecordedMessage struct {
		Type    string      `json:"type"`
		Request uint32      `json:"request"`
		Failure failureKind `json:"failure"`
		Reason  string      `json:"reason"` // for the log
	}

	// endedMessage: Status is 0 where the caller had gone before there was an answer. Bytes are of bodies.
	endedMessage struct {
		Request       uint32
		Status        int
		SentBytes     int64 // by the caller
		ReceivedBytes int64 // by the caller
	}
)

// Node to engine.
type (
	// settingsMessage is the same for every request of the listener.
	settingsMessage struct {
		Match              requestMatch `json:"match"`  // which requests are asked about; any other is handed over
		Server             string       `json:"server"` // scheme, host and port
		CAPEM              string       `json:"caPem"`  // empty: the system's roots
		ServerName         string       `json:"serverName"`
		InsecureSkipVerify bool         `json:"insecureSkipVerify"`
		Withheld           []string     `json:"withheld"`         // headers of answers that do not come back, lower case
		WithheldPrefixes   []string     `json:"withheldPrefixes"` // the same, by how they begin
		Added              []string     `json:"added"`            // to each answer: name, value, name, value
	}

	// requestMatch: a path that is one of Paths or below one, as written, and neither one of ExceptPaths nor below one; or any
	// path, where a bearer token begins with BearerPrefix.
	requestMatch struct {
		Paths        []string `json:"paths"`
		ExceptPaths  []string `json:"exceptPaths"`
		BearerPrefix string   `json:"bearerPrefix"`
	}

	forwardMessage struct {
		Request     uint32
		TellBegun   bool
		Close       bool // the answer is the last on the caller's connection
		WithCookies bool // Set-Cookie comes back, although withheld
		Path        string
		Pool        string   // requests of different pools never share a connection
		Added       []string // to the answer, after those of the settings; in the line: how many fields, then they
		Headers     []string // all that the server gets, but Host and the body's length
	}

	// answerMessage has a whole answer, head and body.
	answerMessage struct {
		Request uint32 `json:"request"`
		Status  int    `json:"status"`
		Answer  string `json:"answer"`
		Close   bool   `json:"close"`
	}

	locationMessage struct {
		Request  uint32 `json:"request"`
		Location string `json:"location"` // empty: none
	}

	// readMessage asks for the body before anything is decided; it is forwarded as it was read.
	readMessage struct {
		Request uint32 `json:"request"`
		Most    int64  `json:"most"` // bytes
	}

	// recordMessage comes before the `forward` of an upgrade: what the caller's terminal shows is appended to the file at Path, in
	// asciicast v2. Required: the stream must not continue without it.
	recordMessage struct {
		Request  uint32 `json:"request"`
		Path     string `json:"path"`
		MaxBytes int64  `json:"maxBytes"` // to append
		Required bool   `json:"required"`
	}

	// cutMessage ends both sides. The answer is for a request that has none yet; the last word for one whose answer is
	// under way, without a length, in JSON lines, between two of them: then it ends in order, with that line. Without `inOrder`, and
	// in any other case, it must be seen to be cut. On an upgraded connection the last word is the Status for its error stream, and the
	// reason is for a websocket's close frame.
	cutMessage struct {
		Request  uint32 `json:"request"`
		Status   int    `json:"status"`
		Answer   string `json:"answer"`
		InOrder  bool   `json:"inOrder"`
		LastWord string `json:"lastWord"`
		Reason   string `json:"reason"`
	}

	hangUpMessage struct {
		Connection uint32 `json:"connection"`
	}

	forgetMessage struct {
		Pool string `json:"pool"`
	}

	// drainMessage: each connection ends after the answer it owes.
	drainMessage struct{}
)
