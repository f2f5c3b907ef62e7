"""Says of each file named on standard input what pyx12 reads there: one JSON object a line."""
import json
import logging
import sys

import pyx12.x12file

logging.disable(logging.CRITICAL)
for line in sys.stdin:
    name = line.strip()
    try:
        reader = pyx12.x12file.X12Reader(name)
        segments, errors = 0, []
        for segment in reader:
            segments += 1
            errors += reader.pop_errors()
        reader.cleanup()
        errors += reader.pop_errors()
        print(json.dumps({"file": name, "segments": segments, "errors": [[e[0], e[1]] for e in errors]}))
    except Exception as error:
        print(json.dumps({"file": name, "refused": str(type(error).__name__)}))
