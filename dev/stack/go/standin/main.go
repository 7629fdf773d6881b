// Standin takes a kubelet's place where no containers can run: what the API server asks of a kubelet for exec, attach,
// port-forward and logs, with the code that serves these streams in a real one.
//
// There are no containers behind it. A command is a script of a shell that knows a few tools and starts no process, reads
// and writes no file (shell.go); each pod serves HTTP on port 8080 (serve.go) and logs a line every 50 ms. Only the API
// server's client certificate opens it. It ends when it is killed.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

const (
	idle     = 4 * time.Hour
	creation = remotecommand.DefaultStreamCreationTimeout
)

func main() {
	listen := flag.String("listen", "127.0.0.1:10250", "address")
	cert := flag.String("cert", "", "PEM file")
	key := flag.String("key", "", "PEM file")
	clientCA := flag.String("client-ca", "", "PEM file")
	flag.Parse()
	if err := serveKubelet(*listen, *cert, *key, *clientCA); err != nil {
		log.Fatal(err)
	}
}

func serveKubelet(listen, cert, key, clientCA string) error {
	pem, err := os.ReadFile(clientCA)
	if err != nil {
		return err
	}
	clients := x509.NewCertPool()
	if !clients.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s holds no certificate", clientCA)
	}
	serving, err := servePods()
	if err != nil {
		return err
	}
	server := http.Server{
		Addr:    listen,
		Handler: kubelet(serving),
		TLSConfig: &tls.Config{
			ClientAuth: tls.RequireAndVerifyClientCert,
			ClientCAs:  clients,
			// SPDY takes a connection over, which HTTP/2 has no way to.
			NextProtos: []string{"http/1.1"},
		},
	}
	return server.ListenAndServeTLS(cert, key)
}

func kubelet(serving pods) http.Handler {
	containers := streams{serving}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(response http.ResponseWriter, _ *http.Request) { fmt.Fprint(response, "ok") })
	mux.HandleFunc("/exec/{namespace}/{pod}/{container}", containers.serveExec)
	mux.HandleFunc("/attach/{namespace}/{pod}/{container}", containers.serveAttach)
	mux.HandleFunc("/portForward/{namespace}/{pod}", containers.servePortForward)
	mux.HandleFunc("/containerLogs/{namespace}/{pod}/{container}", serveLogs)
	return mux
}

func (s streams) serveExec(response http.ResponseWriter, request *http.Request) {
	options, err := remotecommand.NewOptions(request)
	if err != nil {
		http.Error(response, err.Error(), http.StatusBadRequest)
		return
	}
	remotecommand.ServeExec(response, request, s, request.PathValue("pod"), "", request.PathValue("container"),
		request.Form["command"], options, idle, creation, remotecommand.SupportedStreamingProtocols)
}

func (s streams) serveAttach(response http.ResponseWriter, request *http.Request) {
	options, err := remotecommand.NewOptions(request)
	if err != nil {
		http.Error(response, err.Error(), http.StatusBadRequest)
		return
	}
	remotecommand.ServeAttach(response, request, s, request.PathValue("pod"), "", request.PathValue("container"),
		options, idle, creation, remotecommand.SupportedStreamingProtocols)
}

func (s streams) servePortForward(response http.ResponseWriter, request *http.Request) {
	portforward.ServePortForward(response, request, s, request.PathValue("pod"), "",
		&portforward.V4Options{}, idle, creation, portforward.SupportedProtocols)
}

// serveLogs writes three lines, and with follow=true all those that come after them.
func serveLogs(response http.ResponseWriter, request *http.Request) {
	response.Header().Set("content-type", "text/plain")
	flusher, _ := response.(http.Flusher)
	for line := 1; request.FormValue("follow") == "true" || line <= 3; line++ {
		if _, err := fmt.Fprintf(response, "tick %d\n", line); err != nil || request.Context().Err() != nil {
			return
		}
		if flusher != nil {
			flusher.Flush()
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// streams are the containers that there are not.
type streams struct{ pods }

func (streams) ExecInContainer(ctx context.Context, _, _, _ string, command []string, in io.Reader, out, problems io.WriteCloser,
	_ bool, _ <-chan remotecommand.TerminalSize, _ time.Duration) error {
	return runCommand(ctx, command, stdio{in, out, problems})
}

// AttachContainer leads to a process that gives back what it is told.
func (streams) AttachContainer(ctx context.Context, _, _, _ string, in io.Reader, out, problems io.WriteCloser,
	_ bool, _ <-chan remotecommand.TerminalSize) error {
	return runCommand(ctx, []string{"cat"}, stdio{in, out, problems})
}

func (s streams) PortForward(_ context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	if port != 8080 {
		return errors.New("connection refused on port " + strconv.Itoa(int(port)))
	}
	return s.serve(stream)
}
