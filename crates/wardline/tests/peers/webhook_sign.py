"""PyPI `standardwebhooks` on the other side of the wire.

`sign SECRET` reads a body from standard input and prints the headers of a signed request.
`verify SECRET` reads {"headers": {...}, "body": "..."} and ends well only where it verifies.
"""
import datetime
import json
import sys

from standardwebhooks.webhooks import Webhook

what, secret = sys.argv[1:3]
hook = Webhook(secret)
if what == "sign":
    body = sys.stdin.read()
    now = datetime.datetime.now(datetime.timezone.utc)
    print(json.dumps({
        "webhook-id": "msg_from_python",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": hook.sign("msg_from_python", now, body),
    }))
else:
    given = json.load(sys.stdin)
    print(json.dumps(hook.verify(given["body"], given["headers"])))
