"""What schemathesis cannot know of a contract, since no schema can say it.

An Idempotency-Key is of one's own choice and for one request. It picks short ones, picks them
again, and the second request is rightly refused. So a key that the contract allows becomes a fresh
one; one that it does not allow is sent as it is.

What a path names and the body names as well is the same value. It picks two, and the request is
rightly refused (`tests/async_apis.rs` shows that). So where all of a request is meant to be valid,
the path names what the body does.
"""

import re
import uuid
from urllib.parse import quote

import schemathesis
from schemathesis import GenerationMode


@schemathesis.hook
def before_call(context, case, kwargs):
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and re.fullmatch(r"[!-~]{1,255}", key):
        case.headers["Idempotency-Key"] = uuid.uuid4().hex
    if case.meta and case.meta.generation.mode == GenerationMode.POSITIVE and isinstance(case.body, dict):
        for name in case.path_parameters:
            if isinstance(case.body.get(name), str):
                case.path_parameters[name] = quote(case.body[name], safe="")
