"""hl7apy as a receiver: its MLLPServer, its parser, an acknowledgement that its parser built.

Prints its port, then each message as one line of JSON. The server closes every connection
after its one answer.
"""

import json
import sys

from hl7apy.core import Message
from hl7apy.mllp import AbstractErrorHandler, AbstractHandler, MLLPServer
from hl7apy.parser import parse_message


class Admission(AbstractHandler):
    def reply(self):
        message = parse_message(self.incoming_message, find_groups=False)
        line = {
            "id": message.msh.msh_10.to_er7(),
            "mrn": message.pid.pid_3.cx_1.to_er7(),
            "family": message.pid.pid_5.xpn_1.to_er7(),
            "raw": self.incoming_message,
        }
        print(json.dumps(line), flush=True)
        ack = Message("ACK", version="2.5.1")
        ack.msh.msh_9 = "ACK"
        ack.msh.msh_10 = "A" + line["id"]
        ack.msh.msh_11 = "P"
        ack.msa.msa_1 = "AA"
        ack.msa.msa_2 = line["id"]
        return ack.to_mllp()


class Refused(AbstractErrorHandler):
    def reply(self):
        print(json.dumps({"error": repr(self.exc)}), flush=True)
        raise self.exc


class Server(MLLPServer):
    request_queue_size = 16


server = Server("127.0.0.1", 0, {"ADT^A01^ADT_A01": (Admission,), "ERR": (Refused,)})
print(server.server_address[1], flush=True)
server.serve_forever()
