package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// order asks for one measurement. Direct: not through the tailnet.
type order struct {
	URL        string `json:"url"`
	Token      string `json:"token"`
	Direct     bool   `json:"direct"`
	ServerName string `json:"serverName"` // for TLS
	// Encoding of answers: gzip, which kubectl asks for, and is unpacked here; identity; or nothing is said of it.
	Encoding    string `json:"encoding"`
	Concurrency int    `json:"concurrency"`
	DurationMs  int    `json:"durationMs"`
	// Watch: URL is a watch, Create is where an object is made whose event is waited for; Requests of them.
	Watch    bool   `json:"watch"`
	Create   string `json:"create"`
	Requests int    `json:"requests"`
}

type result struct {
	Requests int64   `json:"requests"`
	Bytes    int64   `json:"bytes"`
	Seconds  float64 `json:"seconds"`
	P50Ms    float64 `json:"p50Ms"`
	P99Ms    float64 `json:"p99Ms"`
	Error    string  `json:"error,omitempty"`
}

// runLoad is a caller on the tailnet: every worker keeps one connection, as client-go keeps its own.
func runLoad(s settings, stdin io.Reader) error {
	server, err := join(s)
	if err != nil {
		return err
	}
	defer server.Close()
	status, err := server.Up(context.Background())
	if err != nil {
		return err
	}
	say(map[string]string{"address": status.TailscaleIPs[0].String()})
	direct := &net.Dialer{}
	clients := map[string]*http.Client{}
	for line := range linesOf(stdin) {
		var o order
		if err := json.Unmarshal(line, &o); err != nil {
			return err
		}
		dial := server.Dial
		if o.Direct {
			dial = direct.DialContext
		}
		key := fmt.Sprint(o.Direct, o.Concurrency, o.Encoding == "gzip", hostOf(o.URL))
		client := clients[key]
		if client == nil {
			client = newClient(dial, o)
			clients[key] = client
		}
		if o.Watch {
			say(measureWatch(client, o))
		} else {
			say(measure(client, o))
		}
	}
	return nil
}

// linesOf ends the program with stdin, whatever it is doing then.
func linesOf(stdin io.Reader) <-chan []byte {
	lines := make(chan []byte)
	go func() {
		scanner := bufio.NewScanner(stdin)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			lines <- bytes.Clone(scanner.Bytes())
		}
		os.Exit(0)
	}()
	return lines
}

func hostOf(text string) string {
	request, err := http.NewRequest(http.MethodGet, text, nil)
	if err != nil {
		return text
	}
	return request.URL.Host
}

func newClient(dial func(context.Context, string, string) (net.Conn, error), o order) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:         dial,
		MaxIdleConnsPerHost: o.Concurrency,
		ReadBufferSize:      64 << 10,
		DisableCompression:  o.Encoding != "gzip",
		// What is measured has certificates of several makers; that they are right is not what is measured.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: o.ServerName},
		TLSNextProto:    map[string]func(string, *tls.Conn) http.RoundTripper{},
	}}
}

func measure(client *http.Client, o order) result {
	var requests, bytes atomic.Int64
	var failed atomic.Pointer[error]
	times := make([][]time.Duration, o.Concurrency)
	started := time.Now()
	deadline := started.Add(time.Duration(o.DurationMs) * time.Millisecond)
	var workers sync.WaitGroup
	for worker := range o.Concurrency {
		workers.Go(func() {
			for failed.Load() == nil && time.Now().Before(deadline) {
				at := time.Now()
				n, err := get(client, o)
				if err != nil {
					failed.Store(&err)
					return
				}
				times[worker] = append(times[worker], time.Since(at))
				requests.Add(1)
				bytes.Add(n)
			}
		})
	}
	workers.Wait()
	r := result{Requests: requests.Load(), Bytes: bytes.Load(), Seconds: time.Since(started).Seconds()}
	r.P50Ms, r.P99Ms = quantiles(slices.Concat(times...))
	if err := failed.Load(); err != nil {
		r.Error = (*err).Error()
	}
	return r
}

func get(client *http.Client, o order) (int64, error) {
	request, err := http.NewRequest(http.MethodGet, o.URL, nil)
	if err != nil {
		return 0, err
	}
	authorize(request, o)
	if o.Encoding == "identity" {
		request.Header.Set("Accept-Encoding", o.Encoding)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	n, err := io.Copy(io.Discard, response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answered %s", o.URL, response.Status)
	}
	return n, err
}

// measureWatch makes objects one after another, and takes the time from asking for each until its event has come.
func measureWatch(client *http.Client, o order) result {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, o.URL, nil)
	if err != nil {
		return result{Error: err.Error()}
	}
	authorize(request, o)
	response, err := client.Do(request)
	if err != nil {
		return result{Error: err.Error()}
	}
	defer response.Body.Close()
	events := make(chan string)
	go func() {
		defer close(events)
		decoder := json.NewDecoder(response.Body)
		for {
			var event struct {
				Object struct {
					Metadata struct {
						Name string `json:"name"`
					} `json:"metadata"`
				} `json:"object"`
			}
			if decoder.Decode(&event) != nil {
				return
			}
			select {
			case events <- event.Object.Metadata.Name:
			case <-ctx.Done():
				return
			}
		}
	}()
	var times []time.Duration
	started := time.Now()
	for i := range o.Requests {
		name := fmt.Sprintf("bench-%d-%d", started.UnixNano(), i)
		at := time.Now()
		if err := create(client, o, name); err != nil {
			return result{Error: err.Error()}
		}
		for seen := range events {
			if seen == name {
				break
			}
		}
		times = append(times, time.Since(at))
	}
	r := result{Requests: int64(len(times)), Seconds: time.Since(started).Seconds()}
	r.P50Ms, r.P99Ms = quantiles(times)
	return r
}

func create(client *http.Client, o order, name string) error {
	body := fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q}}`, name)
	request, err := http.NewRequest(http.MethodPost, o.Create, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	authorize(request, o)
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	if err == nil && response.StatusCode != http.StatusCreated {
		err = fmt.Errorf("%s answered %s", o.Create, response.Status)
	}
	return err
}

func authorize(request *http.Request, o order) {
	if o.Token != "" {
		request.Header.Set("Authorization", "Bearer "+o.Token)
	}
}

func quantiles(times []time.Duration) (p50, p99 float64) {
	if len(times) == 0 {
		return 0, 0
	}
	slices.Sort(times)
	ms := func(q float64) float64 {
		return float64(times[int(q*float64(len(times)-1))]) / float64(time.Millisecond)
	}
	return ms(0.5), ms(0.99)
}
