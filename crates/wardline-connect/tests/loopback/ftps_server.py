"""A server of FTP with TLS, made of pyftpdlib: PORT FOLDER CERTIFICATE KEY MODE."""
import sys

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import TLS_FTPHandler
from pyftpdlib.servers import FTPServer

port, folder, certificate, key, mode = sys.argv[1:]


class Handler(TLS_FTPHandler):
    certfile = certificate
    keyfile = key
    tls_control_required = True
    tls_data_required = True
    authorizer = DummyAuthorizer()

    def handle(self):
        # TLS with the first byte, which the package leaves to who uses it.
        if mode == "implicit":
            self.secure_connection(self.get_ssl_context())
        super().handle()


Handler.authorizer.add_user("wardline", "open sesame", folder, perm="elradfmwMT")
FTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
