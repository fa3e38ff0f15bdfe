// Command audiences takes mParticle's audience changes over HTTPS and brings
// them to Split segments in few, large, correctly ordered calls.
//
// All of it is in the packages: the commands, and how the parts are put together,
// in package cli.
package main

import (
	"os"

	"audiences/cli"
)

// version and revision are set by the linker, as in `-ldflags "-X main.version=1.2.3"`.
// A build outside of a checkout, as in the Dockerfile, knows them in no other way.
var version, revision string

func main() { os.Exit(cli.Main(version, revision)) }
