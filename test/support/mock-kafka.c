/*
 * TEST SUPPORT: librdkafka's mock cluster as a process that does as it is told. Prints `ready HOST:PORT,…`, then
 * answers each line of stdin with `ok` or `failed REASON`; ends when stdin closes.
 *
 *   topic NAME PARTITIONS         makes it, led by broker 1
 *   leader TOPIC PARTITION ID     moves a partition (not to -1, no leader: a fetch then crashes the mock)
 *   coordinator GROUP ID          moves the coordinator of a group
 *   errors API COUNT CODE         the next COUNT requests of this API key fail so
 *   rtt ID MS                     a broker answers so late
 *   down ID | up ID
 */
#include <stdio.h>
#include <string.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#define BROKERS 3
#define MOST_ERRORS 100

static rd_kafka_mock_cluster_t *cluster;

static rd_kafka_resp_err_t make_topic(const char *name, int partitions) {
  rd_kafka_resp_err_t error = rd_kafka_mock_topic_create(cluster, name, partitions, BROKERS);
  for (int i = 0; !error && i < partitions; i++)
    error = rd_kafka_mock_partition_set_leader(cluster, name, i, 1);
  return error;
}

static rd_kafka_resp_err_t push_errors(int api, int count, int code) {
  rd_kafka_resp_err_t errors[MOST_ERRORS];
  if (count < 1 || count > MOST_ERRORS) return RD_KAFKA_RESP_ERR__INVALID_ARG;
  for (int i = 0; i < count; i++) errors[i] = (rd_kafka_resp_err_t)code;
  rd_kafka_mock_push_request_errors_array(cluster, (int16_t)api, (size_t)count, errors);
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t obey(const char *line) {
  char name[256];
  int a, b, c;
  if (sscanf(line, "topic %255s %d", name, &a) == 2) return make_topic(name, a);
  if (sscanf(line, "leader %255s %d %d", name, &a, &b) == 3)
    return rd_kafka_mock_partition_set_leader(cluster, name, a, b);
  if (sscanf(line, "coordinator %255s %d", name, &a) == 2)
    return rd_kafka_mock_coordinator_set(cluster, "group", name, a);
  if (sscanf(line, "errors %d %d %d", &a, &b, &c) == 3) return push_errors(a, b, c);
  if (sscanf(line, "rtt %d %d", &a, &b) == 2) return rd_kafka_mock_broker_set_rtt(cluster, a, b);
  if (sscanf(line, "down %d", &a) == 1) return rd_kafka_mock_broker_set_down(cluster, a);
  if (sscanf(line, "up %d", &a) == 1) return rd_kafka_mock_broker_set_up(cluster, a);
  return RD_KAFKA_RESP_ERR__INVALID_ARG;
}

int main(void) {
  char reason[512];
  char line[1024];
  rd_kafka_t *host = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), reason, sizeof(reason));
  if (!host) return fprintf(stderr, "%s\n", reason), 1;
  cluster = rd_kafka_mock_cluster_new(host, BROKERS);
  if (!cluster) return fprintf(stderr, "no mock cluster\n"), 1;
  rd_kafka_mock_set_group_consumer_heartbeat_interval_ms(cluster, 500);
  setvbuf(stdout, NULL, _IOLBF, 0);
  printf("ready %s\n", rd_kafka_mock_cluster_bootstraps(cluster));
  while (fgets(line, sizeof(line), stdin)) {
    rd_kafka_resp_err_t error = obey(line);
    if (error) printf("failed %s", rd_kafka_err2str(error)), printf(": %s", line);
    else printf("ok %s", line);
  }
  return 0;
}
