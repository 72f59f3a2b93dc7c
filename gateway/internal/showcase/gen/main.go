// Command gen writes the grpc-gateway handlers of the Compliance service, from
// the descriptors that its generated code carries. It runs in the folder of the
// module:
//
//	go generate .
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/googleapis/gapic-showcase/server/genproto"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run() error {
	const parameter = "standalone=true,paths=source_relative,request_context=true"
	request := &pluginpb.CodeGeneratorRequest{
		FileToGenerate: []string{genproto.File_google_showcase_v1beta1_compliance_proto.Path()},
		Parameter:      proto.String(parameter),
		ProtoFile:      withImports(genproto.File_google_showcase_v1beta1_compliance_proto, map[string]bool{}),
	}
	input, err := proto.Marshal(request)
	if err != nil {
		return err
	}
	// #nosec G204: a fixed command
	plugin := exec.Command("go", "tool", "-modfile=tools.mod", "protoc-gen-grpc-gateway")
	plugin.Dir = "../../.."
	plugin.Stdin, plugin.Stderr = bytes.NewReader(input), os.Stderr
	output, err := plugin.Output()
	if err != nil {
		return err
	}
	response := &pluginpb.CodeGeneratorResponse{}
	if err := proto.Unmarshal(output, response); err != nil {
		return err
	}
	if response.Error != nil {
		return errors.New(response.GetError())
	}
	for _, file := range response.GetFile() {
		name := filepath.Join("genproto", filepath.Base(file.GetName()))
		if err := os.WriteFile(name, []byte(file.GetContent()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// withImports returns a file behind all that it imports.
func withImports(file protoreflect.FileDescriptor, seen map[string]bool) []*descriptorpb.FileDescriptorProto {
	if seen[file.Path()] {
		return nil
	}
	seen[file.Path()] = true
	var all []*descriptorpb.FileDescriptorProto
	imports := file.Imports()
	for i := range imports.Len() {
		all = append(all, withImports(imports.Get(i).FileDescriptor, seen)...)
	}
	return append(all, protodesc.ToFileDescriptorProto(file))
}
