"""Apache Kafka by aiokafka: what is imported here is needed only where a broker is named."""
