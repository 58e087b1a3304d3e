// Command eventline is the operator's tool of the pipeline.
package main

import (
	"eventline/internal/daemon"
	"eventline/internal/eventline"
)

func main() { daemon.Main(eventline.Command()) }
