// Command protodeps prints the .proto files that the project's own protos
// import into a folder that buf reads as a module of its own.
//
// buf fetches such files from its schema registry by default. Their compiled
// descriptors already travel inside Go modules, so printing those needs no
// network beyond the module proxy, and the versions are the ones in go.mod.
//
//	go run ./internal/protodeps .protodeps
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/jhump/protoreflect/v2/protoprint"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	// Linked for the descriptors that they register.
	_ "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	_ "google.golang.org/genproto/googleapis/api/annotations"
	_ "google.golang.org/genproto/googleapis/api/httpbody"
	_ "google.golang.org/genproto/googleapis/rpc/errdetails"
	_ "google.golang.org/genproto/googleapis/rpc/status"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: protodeps DIR")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "protodeps:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	printer := protoprint.Printer{}
	var firstErr error
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		// buf carries the well-known types itself.
		if strings.HasPrefix(file.Path(), "google/protobuf/") {
			return true
		}
		firstErr = write(&printer, filepath.Join(dir, filepath.FromSlash(file.Path())), file)
		return firstErr == nil
	})
	return firstErr
}

func write(printer *protoprint.Printer, path string, file protoreflect.FileDescriptor) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := printer.PrintProtoFile(file, out); err != nil {
		out.Close()
		return fmt.Errorf("%s: %w", file.Path(), err)
	}
	return out.Close()
}
