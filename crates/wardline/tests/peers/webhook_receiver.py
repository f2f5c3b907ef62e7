"""An https endpoint of a client: writes down each request, and answers as a file says.

`webhook_receiver.py CERT KEY CONTROL [ADDRESS PORT]` prints `listening PORT`, then one JSON object
for each request before it is answered. CONTROL holds a status, or several of which the last goes on;
each is used once. A status of 0 closes the connection without an answer.
"""
import json
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

cert, key, control = sys.argv[1:4]
address, port = (sys.argv[4], int(sys.argv[5])) if len(sys.argv) > 4 else ("127.0.0.1", 0)
lock = threading.Lock()


def status():
    with open(control) as file:
        left = file.read().split()
    if len(left) > 1:
        with open(control, "w") as file:
            file.write(" ".join(left[1:]))
    return int(left[0])


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        with lock:
            answer = status()
            print(json.dumps({
                "at": self.connection.getsockname()[0],
                "path": self.path,
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "body": body,
                "answered": answer,
            }), flush=True)
        if answer == 0:
            self.close_connection = True
            return
        self.send_response(answer)
        if 300 <= answer < 400:
            self.send_header("location", "https://localhost:1/elsewhere")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def finish_request(self, request, client):
        # The handshake belongs to the connection's own thread: one that stalls stops nobody.
        request.settimeout(30)
        with context.wrap_socket(request, server_side=True) as secured:
            self.RequestHandlerClass(secured, client, self)

    def handle_error(self, *_):
        pass


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
server = Server((address, port), Handler)
print("listening", server.server_port, flush=True)
server.serve_forever()
