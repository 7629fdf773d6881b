package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// throughProxy is a proxy that dials `inside` by that name, everything else by the system, and the URL to use it with.
func throughProxy(t *testing.T, inside string) *url.URL {
	t.Helper()
	var dialer net.Dialer
	p, err := serveProxy(0, "user", "pass", func(ctx context.Context, network, address string) (net.Conn, error) {
		if host, _, _ := net.SplitHostPort(address); host == "inside" {
			address = inside
		}
		return dialer.DialContext(ctx, network, address)
	}, func(logLevel, string) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	return &url.URL{Scheme: "http", Host: p.address(), User: url.UserPassword("user", "pass")}
}

func echoSite(t *testing.T) *httptest.Server {
	t.Helper()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s auth=%q forwarded=%q body=%q", r.Method, r.Host, r.URL.RequestURI(),
			r.Header.Get("Proxy-Authorization"), r.Header.Get("X-Forwarded-For"), body)
	}))
	t.Cleanup(site.Close)
	return site
}

func clientOf(t *testing.T, proxy *url.URL) *http.Client {
	transport := &http.Transport{Proxy: http.ProxyURL(proxy)}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

func fetch(t *testing.T, client *http.Client, request *http.Request) (int, string) {
	t.Helper()
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestPlainHTTPIsForwardedAsAsked(t *testing.T) {
	site := echoSite(t)
	client := clientOf(t, throughProxy(t, site.Listener.Addr().String()))
	request, _ := http.NewRequest("POST", "http://inside/a%2Fb?c=d", strings.NewReader("text"))
	request.Header.Set("X-Forwarded-For", "mine")
	code, body := fetch(t, client, request)
	if want := `POST inside /a%2Fb?c=d auth="" forwarded="mine" body="text"`; code != 200 || body != want {
		t.Errorf("%d %s, want %s", code, body, want)
	}
}

func TestATunnelCarriesTLSUntouched(t *testing.T) {
	site := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host) }))
	t.Cleanup(site.Close)
	client := clientOf(t, throughProxy(t, site.Listener.Addr().String()))
	client.Transport.(*http.Transport).TLSClientConfig = site.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	client.Transport.(*http.Transport).TLSClientConfig.ServerName = "example.com" // what the test certificate is for
	request, _ := http.NewRequest("GET", "https://inside/", nil)
	if code, body := fetch(t, client, request); code != 200 || body != "inside" {
		t.Errorf("%d %s", code, body)
	}
}

