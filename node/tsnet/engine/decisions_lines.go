package main

// The decision channel's messages as lines, and back: JSON, and fields for what each request needs.

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const separator = "\x1f"

// decodeDecision returns one of the types that Node sends; line may end in a newline.
func decodeDecision(line []byte) (any, error) {
	if len(line) == 0 || line[0] != '{' {
		return decodeForward(strings.TrimSuffix(string(line), "\n"))
	}
	var head struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(line, &head); err != nil {
		return nil, errors.New("not a JSON message")
	}
	var message any
	switch head.Type {
	case "settings":
		message = &settingsMessage{}
	case "answer":
		message = &answerMessage{}
	case "location":
		message = &locationMessage{}
	case "read":
		message = &readMessage{}
	case "record":
		message = &recordMessage{}
	case "cut":
		message = &cutMessage{}
	case "hangUp":
		message = &hangUpMessage{}
	case "forget":
		message = &forgetMessage{}
	case "drain":
		message = &drainMessage{}
	default:
		return nil, fmt.Errorf("unknown message type %.40q", head.Type)
	}
	if err := json.Unmarshal(line, message); err != nil {
		return nil, fmt.Errorf("malformed %s message", head.Type) // the parser's own text could quote a secret
	}
	return message, nil
}

func decodeForward(line string) (*forwardMessage, error) {
	fields := strings.Split(line, separator)
	if fields[0] != "forward" || len(fields) < 8 {
		return nil, errors.New("a line that is no message")
	}
	request, err := strconv.ParseUint(fields[1], 10, 32)
	added, badCount := strconv.Atoi(fields[7])
	lists := fields[8:]
	if err != nil || badCount != nil || !isFlag(fields[2]) || !isFlag(fields[3]) || !isFlag(fields[4]) ||
		added < 0 || added > len(lists) || added%2 != 0 || len(lists)%2 != 0 {
		return nil, errors.New("malformed forward message")
	}
	return &forwardMessage{
		Request: uint32(request), TellBegun: fields[2] == "1", Close: fields[3] == "1", WithCookies: fields[4] == "1",
		Path: fields[5], Pool: fields[6], Added: lists[:added:added], Headers: lists[added:],
	}, nil
}

func isFlag(text string) bool { return text == "0" || text == "1" }

// encodeDecision appends a message for Node to lines.
func encodeDecision(lines []byte, message any) ([]byte, error) {
	switch m := message.(type) {
	case askMessage:
		return appendAsk(lines, m)
	case endedMessage:
		return fmt.Appendf(lines, "ended\x1f%d\x1f%d\x1f%d\x1f%d\n", m.Request, m.Status, m.SentBytes, m.ReceivedBytes), nil
	}
	line, err := encodeLine(message)
	return append(lines, line...), err
}

func appendAsk(lines []byte, m askMessage) ([]byte, error) {
	hasBody := "0"
	if m.HasBody {
		hasBody = "1"
	}
	lines = append(lines, "ask"+separator...)
	lines = strconv.AppendUint(lines, uint64(m.Connection), 10)
	lines = append(lines, separator...)
	lines = strconv.AppendUint(lines, uint64(m.Request), 10)
	for _, fields := range [][]string{{hasBody, m.Version, m.Method, m.Target}, m.Headers} {
		if slices.ContainsFunc(fields, func(field string) bool { return !isWritable(field) }) {
			return nil, errors.New("a field with a control character")
		}
		for _, field := range fields {
			lines = append(lines, separator...)
			lines = append(lines, field...)
		}
	}
	return append(lines, '\n'), nil
}
