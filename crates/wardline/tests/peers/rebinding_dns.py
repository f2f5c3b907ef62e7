"""A name server that changes its mind: PyPI `dnslib`.

`rebinding_dns.py CONTROL` answers every question for an A record with the addresses in CONTROL, for
no time at all, and every other with nothing. Prints `listening` once it does.
"""
import sys

from dnslib import A, QTYPE, RR
from dnslib.server import BaseResolver, DNSServer


class Resolver(BaseResolver):
    def resolve(self, request, _):
        reply = request.reply()
        if request.q.qtype == QTYPE.A:
            with open(sys.argv[1]) as file:
                for address in file.read().split():
                    reply.add_answer(RR(request.q.qname, QTYPE.A, rdata=A(address), ttl=0))
        return reply


class Silent:
    def __getattr__(self, _):
        return lambda *_: None


server = DNSServer(Resolver(), port=53, address="127.0.0.1", logger=Silent())
server.start_thread()
print("listening", flush=True)
sys.stdin.read()
