// Command evenkeel shows what Evenkeel does.
//
//	evenkeel compare     compares balancing policies on real processes
//	evenkeel mesh        runs a mesh of services on this machine
//	evenkeel mesh kill   and others act on it
//	evenkeel sim         simulates balancing policies and compares them
//	evenkeel version     says what this is
//
// It exits with 0, with 1 when something failed, with 2 when the command line is
// wrong, and with 130 when an interrupt ended it early.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/evenkeel/evenkeel/examples/mesh"
	"github.com/evenkeel/evenkeel/internal/compare/comparecmd"
	"github.com/evenkeel/evenkeel/internal/interrupt"
	"github.com/evenkeel/evenkeel/internal/sim/simcmd"
)

type commands struct {
	Compare comparecmd.Command `cmd:"" help:"Compare balancing policies, ours and grpc-go's, on real processes."`
	Mesh    mesh.Command       `cmd:"" help:"Run a mesh of gRPC services on this machine, or act on a running one."`
	Sim     simcmd.Command     `cmd:"" help:"Simulate balancing policies, ours and others, and compare them."`
	Version versionCommand     `cmd:"" help:"Print the version."`

	// What the processes that the commands start run.
	CompareBackend comparecmd.BackendCommand `cmd:"" hidden:""`
	MeshReplica    mesh.ReplicaCommand       `cmd:"" hidden:""`
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	var all commands
	exited := -1
	parser := kong.Must(&all,
		kong.Name("evenkeel"),
		kong.Description("Evenkeel balances gRPC calls on the client's side and serves gRPC as REST."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exited = code; panic(exit{}) }),
		kong.Help(help),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parse(parser, args)
	if exited >= 0 {
		return exited // --help
	}
	if err != nil {
		err = &mesh.UsageError{Err: explain(err)}
	} else {
		err = command.Run()
	}
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "evenkeel: %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
	if errors.As(err, new(*mesh.UsageError)) {
		return 2
	}
	if errors.Is(err, interrupt.Err) {
		return 130
	}
	return 1
}

// exit unwinds from --help, in which kong otherwise goes on to parse.
type exit struct{}

func parse(parser *kong.Kong, args []string) (c *kong.Context, err error) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(exit); !ok {
				panic(r)
			}
		}
	}()
	return parser.Parse(args)
}

// explain adds what is allowed to an error about a command that does not exist.
func explain(err error) error {
	var parse *kong.ParseError
	if !errors.As(err, &parse) || !strings.HasPrefix(err.Error(), "unexpected argument") {
		return err
	}
	node := parse.Context.Model.Node
	for _, p := range parse.Context.Path {
		if p.Command != nil && p.Command.Parent != nil && p.Command != p.Command.Parent.DefaultCmd {
			node = p.Command
		}
	}
	var names []string
	for _, child := range node.Children {
		if !child.Hidden {
			names = append(names, child.Name)
		}
	}
	if len(names) == 0 {
		return err
	}
	return fmt.Errorf("%w: the commands of %s are %s", err, node.FullPath(), strings.Join(names, ", "))
}

// help shows, for a command that does something without a further word, what it
// does then, and the further words after it.
func help(options kong.HelpOptions, c *kong.Context) error {
	node := c.Selected()
	if node == nil || node.DefaultCmd == nil {
		return kong.DefaultHelpPrinter(options, c)
	}
	c.Path = append(c.Path, &kong.Path{Parent: node, Command: node.DefaultCmd, Flags: node.DefaultCmd.Flags})
	if err := kong.DefaultHelpPrinter(options, c); err != nil {
		return err
	}
	fmt.Fprintln(c.Stdout, "\nCommands for a mesh that runs:")
	for _, child := range node.Children {
		if child != node.DefaultCmd {
			fmt.Fprintf(c.Stdout, "  %-24s %s\n", child.Summary(), child.Help)
		}
	}
	fmt.Fprintf(c.Stdout, "\nRun \"%s <command> --help\" for more information on one.\n", node.FullPath())
	return nil
}

type versionCommand struct{}

// Run prints the version as Go knows it.
func (versionCommand) Run(k *kong.Kong) error {
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
	}
	fmt.Fprintln(k.Stdout, "evenkeel", version)
	return nil
}
