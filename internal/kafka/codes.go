package kafka

import (
	"fmt"

	"github.com/IBM/sarama"
)

// code is one of a broker's error codes.
type code struct {
	name  string // Kafka's own
	class Class
	// from says whose answer it can be: P Produce, I InitProducerId,
	// D DescribeProducers, L ListOffsets, F Fetch, M Metadata, C DescribeConfigs.
	from  string
	means string // for a person; "" where none of our requests gets it
}

// foreign is what codes mean that are no answer to any request of ours.
const foreign = "no answer that this request can get: the broker, or something in between, is at fault"

// codes are those of Kafka 4.2 and so of 3.6 as well, in the order of
// org.apache.kafka.common.protocol.Errors. DESIGN.md has them as a table, which a
// test compares.
var codes = map[sarama.KError]code{
	-1: {"UNKNOWN_SERVER_ERROR", Other, "PIDLFMC", "the broker failed inside, its log says why"},
	1:  {"OFFSET_OUT_OF_RANGE", Leader, "F", "the log does not reach to that offset (any more), or the leader changed"},
	2:  {"CORRUPT_MESSAGE", Other, "PF", "records are damaged, on the way or on the broker's disk"},
	3:  {"UNKNOWN_TOPIC_OR_PARTITION", TopicMissing, "PDLFMC", "the broker does not know the topic or partition: it does not exist, is being deleted, or is too new"},
	4:  {"INVALID_FETCH_SIZE", Invalid, "", ""},
	5:  {"LEADER_NOT_AVAILABLE", Leader, "LM", "the partition has no leader just now"},
	6:  {"NOT_LEADER_OR_FOLLOWER", Leader, "PDLF", "the broker is not the partition's leader (any more)"},
	7:  {"REQUEST_TIMED_OUT", Timeout, "PIL", "the broker, or the replicas it waits for, did not answer in time"},
	8:  {"BROKER_NOT_AVAILABLE", Leader, "LM", "the broker is not available just now"},
	9:  {"REPLICA_NOT_AVAILABLE", Leader, "FM", "the broker has no replica of the partition just now"},
	10: {"MESSAGE_TOO_LARGE", TooLarge, "P", "the batch is above the topic's max.message.bytes"},
	11: {"STALE_CONTROLLER_EPOCH", Other, "", ""},
	12: {"OFFSET_METADATA_TOO_LARGE", Other, "", ""},
	13: {"NETWORK_EXCEPTION", Timeout, "P", "the broker lost the connection to another broker"},
	14: {"COORDINATOR_LOAD_IN_PROGRESS", Leader, "PI", "the broker is still loading its state"},
	15: {"COORDINATOR_NOT_AVAILABLE", Leader, "PI", "the coordinator is not available just now"},
	16: {"NOT_COORDINATOR", Leader, "PI", "the broker is not the coordinator (any more)"},
	17: {"INVALID_TOPIC_EXCEPTION", Invalid, "PDMC", "not a topic that this can be done with: a name has 1 to 249 letters, digits, dots, underscores and dashes, and is none of Kafka's own"},
	18: {"RECORD_LIST_TOO_LARGE", TooLarge, "P", "the batch is above the topic's segment.bytes"},
	19: {"NOT_ENOUGH_REPLICAS", Leader, "P", "fewer replicas are in sync than min.insync.replicas"},
	20: {"NOT_ENOUGH_REPLICAS_AFTER_APPEND", Leader, "P", "the leader has it, but fewer replicas are in sync than min.insync.replicas"},
	21: {"INVALID_REQUIRED_ACKS", Invalid, "P", "the broker does not know the acknowledgement asked for"},
	22: {"ILLEGAL_GENERATION", Other, "", ""},
	23: {"INCONSISTENT_GROUP_PROTOCOL", Other, "", ""},
	24: {"INVALID_GROUP_ID", Other, "", ""},
	25: {"UNKNOWN_MEMBER_ID", Other, "", ""},
	26: {"INVALID_SESSION_TIMEOUT", Other, "", ""},
	27: {"REBALANCE_IN_PROGRESS", Other, "", ""},
	28: {"INVALID_COMMIT_OFFSET_SIZE", Other, "", ""},
	29: {"TOPIC_AUTHORIZATION_FAILED", Authorization, "PDLFMC", "not allowed"},
	30: {"GROUP_AUTHORIZATION_FAILED", Authorization, "", ""},
	31: {"CLUSTER_AUTHORIZATION_FAILED", Authorization, "PIC", "not allowed"},
	32: {"INVALID_TIMESTAMP", Timestamp, "P", "the records' time is further from the broker's than message.timestamp.difference.max.ms (before.max.ms, after.max.ms): compare the clocks"},
	33: {"UNSUPPORTED_SASL_MECHANISM", Auth, "", ""},
	34: {"ILLEGAL_SASL_STATE", Auth, "", ""},
	35: {"UNSUPPORTED_VERSION", Unsupported, "PIDLFMC", "the broker does not know this request: it is too old, or too new"},
	36: {"TOPIC_ALREADY_EXISTS", TopicExists, "", ""},
	37: {"INVALID_PARTITIONS", Invalid, "", ""},
	38: {"INVALID_REPLICATION_FACTOR", Invalid, "", ""},
	39: {"INVALID_REPLICA_ASSIGNMENT", Invalid, "", ""},
	40: {"INVALID_CONFIG", Invalid, "C", "the broker does not accept a setting of the topic"},
	41: {"NOT_CONTROLLER", Leader, "", ""},
	42: {"INVALID_REQUEST", Invalid, "PIDLFMC", "the broker does not accept the request, its log says why"},
	43: {"UNSUPPORTED_FOR_MESSAGE_FORMAT", Invalid, "PLF", "the topic keeps an old message format: raise its message.format.version to 2.0 or later"},
	44: {"POLICY_VIOLATION", Invalid, "", ""},
	45: {"OUT_OF_ORDER_SEQUENCE_NUMBER", OutOfOrder, "P", "the sequence does not follow what the leader holds of the producer"},
	46: {"DUPLICATE_SEQUENCE_NUMBER", Other, "P", "the leader holds the batch already"},
	47: {"INVALID_PRODUCER_EPOCH", Fenced, "PI", "the leader holds a newer epoch of the producer: somebody else sends with its id"},
	48: {"INVALID_TXN_STATE", Invalid, "PI", "the broker takes the producer for a transactional one"},
	49: {"INVALID_PRODUCER_ID_MAPPING", Invalid, "PI", "the broker takes the producer for a transactional one"},
	50: {"INVALID_TRANSACTION_TIMEOUT", Invalid, "I", "the broker takes the producer for a transactional one"},
	51: {"CONCURRENT_TRANSACTIONS", Leader, "PI", "the broker is still busy with the same producer"},
	52: {"TRANSACTION_COORDINATOR_FENCED", Other, "", ""},
	53: {"TRANSACTIONAL_ID_AUTHORIZATION_FAILED", Authorization, "PI", "not allowed"},
	54: {"SECURITY_DISABLED", Authorization, "", ""},
	55: {"OPERATION_NOT_ATTEMPTED", Other, "", ""},
	56: {"KAFKA_STORAGE_ERROR", Leader, "PDLF", "the broker has trouble with the disk of the partition"},
	57: {"LOG_DIR_NOT_FOUND", Other, "", ""},
	58: {"SASL_AUTHENTICATION_FAILED", Auth, "", ""},
	59: {"UNKNOWN_PRODUCER_ID", OutOfOrder, "P", "the leader does not know the producer (any more), and the sequence is not a first one"},
	60: {"REASSIGNMENT_IN_PROGRESS", Other, "", ""},
	61: {"DELEGATION_TOKEN_AUTH_DISABLED", Other, "", ""},
	62: {"DELEGATION_TOKEN_NOT_FOUND", Other, "", ""},
	63: {"DELEGATION_TOKEN_OWNER_MISMATCH", Other, "", ""},
	64: {"DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", Other, "", ""},
	65: {"DELEGATION_TOKEN_AUTHORIZATION_FAILED", Other, "", ""},
	66: {"DELEGATION_TOKEN_EXPIRED", Other, "", ""},
	67: {"INVALID_PRINCIPAL_TYPE", Other, "", ""},
	68: {"NON_EMPTY_GROUP", Other, "", ""},
	69: {"GROUP_ID_NOT_FOUND", Other, "", ""},
	70: {"FETCH_SESSION_ID_NOT_FOUND", Other, "F", "the broker takes the request for part of a session"},
	71: {"INVALID_FETCH_SESSION_EPOCH", Other, "F", "the broker takes the request for part of a session"},
	72: {"LISTENER_NOT_FOUND", Leader, "M", "the leader has no listener of the name that the other brokers use"},
	73: {"TOPIC_DELETION_DISABLED", Other, "", ""},
	74: {"FENCED_LEADER_EPOCH", Leader, "PLF", "the partition has a newer leader"},
	75: {"UNKNOWN_LEADER_EPOCH", Leader, "PLF", "the broker does not know yet who leads the partition"},
	76: {"UNSUPPORTED_COMPRESSION_TYPE", Invalid, "PF", "the broker does not know the compression: set another one"},
	77: {"STALE_BROKER_EPOCH", Other, "", ""},
	78: {"OFFSET_NOT_AVAILABLE", Leader, "LF", "the new leader does not know yet how far the replicas are"},
	79: {"MEMBER_ID_REQUIRED", Other, "", ""},
	80: {"PREFERRED_LEADER_NOT_AVAILABLE", Other, "", ""},
	81: {"GROUP_MAX_SIZE_REACHED", Other, "", ""},
	82: {"FENCED_INSTANCE_ID", Other, "", ""},
	83: {"ELIGIBLE_LEADERS_NOT_AVAILABLE", Other, "", ""},
	84: {"ELECTION_NOT_NEEDED", Other, "", ""},
	85: {"NO_REASSIGNMENT_IN_PROGRESS", Other, "", ""},
	86: {"GROUP_SUBSCRIBED_TO_TOPIC", Other, "", ""},
	87: {"INVALID_RECORD", Refused, "P", "the broker does not accept a record, for example one without a key for a compacted topic"},
	88: {"UNSTABLE_OFFSET_COMMIT", Other, "", ""},
	89: {"THROTTLING_QUOTA_EXCEEDED", Other, "", ""},
	90: {"PRODUCER_FENCED", Fenced, "PI", "the leader holds a newer epoch of the producer: somebody else sends with its id"},
	91: {"RESOURCE_NOT_FOUND", Other, "", ""},
	92: {"DUPLICATE_RESOURCE", Other, "", ""},
	93: {"UNACCEPTABLE_CREDENTIAL", Other, "", ""},
	94: {"INCONSISTENT_VOTER_SET", Other, "", ""},
	95: {"INVALID_UPDATE_VERSION", Other, "", ""},
	96: {"FEATURE_UPDATE_FAILED", Other, "", ""},
	97: {"PRINCIPAL_DESERIALIZATION_FAILURE", Other, "", ""},
	98: {"SNAPSHOT_NOT_FOUND", Other, "", ""},
	99: {"POSITION_OUT_OF_RANGE", Other, "", ""},

	100: {"UNKNOWN_TOPIC_ID", TopicMissing, "PFM", "the topic was deleted, or is too new for the broker"},
	101: {"DUPLICATE_BROKER_REGISTRATION", Other, "", ""},
	102: {"BROKER_ID_NOT_REGISTERED", Other, "", ""},
	103: {"INCONSISTENT_TOPIC_ID", Leader, "PFM", "the broker holds another topic of the same name: it was deleted and created again"},
	104: {"INCONSISTENT_CLUSTER_ID", Other, "", ""},
	105: {"TRANSACTIONAL_ID_NOT_FOUND", Other, "", ""},
	106: {"FETCH_SESSION_TOPIC_ID_ERROR", Other, "F", "the broker takes the request for part of a session"},
	107: {"INELIGIBLE_REPLICA", Other, "", ""},
	108: {"NEW_LEADER_ELECTED", Other, "", ""},
	109: {"OFFSET_MOVED_TO_TIERED_STORAGE", Leader, "F", "the records were moved to tiered storage just now"},
	110: {"FENCED_MEMBER_EPOCH", Other, "", ""},
	111: {"UNRELEASED_INSTANCE_ID", Other, "", ""},
	112: {"UNSUPPORTED_ASSIGNOR", Other, "", ""},
	113: {"STALE_MEMBER_EPOCH", Other, "", ""},
	114: {"MISMATCHED_ENDPOINT_TYPE", Other, "", ""},
	115: {"UNSUPPORTED_ENDPOINT_TYPE", Other, "", ""},
	116: {"UNKNOWN_CONTROLLER_ID", Other, "", ""},
	117: {"UNKNOWN_SUBSCRIPTION_ID", Other, "", ""},
	118: {"TELEMETRY_TOO_LARGE", Other, "", ""},
	119: {"INVALID_REGISTRATION", Other, "", ""},
	120: {"TRANSACTION_ABORTABLE", Invalid, "PI", "the broker takes the producer for a transactional one"},
	121: {"INVALID_RECORD_STATE", Other, "", ""},
	122: {"SHARE_SESSION_NOT_FOUND", Other, "", ""},
	123: {"INVALID_SHARE_SESSION_EPOCH", Other, "", ""},
	124: {"FENCED_STATE_EPOCH", Other, "", ""},
	125: {"INVALID_VOTER_KEY", Other, "", ""},
	126: {"DUPLICATE_VOTER", Other, "", ""},
	127: {"VOTER_NOT_FOUND", Other, "", ""},
	128: {"INVALID_REGULAR_EXPRESSION", Other, "", ""},
	129: {"REBOOTSTRAP_REQUIRED", Leader, "M", "what we know of the cluster is too old"},
	130: {"STREAMS_INVALID_TOPOLOGY", Other, "", ""},
	131: {"STREAMS_INVALID_TOPOLOGY_EPOCH", Other, "", ""},
	132: {"STREAMS_TOPOLOGY_FENCED", Other, "", ""},
	133: {"SHARE_SESSION_LIMIT_REACHED", Other, "", ""},
}

// classOfCode sorts the broker's error codes. Those of a later Kafka are Other.
func classOfCode(k sarama.KError) Class {
	if c, known := codes[k]; known {
		return c.class
	}
	return Other
}

// explainCode says what a code means, with its name and number for whoever looks it
// up.
func explainCode(k sarama.KError) string {
	c, known := codes[k]
	switch {
	case !known:
		return fmt.Sprintf("the broker answers with an error code of a later Kafka, %d", int16(k))
	case c.means == "":
		return fmt.Sprintf("%s (%s, %d)", foreign, c.name, int16(k))
	}
	return fmt.Sprintf("%s (%s, %d)", c.means, c.name, int16(k))
}
