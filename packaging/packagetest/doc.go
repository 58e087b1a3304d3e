// Package packagetest installs, upgrades and removes the packages on booted
// hosts, and runs their units there, without a Kafka. Its tests
// need root and the tag host: make package-test.
package packagetest
