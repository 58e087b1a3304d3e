#!/bin/sh
# kafka-run-class.sh CLASS [ARGUMENT…] runs a class of Kafka.
#
#   JAVA_HOME          the Java to run (default: java of PATH)
#   KAFKA_HEAP_OPTS    heap (default: -Xmx256M)
#   KAFKA_JVM_PERFORMANCE_OPTS, KAFKA_LOG4J_OPTS, KAFKA_OPTS
#                      more options for Java; the last for anything
#   CLASSPATH          more jars
home=$(cd "$(dirname "$0")/.." && pwd)
java=${JAVA_HOME:+$JAVA_HOME/bin/}java
if ! command -v "$java" >/dev/null; then
	echo "kafka-run-class.sh: no Java: $java" >&2
	exit 127
fi
# A command lives for seconds: the simplest collector and compiler start fastest.
# shellcheck disable=SC2086
exec "$java" ${KAFKA_HEAP_OPTS:--Xmx256M} \
	${KAFKA_JVM_PERFORMANCE_OPTS:--XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto} \
	${KAFKA_LOG4J_OPTS:-"-Dlog4j.configuration=file:$home/config/tools-log4j.properties"} \
	${KAFKA_OPTS:-} -cp "${CLASSPATH:+$CLASSPATH:}$home/libs/*" "$@"
