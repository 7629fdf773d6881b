package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"

	"tailscale.com/client/local"
)

// runReverse is what anybody would write in an afternoon: tsnet, TLS, WhoIs for each request, httputil.ReverseProxy.
func runReverse(s settings, stdin io.Reader) error {
	server, err := join(s)
	if err != nil {
		return err
	}
	defer server.Close()
	client, err := server.LocalClient()
	if err != nil {
		return err
	}
	status, err := server.Up(context.Background())
	if err != nil {
		return err
	}
	target, err := url.Parse(s.Server)
	if err != nil {
		return err
	}
	transport, err := upstreamTransport(s.CAFile)
	if err != nil {
		return err
	}
	proxy := &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Set("Authorization", "Bearer "+s.Token)
		},
	}
	handler := identified(client, s.Caller, proxy)
	if err := serveTLS(server.Listen, s, handler); err != nil {
		return err
	}
	say(map[string]string{"address": status.TailscaleIPs[0].String()})
	return untilEnd(stdin)
}

// runStatic answers from memory: what the hand-off from the engine costs, without an API server.
func runStatic(s settings, stdin io.Reader) error {
	server, err := join(s)
	if err != nil {
		return err
	}
	defer server.Close()
	status, err := server.Up(context.Background())
	if err != nil {
		return err
	}
	small, large := []byte(strings.Repeat("x", 600)), []byte(strings.Repeat("x", 2_700_000))
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/large" {
			_, _ = w.Write(large)
			return
		}
		_, _ = w.Write(small)
	})
	if err := serveTLS(server.Listen, s, handler); err != nil {
		return err
	}
	say(map[string]string{"address": status.TailscaleIPs[0].String()})
	return untilEnd(stdin)
}

func identified(client *local.Client, caller string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := client.WhoIs(r.Context(), r.RemoteAddr)
		if err != nil || who.UserProfile.LoginName != caller {
			http.Error(w, "forbidden", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func upstreamTransport(caFile string) (*http.Transport, error) {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	transport.MaxIdleConnsPerHost = 64
	// Over one HTTP/2 connection it was slower.
	transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	return transport, nil
}
