"""pyas2lib on the other side. Words: `client URL` or `server`, then our certificate, their key with certificate, and for
`client` `SYNC` or `ASYNC`. A server prints its port, then what it got; a client prints what became of its message."""

import re
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from urllib.request import Request, urlopen

# pyas2lib's library of keys does not read versions of OpenSSL with two digits, such as 3.0.19.
search = re.search
re.search = lambda pattern, *rest: search(
    pattern.replace(r"\d\.\d\.\d[a-z]*", r"\d+\.\d+\.\d+[a-z]*")
    if isinstance(pattern, str)
    else pattern,
    *rest,
)
from pyas2lib.as2 import Mdn, Message, Organization, Partner  # noqa: E402

re.search = search

PAYLOAD = b"ISA*00*          *00*          *ZZ*GHX            *ZZ*STB            *260101*1200*U*00401*000000001*0*P*>~GS*PO*A*B*20260101*1200*1*X*004010~ST*850*0001~BEG*00*SA*1**20260101~SE*3*0001~GE*1*1~IEA*1*000000001~\r\n"


def read(path):
    with open(path, "rb") as file:
        return file.read()


def us(key, url=None):
    own = read(key)
    return Organization(as2_name="GHX", sign_key=own, decrypt_key=own, mdn_url=url)


def them(certificate, mode="SYNC"):
    certificate = read(certificate)
    return Partner(
        as2_name="St Brigid",
        verify_cert=certificate,
        encrypt_cert=certificate,
        validate_certs=False,
        sign=True,
        digest_alg="sha256",
        encrypt=True,
        enc_alg="aes_256_cbc",
        mdn_mode=mode,
        mdn_digest_alg="sha256",
    )


def raw(handler):
    body = handler.rfile.read(int(handler.headers["Content-Length"]))
    head = "".join(f"{name}: {value}\r\n" for name, value in handler.headers.items())
    return head.encode() + b"\r\n" + body


def receipt(message, bytes_):
    mdn = Mdn()
    print(*mdn.parse(bytes_, lambda message_id, recipient: message), flush=True)


def client(url, certificate, key, mode):
    served = None
    if mode == "ASYNC":

        class Taking(BaseHTTPRequestHandler):
            def do_POST(self):
                receipt(message, raw(self))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args):
                pass

        served = HTTPServer(("127.0.0.1", int(sys.argv[6])), Taking)
        waiting = Thread(target=served.handle_request)
        waiting.start()
    mdn_url = f"http://127.0.0.1:{sys.argv[6]}/receipts/1" if served else None
    message = Message(us(key, mdn_url), them(certificate, mode))
    message.build(PAYLOAD, filename="order.x12", subject="Order", content_type="application/edi-x12", disposition_notification_to="ghx")
    for _ in range(2 if mode == "SYNC" else 1):
        with urlopen(Request(url, data=message.content, headers=dict(message.headers))) as answer:
            head = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
            body = answer.read()
        if not served:
            receipt(message, head.encode() + b"\r\n" + body)
    if served:
        waiting.join(20)


def server(certificate, key):
    class Taking(BaseHTTPRequestHandler):
        def do_POST(self):
            message = Message()
            status, error, mdn = message.parse(
                raw(self), lambda name: us(key), lambda name: them(certificate)
            )
            print(status, message.signed, message.encrypted, message.content, error, flush=True)
            self.send_response(200)
            for name, value in mdn.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(mdn.content)

        def log_message(self, *args):
            pass

    served = HTTPServer(("127.0.0.1", 0), Taking)
    print(served.server_port, flush=True)
    served.serve_forever()


if sys.argv[1] == "client":
    client(*sys.argv[2:6])
else:
    server(*sys.argv[2:4])
