// Package sitetest runs the playbook against a booted host, over ssh, with the
// real Kafka and ZooKeeper, and the pipeline that it makes under load. Its tests
// need root and the tag host: make ansible-test.
package sitetest
