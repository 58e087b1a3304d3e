// Package e2e tests the commands as their users meet them: as programs, from
// outside.
package e2e
