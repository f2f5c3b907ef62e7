"""Python's client of HashiCorp Vault does with the stand-in what it does with the real one."""

import base64
import json
import sys

import hvac

url, root, role, secret_id, namespace = sys.argv[1:6]

admin = hvac.Client(url=url, token=root, namespace=namespace or None)
assert admin.sys.read_health_status(method="GET")["initialized"] is True
assert admin.is_authenticated()
kv = admin.secrets.kv.v2
made = kv.create_or_update_secret(path="wardline/from/python", secret={"value": "said by hvac"})
assert made["data"]["version"] == 1
kv.create_or_update_secret(path="wardline/gone", secret={"value": "x"})
kv.delete_latest_version_of_secret(path="wardline/gone")
admin.secrets.transit.create_key(name="wardline")

client = hvac.Client(url=url, namespace=namespace or None)
login = client.auth.approle.login(role_id=role, secret_id=secret_id)
assert login["auth"]["client_token"] and client.is_authenticated()
assert client.auth.token.lookup_self()["data"]["ttl"] > 0
assert client.auth.token.renew_self()["auth"]["renewable"] is True
read = client.secrets.kv.v2.read_secret_version(path="wardline/from/python", raise_on_deleted_version=True)
assert read["data"]["data"] == {"value": "said by hvac"}
for missing in ("wardline/none", "wardline/gone"):
    try:
        client.secrets.kv.v2.read_secret_version(path=missing, raise_on_deleted_version=True)
        sys.exit(f"{missing} was there")
    except hvac.exceptions.InvalidPath:
        pass

transit = client.secrets.transit
plain = base64.b64encode(b"a data key").decode()
first = transit.encrypt_data(name="wardline", plaintext=plain)["data"]["ciphertext"]
assert first.startswith("vault:v1:")
admin.secrets.transit.rotate_key(name="wardline")
assert admin.secrets.transit.read_key(name="wardline")["data"]["latest_version"] == 2
second = transit.encrypt_data(name="wardline", plaintext=plain)["data"]["ciphertext"]
assert second.startswith("vault:v2:")
for sealed in (first, second):
    assert transit.decrypt_data(name="wardline", ciphertext=sealed)["data"]["plaintext"] == plain
try:
    transit.decrypt_data(name="wardline", ciphertext=first[:-8] + "AAAAAAA=")
    sys.exit("a changed ciphertext was opened")
except hvac.exceptions.InvalidRequest:
    pass
try:
    hvac.Client(url=url, namespace=namespace or None).auth.approle.login(role_id=role, secret_id="wrong")
    sys.exit("a wrong secret id was taken")
except hvac.exceptions.InvalidRequest:
    pass
print(json.dumps({"ok": True}))
