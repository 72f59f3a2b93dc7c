package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/internal/leaktest"
)

func TestTheExampleAnswersFromBothServersAndEnds(t *testing.T) {
	leaktest.Check(t)
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, "127.0.0.1:0", writer)
		writer.Close()
	}()
	line, err := bufio.NewReader(reader).ReadString('\n')
	if err != nil {
		t.Fatal(err, <-ended)
	}
	url := strings.Fields(line)[1]

	seen := map[string]int{}
	for range 200 {
		answer, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		var hello struct{ Greeting, Server string }
		err = json.NewDecoder(answer.Body).Decode(&hello)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK || hello.Greeting != "Hello, you!" {
			t.Fatal(answer.Status, hello, err)
		}
		seen[hello.Server]++
	}
	if len(seen) != 2 {
		t.Errorf("answers came from %v, want both servers", seen)
	}
	http.DefaultClient.CloseIdleConnections()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
