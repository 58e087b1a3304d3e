// Command eventgen writes the events of a synthetic shop to a log file at an exact rate.
package main

import (
	"eventline/internal/daemon"
	"eventline/internal/eventgen"
)

func main() { daemon.Main(eventgen.Command()) }
