// Command bucketer sorts the events of a Kafka topic by price.
package main

import (
	"eventline/internal/bucketer"
	"eventline/internal/daemon"
)

func main() { daemon.Main(bucketer.Command()) }
