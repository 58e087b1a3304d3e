// Package kafka is the one door to Kafka: the only package that imports sarama.
//
// It knows addresses, TLS, SASL, protocol versions, record batches and what the
// many errors of a broker mean. It does not know what is in a record, how a log
// file is read or when a line counts as delivered: those rules belong to its
// callers, who say which batch has which sequence and what to do about an error.
//
// What it refuses to do: create topics as a side effect, resend a batch on its
// own, accept a producer id that the broker did not really hand out, and print
// a secret.
package kafka
