"""Python's own TLS as an MLLP sender: sends the frames of standard input one after the other
and prints each answer's frame. A client certificate where one is given.

usage: tls_send.py PORT CA [CERT KEY]
"""

import socket
import ssl
import sys

port, ca, *identity = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
if identity:
    context.load_cert_chain(*identity)
with socket.create_connection(("localhost", int(port)), timeout=30) as plain:
    with context.wrap_socket(plain, server_hostname="localhost") as secured:
        for message in sys.stdin.buffer.read().split(b"\x1c\r"):
            if not message:
                continue
            # In three writes: a frame over several TLS records.
            frame = message + b"\x1c\r"
            for part in (frame[:1], frame[1:40], frame[40:]):
                secured.sendall(part)
            answer = b""
            while not answer.endswith(b"\x1c\r"):
                more = secured.recv(4096)
                if not more:
                    sys.exit("closed without an answer")
                answer += more
            sys.stdout.buffer.write(answer + b"\n")
            sys.stdout.buffer.flush()
