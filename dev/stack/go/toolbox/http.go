package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
)

// serve [ADDRESS] answers each request with what it was, as JSON, and logs a line; by default on port 8080.
func serve(args []string) error {
	address := ":8080"
	if len(args) > 0 {
		address = args[0]
	}
	hostname, err := os.Hostname()
	if err != nil {
		return err
	}
	log.SetFlags(0)
	log.SetOutput(os.Stdout)
	log.Printf("listening on %s", address)
	return http.ListenAndServe(address, http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return
		}
		log.Printf("%s %s", request.Method, request.URL)
		response.Header().Set("content-type", "application/json")
		_ = json.NewEncoder(response).Encode(map[string]any{
			"hostname": hostname,
			"method":   request.Method,
			"url":      request.URL.String(),
			"headers":  request.Header,
			"body":     string(body),
		})
	}))
}

// get URL writes the answer's body; a status of 400 and more is an error.
func get(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: get URL")
	}
	response, err := http.Get(args[0])
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(os.Stdout, response.Body); err != nil {
		return err
	}
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s: %s", args[0], response.Status)
	}
	return nil
}
