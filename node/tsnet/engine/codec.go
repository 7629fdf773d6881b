package main

// Lines to requests and messages to lines, for the control pipe; the messages themselves are in protocol.go.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// decodeRequest returns one of the request types. A line that is no request in every field is an error, and the id is
// returned where it could be read, so that the caller can be told.
func decodeRequest(line []byte) (request any, id uint32, err error) {
	var head struct {
		Type string `json:"type"`
		ID   uint32 `json:"id"`
	}
	if err := json.Unmarshal(line, &head); err != nil {
		return nil, 0, errors.New("not a JSON message") // the parser's own text could quote a secret
	}
	switch head.Type {
	case "hello":
		request = &helloMessage{}
	case "start":
		request = &startRequest{}
	case "listen":
		request = &listenRequest{}
	case "unlisten":
		request = &unlistenRequest{}
	case "whoIs":
		request = &whoIsRequest{}
	case "identify":
		request = &identifyRequest{}
	case "findPeer":
		request = &findPeerRequest{}
	case "proxy":
		request = &proxyRequest{}
	case "saved":
		request = &savedRequest{}
	case "ping":
		request = &pingRequest{}
	case "stop":
		request = &stopRequest{}
	default:
		return nil, head.ID, fmt.Errorf("unknown message type %.40q", head.Type)
	}
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(request); err != nil {
		return nil, head.ID, fmt.Errorf("malformed %s message", head.Type)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, head.ID, fmt.Errorf("more than one value in a %s message", head.Type)
	}
	return request, head.ID, nil
}

// encodeLine returns message as a line. Grants keep their text: `<` stays `<`.
func encodeLine(message any) ([]byte, error) {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(message); err != nil {
		return nil, err
	}
	return line.Bytes(), nil
}
