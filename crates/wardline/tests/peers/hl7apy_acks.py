"""hl7apy reads acknowledgements as wardline sent them, framed, from standard input.

Strictly, so that segments, fields and data types must be those of HL7 2.5.1.
"""

import json
import sys

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

for frame in sys.stdin.buffer.read().split(b"\x1c\r"):
    text = frame.strip(b"\n").lstrip(b"\x0b").decode("utf-8")
    if not text:
        continue
    ack = parse_message(text, validation_level=VALIDATION_LEVEL.STRICT, find_groups=False)
    ack.validate()
    line = {
        "type": ack.msh.msh_9.to_er7(),
        "code": ack.msa.msa_1.to_er7(),
        "id": ack.msa.msa_2.to_er7(),
        "segments": [segment.name for segment in ack.children],
    }
    print(json.dumps(line))
