// Command logship ships the lines of a log file to a Kafka topic.
package main

import (
	"eventline/internal/daemon"
	"eventline/internal/logship"
)

func main() { daemon.Main(logship.Command()) }
