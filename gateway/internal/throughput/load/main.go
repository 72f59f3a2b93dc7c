// Command load applies the loads that it is told on its input.
package main

import (
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"

	"github.com/evenkeel/evenkeel/gateway/internal/throughput/child"
	"github.com/evenkeel/evenkeel/gateway/internal/throughput/loader"
)

func main() {
	if err := run(); err != nil {
		log.Fatal("load: ", err)
	}
}

func run() error {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	if err := out.Encode(child.Hello{}); err != nil {
		return err
	}
	for {
		var task loader.Task
		if err := in.Decode(&task); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var failed error
		tell := func(what string) func() {
			return func() { failed = errors.Join(failed, out.Encode(loader.Event{Now: what})) }
		}
		result := loader.Run(task, tell(loader.Started), tell(loader.Ended))
		if err := errors.Join(failed, out.Encode(result)); err != nil {
			return err
		}
	}
}
