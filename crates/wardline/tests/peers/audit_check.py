"""What an auditor does who has PyPI `pymerkle`, `fhir.resources` and no trust in Wardline.

Arguments: the folder that the test filled with the command line's output. Prints one line of
JSON with what was checked; anything wrong ends with an exception.
"""
import base64
import json
import pathlib
import sys

from fhir.resources.R4B.auditevent import AuditEvent
from pymerkle import InmemoryTree, verify_consistency, verify_inclusion
from pymerkle.core import _inclusion_path_layout
from pymerkle.hasher import MerkleHasher
from pymerkle.proof import InclusionProof

folder = pathlib.Path(sys.argv[1])


def lines(name):
    text = (folder / name).read_text()
    return [json.loads(line) for line in text.splitlines()]


# The prefixes of RFC 9162, so that what follows compares like with like.
hasher = MerkleHasher("sha256")
assert (hasher.leaf_prefix, hasher.node_prefix) == (b"\x00", b"\x01")


def begins_with(old, new, old_root, new_root, path):
    """RFC 9162, section 2.1.4.2, with pymerkle's hashing; its own proofs have another form."""
    if old == new:
        return not path and old_root == new_root
    path = list(path) if old & (old - 1) else [old_root] + list(path)
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = hasher.hash_pair(c, fr), hasher.hash_pair(c, sr)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = hasher.hash_pair(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == old_root and sr == new_root


records = lines("log.ndjson")
bodies = [base64.b64decode(record["body"]) for record in records]
tree = InmemoryTree(algorithm="sha256")
for number, body in enumerate(bodies):
    tree.append_entry(body)
    assert records[number]["sequence"] == number
    assert tree.get_root().hex() == records[number]["hash"], number

inclusion = 0
for path in sorted(folder.glob("proof-*.json")):
    given = json.loads(path.read_text())
    index, size = given["leaf_index"], given["tree_size"]
    leaf = hasher.hash_buff(base64.b64decode(given["leaf"]))
    assert leaf.hex() == given["leaf_hash"]
    root = bytes.fromhex(given["root_hash"])
    assert tree.get_root(size) == root
    rule, _ = _inclusion_path_layout(index + 1, size)
    hashes = [leaf] + [bytes.fromhex(one) for one in given["path"]]
    proof = InclusionProof("sha256", True, size, index + 1, rule, hashes)
    verify_inclusion(leaf, root, proof, index=index + 1, size=size)
    assert tree.prove_inclusion(index + 1, size).path == hashes
    inclusion += 1

consistency = 0
for path in sorted(folder.glob("consistency-*.json")):
    given = json.loads(path.read_text())
    old, new = given["old_size"], given["new_size"]
    assert tree.get_root(old).hex() == given["old_root"]
    assert tree.get_root(new).hex() == given["new_root"]
    theirs = tree.prove_consistency(old, new)
    verify_consistency(tree.get_root(old), tree.get_root(new), theirs)
    ours = [bytes.fromhex(one) for one in given["path"]]
    assert begins_with(old, new, tree.get_root(old), tree.get_root(new), ours), (old, new)
    assert not begins_with(old, new, tree.get_root(old), bytes(32), ours), (old, new)
    consistency += 1

events = [AuditEvent.model_validate(event) for event in lines("log.fhir.ndjson")]
assert len(events) == len(records)
for record, event in zip(records, events):
    assert event.id == f"audit-{record['sequence']}"
    assert event.subtype[0].code == record["entry"]["act"]
    assert event.agent[0].who.identifier.value == record["entry"]["actor"]
    assert event.purposeOfEvent[0].text == record["entry"]["reason"]

print(json.dumps({
    "entries": len(records),
    "inclusion": inclusion,
    "consistency": consistency,
    "events": len(events),
}))
