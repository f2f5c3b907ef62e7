"""A Kafka cluster that others wrote, with their client beside it: librdkafka's mock cluster, as
PyPI's confluent-kafka carries it. Prints its servers; then each line that it reads is something to
do, and what comes of it is lines that end with `ok`.

    python kafka.py BROKERS            a mock cluster of so many brokers
"""

import ctypes
import glob
import json
import os
import sys

import confluent_kafka
from confluent_kafka import Consumer, Producer, TopicPartition


class Cluster:
    def __init__(self, brokers):
        folder = os.path.join(os.path.dirname(confluent_kafka.__file__), "..", "confluent_kafka.libs")
        self.lib = ctypes.CDLL(glob.glob(os.path.join(folder, "librdkafka-*"))[0])
        pointer = ctypes.c_void_p
        for name, result, arguments in [
            ("rd_kafka_conf_new", pointer, []),
            ("rd_kafka_new", pointer, [ctypes.c_int, pointer, ctypes.c_char_p, ctypes.c_size_t]),
            ("rd_kafka_mock_cluster_new", pointer, [pointer, ctypes.c_int]),
            ("rd_kafka_mock_cluster_bootstraps", ctypes.c_char_p, [pointer]),
            ("rd_kafka_mock_topic_create", ctypes.c_int, [pointer, ctypes.c_char_p, ctypes.c_int, ctypes.c_int]),
            ("rd_kafka_mock_partition_set_leader", ctypes.c_int, [pointer, ctypes.c_char_p, ctypes.c_int32, ctypes.c_int32]),
            ("rd_kafka_mock_broker_set_down", ctypes.c_int, [pointer, ctypes.c_int32]),
            ("rd_kafka_mock_broker_set_up", ctypes.c_int, [pointer, ctypes.c_int32]),
            ("rd_kafka_mock_coordinator_set", ctypes.c_int, [pointer, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int32]),
            ("rd_kafka_mock_push_request_errors_array", None, [pointer, ctypes.c_int16, ctypes.c_size_t, ctypes.POINTER(ctypes.c_int)]),
        ]:
            function = getattr(self.lib, name)
            function.restype, function.argtypes = result, arguments
        text = ctypes.create_string_buffer(512)
        self.handle = self.lib.rd_kafka_new(0, self.lib.rd_kafka_conf_new(), text, len(text))
        self.cluster = self.lib.rd_kafka_mock_cluster_new(self.handle, brokers)
        self.servers = self.lib.rd_kafka_mock_cluster_bootstraps(self.cluster).decode()

    def call(self, name, *arguments):
        code = getattr(self.lib, "rd_kafka_mock_" + name)(self.cluster, *arguments)
        if code:
            raise RuntimeError(f"{name}: {code}")

    def topic(self, name, partitions):
        self.call("topic_create", name.encode(), int(partitions), 1)

    def leader(self, topic, partition, broker):
        self.call("partition_set_leader", topic.encode(), int(partition), int(broker))

    def coordinator(self, group, broker):
        self.call("coordinator_set", b"group", group.encode(), int(broker))

    def down(self, broker):
        self.call("broker_set_down", int(broker))

    def up(self, broker):
        self.call("broker_set_up", int(broker))

    def errors(self, api, *codes):
        """The next answers to a question are these errors."""
        codes = [int(code) for code in codes]
        self.lib.rd_kafka_mock_push_request_errors_array(
            self.cluster, int(api), len(codes), (ctypes.c_int * len(codes))(*codes)
        )


class Client:
    def __init__(self, servers):
        self.settings = {"bootstrap.servers": servers, "log_level": 0}

    def produce(self, topic, first, count, compression, size, *rest):
        """Records with keys and without, numbered; `size` bytes of text in each."""
        producer = Producer(self.settings | {
            "partitioner": "murmur2_random", "compression.type": compression, "linger.ms": 20,
            "message.max.bytes": 50_000_000,
        })
        text = "y" * int(size)
        for n in range(int(first), int(first) + int(count)):
            value = json.dumps({"n": n, "facility": "north", "text": text})
            producer.produce(topic, value, key=f"k-{n % 7}", headers={"x-correlation-id": f"c-{n}"})
            producer.poll(0)
        if producer.flush(60):
            raise RuntimeError("not all was written")

    def event(self, topic):
        """One CloudEvent in the binary form, one in the structured form, a tombstone."""
        producer = Producer(self.settings)
        head = {"ce_specversion": "1.0", "ce_id": "e-1", "ce_source": "/lab", "ce_type": "result", "content-type": "application/json"}
        producer.produce(topic, '{"a":1.50}', headers=head)
        whole = {"specversion": "1.0", "id": "e-2", "source": "/lab", "type": "result", "data": {"a": 2}}
        producer.produce(topic, json.dumps(whole), headers={"content-type": "application/cloudevents+json; charset=UTF-8"})
        producer.produce(topic, None, key="gone")
        producer.flush(60)

    def partition(self, topic, *keys):
        """Where librdkafka puts keys, as Java's clients do."""
        producer = Producer(self.settings | {"partitioner": "murmur2_random"})
        for key in keys:
            producer.produce(topic, "{}", key=key, on_delivery=lambda _, m: print(m.key().decode(), m.partition()))
        producer.flush(60)

    def read(self, topic, partitions):
        """All that a topic holds."""
        consumer = Consumer(self.settings | {
            "group.id": "reader", "enable.auto.commit": False, "enable.partition.eof": True,
        })
        consumer.assign([TopicPartition(topic, n, 0) for n in range(int(partitions))])
        ends = 0
        while ends < int(partitions):
            message = consumer.poll(30)
            if message is None:
                raise RuntimeError("nothing came")
            if message.error():
                if message.error().code() != confluent_kafka.KafkaError._PARTITION_EOF:
                    raise RuntimeError(message.error())
                ends += 1
                continue
            text = lambda value: None if value is None else value.decode()
            print(json.dumps({
                "partition": message.partition(), "offset": message.offset(), "key": text(message.key()),
                "value": text(message.value()),
                "headers": {name: text(value) for name, value in message.headers() or []},
            }))
        consumer.close()

    def committed(self, group, topic, partitions):
        """What a group knows of the offsets of a topic."""
        consumer = Consumer(self.settings | {"group.id": group})
        parts = consumer.committed([TopicPartition(topic, n) for n in range(int(partitions))], timeout=30)
        for part in parts:
            print(part.partition, part.offset)
        consumer.close()


def main():
    cluster = Cluster(int(sys.argv[1]))
    client = Client(cluster.servers)
    print(client.settings["bootstrap.servers"], flush=True)
    for line in sys.stdin:
        what, *rest = line.split()
        try:
            getattr(client if hasattr(client, what) else cluster, what)(*rest)
            print("ok", flush=True)
        except Exception as error:  # the test says what it was
            print("failed:", repr(error).replace("\n", " "), flush=True)


main()
