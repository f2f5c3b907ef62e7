"""PyPI `fhirpy` against a FHIR service: python fhir_client.py BASE TOKEN"""

import json
import sys

from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import ResourceNotFound

base, token = sys.argv[1:]
client = SyncFHIRClient(base, authorization=f"Bearer {token}")
said = {}
made = []
for n, family in enumerate(["First", "Second", "Third", "Fourth", "Fifth"]):
    one = client.resource(
        "Patient",
        active=True,
        birthDate="2000-02-29",
        identifier=[{"system": "https://fhir.st-brigid.example/mrn", "value": f"P{n}"}],
        name=[{"family": family, "given": ["Py"]}],
    )
    one.save()
    made.append(one)
said["made"] = all(one.id for one in made)
found = client.resources("Patient").search(birthdate="2000-02-29")
said["all"] = len(found.limit(2).fetch_all())
first = client.resources("Patient").search(family="fif").first()
said["first"] = first["name"][0]["family"]
said["counted"] = found.count()
first["active"] = False
first.save()
said["changed"] = client.reference("Patient", first.id).to_resource()["active"]
first.delete()
try:
    client.reference("Patient", first.id).to_resource()
except ResourceNotFound:
    said["gone"] = "not-found"
print(json.dumps(said))
