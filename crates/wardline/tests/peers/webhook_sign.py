"""Webhooks as others sign and verify them.

`sign SECRET` reads a body from standard input and prints the headers of a signed request, made by
PyPI `standardwebhooks`. `verify SECRET` reads {"headers": {...}, "body": "..."} and ends well only
where that verifies. `sign-own SEED` and `verify-own PUBLIC` do the same with Ed25519 (`v1a`), by PyPI
`cryptography` over the string that the specification says. `github`, `shopify`, `slack` and `stripe`
print the headers that these vendors document, for a time of now or of the second argument.
"""
import base64
import datetime
import hashlib
import hmac
import json
import sys
import time

what, secret = sys.argv[1:3]


def standard():
    from standardwebhooks.webhooks import Webhook

    return Webhook(secret)


def signed_string(headers, body):
    return f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()


def digest(text):
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256)


if what == "sign":
    body = sys.stdin.read()
    now = datetime.datetime.now(datetime.timezone.utc)
    print(json.dumps({
        "webhook-id": "msg_from_python",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": standard().sign("msg_from_python", now, body),
    }))
elif what == "verify":
    given = json.load(sys.stdin)
    print(json.dumps(standard().verify(given["body"], given["headers"])))
elif what == "sign-own":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(secret.removeprefix("whsk_")))
    headers = {"webhook-id": "msg_own", "webhook-timestamp": str(int(time.time()))}
    tag = key.sign(signed_string(headers, sys.stdin.read()))
    headers["webhook-signature"] = "v1a," + base64.b64encode(tag).decode()
    print(json.dumps(headers))
elif what == "verify-own":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    given = json.load(sys.stdin)
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(secret.removeprefix("whpk_")))
    tags = [entry[4:] for entry in given["headers"]["webhook-signature"].split() if entry.startswith("v1a,")]
    assert len(tags) == 1
    key.verify(base64.b64decode(tags[0]), signed_string(given["headers"], given["body"]))
    print(given["body"])
else:
    body = sys.stdin.read()
    now = sys.argv[3] if len(sys.argv) > 3 else str(int(time.time()))
    print(json.dumps({
        "github": lambda: {"X-Hub-Signature-256": "sha256=" + digest(body).hexdigest()},
        "shopify": lambda: {"X-Shopify-Hmac-Sha256": base64.b64encode(digest(body).digest()).decode()},
        "slack": lambda: {
            "X-Slack-Request-Timestamp": now,
            "X-Slack-Signature": "v0=" + digest(f"v0:{now}:{body}").hexdigest(),
        },
        # The second signature is that of a key which the receiver does not have yet.
        "stripe": lambda: {
            "Stripe-Signature": f"t={now},v1={'0' * 64},v1={digest(f'{now}.{body}').hexdigest()},v0=6ffb",
        },
    }[what]()))
