package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"

	"go.uber.org/zap"
	"k8s.io/client-go/tools/clientcmd"
	apiproxy "tailscale.com/k8s-operator/api-proxy"
	"tailscale.com/kube/kubetypes"
)

// runPeer runs Tailscale's own proxy as its operator does: TLS on 443, WhoIs and impersonation for each request. The one thing
// that is not its own is the certificate, because the control server here issues none.
func runPeer(s settings, stdin io.Reader) error {
	server, err := join(s)
	if err != nil {
		return err
	}
	defer server.Close()
	client, err := server.LocalClient()
	if err != nil {
		return err
	}
	certificate, key, err := selfSigned(s.Hostname)
	if err != nil {
		return err
	}
	// What the certificate call of the local API answers: one after the other.
	pair := append(key, certificate...)
	// Before the client's first use, which settles what it sends through.
	base := &http.Transport{DialContext: client.Dial}
	client.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		if !strings.HasPrefix(r.URL.Path, "/localapi/v0/cert/") {
			return base.RoundTrip(r)
		}
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(pair)), Request: r}, nil
	})
	status, err := server.Up(context.Background())
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", s.Kubeconfig)
	if err != nil {
		return err
	}
	proxy, err := apiproxy.NewAPIServerProxy(zap.NewNop().Sugar(), config, server, kubetypes.APIServerProxyModeAuth, true)
	if err != nil {
		return err
	}
	go func() { fail(proxy.Run(context.Background())) }()
	say(map[string]string{"address": status.TailscaleIPs[0].String()})
	return untilEnd(stdin)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
