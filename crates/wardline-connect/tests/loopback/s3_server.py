"""An object store made of moto, behind a check of signatures made of botocore: PORT KEY_ID KEY BUCKET.

moto itself checks only what is signed in a header; what is signed in an address is checked here, by the
code with which Amazon's own client would sign the same.
"""
import os
import sys
import time
from urllib.parse import parse_qs

os.environ["AWS_ACCESS_KEY_ID"] = os.environ["AWS_SECRET_ACCESS_KEY"] = "testing"

import boto3
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

import threading

port, key_id, key, bucket = sys.argv[1:]
store = DomainDispatcherApplication(create_backend_app)
checking = False


def refusal(environ):
    """Why a request is not to be believed; None where it is."""
    query = parse_qs(environ["QUERY_STRING"], keep_blank_values=True)
    first = lambda name: query.get(name, [""])[0]
    known, day, region, service, _ = (first("X-Amz-Credential").split("/") + [""] * 5)[:5]
    if known != key_id:
        return "InvalidAccessKeyId"
    stamp = first("X-Amz-Date")
    age = time.time() - __import__("calendar").timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))
    if not -900 < age < min(int(first("X-Amz-Expires")), 3600) or not stamp.startswith(day):
        return "RequestTimeTooSkewed"
    signed = first("X-Amz-SignedHeaders").split(";")
    value = lambda name: environ["HTTP_" + name.upper().replace("-", "_")]
    for name in environ:
        if name.startswith("HTTP_X_AMZ_") and name[5:].lower().replace("_", "-") not in signed:
            return "AccessDenied"
    rest = "&".join(
        part for part in environ["QUERY_STRING"].split("&") if not part.startswith("X-Amz-Signature=")
    )
    url = f"http://{environ['HTTP_HOST']}{environ['REQUEST_URI'].split('?')[0]}?{rest}"
    request = AWSRequest(environ["REQUEST_METHOD"], url, {name: value(name) for name in signed})
    request.context["timestamp"] = stamp
    auth = S3SigV4QueryAuth(Credentials(key_id, key), service, region)
    text = auth.string_to_sign(request, auth.canonical_request(request))
    return None if auth.signature(text, request) == first("X-Amz-Signature") else "SignatureDoesNotMatch"


def app(environ, start):
    try:
        why = checking and refusal(environ)
    except (KeyError, ValueError) as error:
        print(error, file=sys.stderr)
        why = "AuthorizationQueryParametersError"
    if why:
        body = f"<Error><Code>{why}</Code><Message>no</Message></Error>".encode()
        start("403 Forbidden", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body]
    return store(environ, start)


server = make_server("127.0.0.1", int(port), app, threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="eu-central-1").create_bucket(
    Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
)
checking = True
print("ready", flush=True)
sys.stdin.read()
