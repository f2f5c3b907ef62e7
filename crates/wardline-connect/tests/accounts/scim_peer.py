"""Speaks to a SCIM service with `scim2-client`, and holds it against all checks of `scim2-tester`.
Arguments: the service's address and a token. Prints one JSON object."""

import json
import sys

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

base, token = sys.argv[1], sys.argv[2]
http = Client(base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=60)

checked = check_server(SyncSCIMClient(http))
said = lambda one: f"{one.title} {one.resource_type or ''}: {one.reason}"
good = [one for one in checked if one.status == Status.SUCCESS]
rest = [
    (str(one.status), said(one))
    for one in checked
    if one.status not in (Status.SUCCESS, Status.SKIPPED)
]
skipped = [said(one) for one in checked if one.status == Status.SKIPPED]

scim = SyncSCIMClient(http)
scim.discover()
User = scim.get_resource_model("User")
Group = scim.get_resource_model("Group")
made = scim.create(User(user_name="bjensen", external_id="E-7", display_name="Babs"))
ask = {"filter": 'userName eq "BJENSEN" and externalId eq "E-7"'}
found = scim.query(User, query_parameters=ask, check_request_payload=False)
twice = scim.create(User(user_name="BJensen"), raise_scim_errors=False)
made.display_name = "Barbara"
replaced = scim.replace(made)
group = scim.create(Group(display_name="ward-3", members=[{"value": made.id}]))
read = scim.query(Group, group.id)
scim.delete(Group, group.id)
gone = scim.query(Group, group.id, raise_scim_errors=False)
print(
    json.dumps(
        {
            "good": len(good),
            "rest": rest,
            "skipped": skipped,
            "found": found.total_results,
            "twice": [twice.status, twice.scim_type],
            "replaced": replaced.display_name,
            "member": read.members[0].value == made.id,
            "gone": gone.status,
            "id": made.id,
        }
    )
)
