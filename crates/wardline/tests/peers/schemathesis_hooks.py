"""What schemathesis cannot know of a contract: an Idempotency-Key is of one's own choice and for
one request. It picks short ones, picks them again, and the second request is rightly refused. So a
key that the contract allows becomes a fresh one; one that it does not allow is sent as it is.
"""

import re
import uuid

import schemathesis


@schemathesis.hook
def before_call(context, case, kwargs):
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and re.fullmatch(r"[!-~]{1,255}", key):
        case.headers["Idempotency-Key"] = uuid.uuid4().hex
