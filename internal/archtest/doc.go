// Package archtest holds the project's architecture as tests: who may import
// whom, which names and folders there are, and what every package says of
// itself. A change of the architecture is a change of the tables here.
package archtest