// ask sends raw bytes and returns the answer and the connection's rest.
func ask(t *testing.T, proxy *url.URL, request string) (*http.Response, *bufio.Reader, net.Conn) {
	t.Helper()
	connection, err := net.Dial("tcp", proxy.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	_ = connection.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(connection, request); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(connection)
	response, err := http.ReadResponse(reader, &http.Request{Method: strings.SplitN(request, " ", 2)[0]})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response, reader, connection
}

const rightPassword = "Proxy-Authorization: Basic dXNlcjpwYXNz\r\n" // user:pass

func TestWhatAClientSaysBeforeTheTunnelStandsArrives(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		defer connection.Close()
		text, _ := io.ReadAll(connection)
		fmt.Fprintf(connection, "heard %s", text)
	}()
	response, rest, connection := ask(t, throughProxy(t, listener.Addr().String()),
		"CONNECT inside:1 HTTP/1.1\r\nHost: inside:1\r\n"+rightPassword+"\r\nearly ")
	if response.StatusCode != 200 {
		t.Fatal(response.Status)
	}
	_, _ = io.WriteString(connection, "and late")
	_ = connection.(*net.TCPConn).CloseWrite() // half-close travels through
	if got, err := io.ReadAll(rest); err != nil || string(got) != "heard early and late" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestTheProxyRefuses(t *testing.T) {
	site := echoSite(t)
	for _, test := range []struct {
		name, request string
		code          int
	}{
		{"a tunnel without the password", "CONNECT inside:80 HTTP/1.1\r\nHost: inside:80\r\n\r\n", 407},
		{"a wrong password", "GET http://inside/ HTTP/1.1\r\nHost: inside\r\nProxy-Authorization: Basic dXNlcjp3cm9uZw==\r\n\r\n", 407},
		{"a password for the site", "GET http://inside/ HTTP/1.1\r\nHost: inside\r\nAuthorization: Basic dXNlcjpwYXNz\r\n\r\n", 407},
		{"a request to itself", "GET / HTTP/1.1\r\nHost: inside\r\n" + rightPassword + "\r\n", 400},
		{"https in absolute form", "GET https://inside/ HTTP/1.1\r\nHost: inside\r\n" + rightPassword + "\r\n", 400},
		{"a tunnel to no port", "CONNECT inside HTTP/1.1\r\nHost: inside\r\n" + rightPassword + "\r\n", 400},
		{"a tunnel to where nobody listens", "CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n" + rightPassword + "\r\n", 502},
		{"a site where nobody listens", "GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: 127.0.0.1:1\r\n" + rightPassword + "\r\n", 502},
	} {
		t.Run(test.name, func(t *testing.T) {
			response, _, _ := ask(t, throughProxy(t, site.Listener.Addr().String()), test.request)
			body, _ := io.ReadAll(response.Body)
			if response.StatusCode != test.code {
				t.Errorf("%s %s", response.Status, body)
			}
			if test.code == 407 && response.Header.Get("Proxy-Authenticate") == "" {
				t.Error("no Proxy-Authenticate")
			}
			if test.code == 502 && !strings.Contains(string(body), "cannot reach 127.0.0.1:1") {
				t.Errorf("says %q", body)
			}
		})
	}
}

func TestAProxyThatClosesEndsItsTunnels(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	p, err := serveProxy(0, "user", "pass", (&net.Dialer{}).DialContext, func(logLevel, string) {})
	if err != nil {
		t.Fatal(err)
	}
	target := listener.Addr().String()
	_, rest, _ := ask(t, &url.URL{Host: p.address()}, "CONNECT "+target+" HTTP/1.1\r\nHost: "+target+"\r\n"+rightPassword+"\r\n")
	p.close()
	if _, err := rest.ReadByte(); err == nil || isTimeout(err) {
		t.Errorf("the tunnel goes on: %v", err)
	}
	if _, err := net.Dial("tcp", p.address()); err == nil {
		t.Error("still listens")
	}
}

func TestAProxyNeedsAPassword(t *testing.T) {
	for _, credentials := range [][2]string{{"", "p"}, {"u", ""}, {"u:v", "p"}} {
		if p, err := serveProxy(0, credentials[0], credentials[1], nil, nil); err == nil {
			p.close()
			t.Errorf("%q is enough", credentials)
		}
	}
}

func TestTheTailnetThroughTheProxy(t *testing.T) {
	control := startControl(t, nil)
	c, _ := startEngine(t, control.HTTPTestServer.URL, "")
	c.hear(isState(isReady))
	peer, known := startPeer(t, control.HTTPTestServer.URL, "site")
	listener, err := peer.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	inside := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "inside, asked as %s", r.Host) })}
	t.Cleanup(func() { inside.Close() })
	go func() { _ = inside.Serve(listener) }()
	outside := echoSite(t)

	c.say(`{"type":"proxy","id":2,"port":0,"user":"user","password":"pass"}`)
	answer := c.answer(2)
	address, _ := answer["address"].(string)
	if answer["type"] != "address" || address == "" {
		t.Fatal(answer)
	}
	client := clientOf(t, &url.URL{Scheme: "http", Host: address, User: url.UserPassword("user", "pass")})
	// The peer is news to the engine; and names are the client's to resolve.
	until(t, func() bool { return c.service.running().findPeer(t.Context(), "site").NodeID == string(known.StableID) })
	ip4, _ := peer.TailscaleIPs()
	for _, test := range []struct{ url, want string }{
		{"http://site/", "inside, asked as site"},
		{"http://site.tail.test/", "inside, asked as site.tail.test"},
		{"http://" + ip4.String() + "/", "inside, asked as " + ip4.String()},
		{outside.URL + "/", "GET " + outside.Listener.Addr().String() + " /"},
	} {
		request, _ := http.NewRequest("GET", test.url, nil)
		if code, body := fetch(t, client, request); code != 200 || !strings.HasPrefix(body, test.want) {
			t.Errorf("%s: %d %s", test.url, code, body)
		}
	}

	for name, want := range map[string]string{
		"SITE": string(known.StableID), "site.tail.test.": string(known.StableID), ip4.String(): string(known.StableID),
		"tka": "", "site.tail": "", "": "", "site.elsewhere.test": "", "192.0.2.1": "",
	} {
		if who := c.service.running().findPeer(t.Context(), name); who.NodeID != want {
			t.Errorf("%q is %+v", name, who)
		}
	}

	c.say(`{"type":"proxy","id":3,"port":0,"user":"user","password":"pass"}`)
	if got := c.answer(3); got["code"] != "ListenFailed" {
		t.Errorf("a second proxy: %v", got)
	}
	c.service.close(0)
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("the proxy outlives the node")
	}
}

func until(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("does not come true")
		}
	}
}
