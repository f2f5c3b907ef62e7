"""A client of Wardline's token endpoint that others wrote: PyPI Authlib, and joserfc for tokens
that are nearly right.

  tokens.py keys DIR                    make keys and their public halves
  tokens.py flow DIR BASE CLIENT WAY    discovery, token, introspection, call, revocation
  tokens.py publish DIR PORT            serve a client's public keys until killed
  tokens.py malformed DIR BASE          print tokens that must be refused
"""

import base64
import hashlib
import hmac
import http.server
import json
import os
import ssl
import sys
import time

import httpx
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from joserfc import jwk, jws

CALL = "/supplier-master/v1/suppliers/V-100"


def write(path, text):
    with open(path, "w", opener=lambda p, f: os.open(p, f, 0o600)) as file:
        file.write(text)


def keys(directory):
    made = {
        "ES256": jwk.ECKey.generate_key("P-256"),
        "ES384": jwk.ECKey.generate_key("P-384"),
        "RS384": jwk.RSAKey.generate_key(2048),
        "url": jwk.ECKey.generate_key("P-256"),
        "login": jwk.ECKey.generate_key("P-256"),
    }
    for name, key in made.items():
        algorithm = name if name in ("ES384", "RS384") else "ES256"
        public = key.as_dict(private=False, kid=name, alg=algorithm, use="sig")
        write(f"{directory}/{name}.jwks.json", json.dumps({"keys": [public]}))
        pem = key.as_pem(private=True)
        write(f"{directory}/{name}.pem", pem.decode() if isinstance(pem, bytes) else pem)


def read(path):
    with open(path) as file:
        return file.read()


class Short(PrivateKeyJWT):
    """Authlib's assertions live for an hour; five minutes are the most (SMART Backend Services).
    Claims that it is given it keeps, with the `jti` that it adds: new ones for each."""

    def sign(self, auth, token_endpoint):
        self.claims = {"exp": int(time.time()) + 240}
        return super().sign(auth, token_endpoint)


def flow(directory, base, name, way):
    trust = {}
    if way in ("tls", "self"):
        context = ssl.create_default_context(cafile=f"{directory}/ca.pem")
        context.load_cert_chain(f"{directory}/{way}.cert.pem", f"{directory}/{way}.key.pem")
        trust["verify"] = context
    found = httpx.get(f"{base}/.well-known/oauth-authorization-server", **trust)
    found.raise_for_status()
    metadata = AuthorizationServerMetadata(found.json())
    # What RFC 8414 says of it; Authlib insists on https and on an authorization endpoint, which a
    # server of client credentials alone does not have (RFC 8414, 2).
    assert metadata["issuer"] == base, metadata
    metadata.validate_token_endpoint_auth_methods_supported()
    metadata.validate_token_endpoint_auth_signing_alg_values_supported()
    metadata.validate_grant_types_supported()
    metadata.validate_introspection_endpoint_auth_methods_supported()
    metadata.validate_revocation_endpoint_auth_methods_supported()
    token_endpoint = metadata["token_endpoint"]

    if way == "basic":
        method, secret = "client_secret_basic", read(f"{directory}/basic.secret")
    elif way in ("tls", "self"):
        method, secret = "none", None
    else:
        kind = jwk.RSAKey if way == "RS384" else jwk.ECKey
        method, secret = "private_key_jwt", kind.import_key(read(f"{directory}/{way}.pem"))
    client = OAuth2Client(
        name,
        secret,
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        **trust,
    )
    if method == "private_key_jwt":
        algorithm = way if way != "url" else "ES256"
        client.register_client_auth_method(
            Short(token_endpoint, headers={"kid": way}, alg=algorithm)
        )
    token = client.fetch_token(token_endpoint, grant_type="client_credentials")
    assert token["token_type"] == "Bearer" and token["expires_in"] <= 300, token
    assert "refresh_token" not in token

    called = httpx.get(
        base + CALL, headers={"Authorization": f"Bearer {token['access_token']}"}, **trust
    )
    expected = 404 if way in ("tls", "self") else 200
    assert called.status_code == expected, (called.status_code, called.text)

    told = client.introspect_token(
        metadata["introspection_endpoint"],
        token=token["access_token"],
    )
    told.raise_for_status()
    told = told.json()
    assert told["active"] is True and told["client_id"] == name, told
    if way in ("tls", "self"):
        assert told["cnf"]["x5t#S256"] == thumbprint(f"{directory}/{way}.cert.pem"), told

    gone = client.revoke_token(
        metadata["revocation_endpoint"],
        token=token["access_token"],
    )
    gone.raise_for_status()
    told = client.introspect_token(
        metadata["introspection_endpoint"],
        token=token["access_token"],
    )
    assert told.json() == {"active": False}, told.text
    if expected == 200:
        refused = httpx.get(
            base + CALL, headers={"Authorization": f"Bearer {token['access_token']}"}, **trust
        )
        assert refused.status_code == 401, refused.status_code
    print("ok")


def thumbprint(path):
    pem = read(path)
    der = base64.b64decode("".join(pem.split("-----")[2].split()))
    return encoded(hashlib.sha256(der).digest())


def encoded(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def publish(directory, port):
    body = read(f"{directory}/url.jwks.json").encode()

    class Keys(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = http.server.HTTPServer(("127.0.0.1", int(port)), Keys)
    print("ready", flush=True)
    server.serve_forever()


def malformed(directory, base):
    login = jwk.ECKey.import_key(read(f"{directory}/login.pem"))
    now = int(time.time())
    right = {
        "iss": "https://login.example",
        "aud": "wardline",
        "azp": "erp-app",
        "sub": "x",
        "iat": now,
        "exp": now + 300,
        "scope": "supplier.read",
    }
    header = {"alg": "ES256", "kid": "login", "typ": "JWT"}
    own = httpx.get(f"{base}/oauth/jwks").json()["keys"][0]

    def sign(claims=None, head=None, key=login):
        payload = claims if isinstance(claims, bytes) else json.dumps(claims or right).encode()
        registry = jws.JWSRegistry(
            algorithms=["ES256", "HS256", "none"], strict_check_header=False
        )
        return jws.serialize_compact(head or header, payload, key, registry=registry)

    def raw(head, claims, signature=b""):
        parts = [head if isinstance(head, bytes) else json.dumps(head).encode()]
        parts.append(claims if isinstance(claims, bytes) else json.dumps(claims).encode())
        return ".".join([encoded(part) for part in parts] + [encoded(signature)])

    def by_login(head, claims):
        """Signed well, whatever stands in it: for what joserfc refuses to write."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, utils

        signed = raw(head, claims).rsplit(".", 1)[0]
        der = login.private_key.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
        r, s = utils.decode_dss_signature(der)
        return f"{signed}.{encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def but(**changes):
        claims = {**right, **changes}
        return {name: value for name, value in claims.items() if value is not None}

    def head(**changes):
        whole = {**header, **changes}
        return {name: value for name, value in whole.items() if value is not None}

    def by_secret(secret):
        signed = raw(head(alg="HS256"), right).rsplit(".", 1)[0]
        return f"{signed}.{encoded(hmac.new(secret, signed.encode(), 'sha256').digest())}"

    good = sign()
    pieces = good.split(".")
    public = login.as_dict(private=False)
    ours = {
        "iss": base,
        "aud": base,
        "sub": "pay-basic",
        "client_id": "pay-basic",
        "jti": "j",
        "iat": now,
        "nbf": now,
        "exp": now + 300,
        "scope": "supplier.read",
    }
    text = json.dumps(right)
    cases = {
        "none": raw(head(alg="none"), right),
        "None": raw(head(alg="None"), right),
        "nOnE with a signature": raw(head(alg="nOnE"), right, b"x" * 64),
        "hs256 with the public key as pem": by_secret(login.as_pem(private=False)),
        "hs256 with the public key as jwk": by_secret(json.dumps(public).encode()),
        "hs256 with nothing": by_secret(b""),
        "rs256 by name only": by_login(head(alg="RS256"), right),
        "es384 by name only": by_login(head(alg="ES384"), right),
        "no alg": by_login(head(alg=None), right),
        "alg is a number": by_login(head(alg=256), right),
        "its own key in jwk": by_login(head(jwk=public, kid=None), right),
        "jku": by_login(head(jku="https://evil.example/keys"), right),
        "x5u": by_login(head(x5u="https://evil.example/cert"), right),
        "x5c": by_login(head(x5c=["MIIB"]), right),
        "unknown crit": by_login(head(crit=["exp2"], exp2=1), right),
        "empty crit": by_login(head(crit=[]), right),
        "b64 false": by_login(head(b64=False, crit=["b64"]), right),
        "zip": by_login(head(zip="DEF"), right),
        "kid of a path": by_login(head(kid="../../etc/passwd"), right),
        "kid of sql": by_login(head(kid="x' or '1'='1"), right),
        "kid is a number": by_login(head(kid=1), right),
        "typ of an id token's logout": by_login(head(typ="logout+jwt"), right),
        "typ of an assertion": by_login(head(typ="client-authentication+jwt"), right),
        "string exp": by_login(header, but(exp=str(now + 300))),
        "exp is true": by_login(header, but(exp=True)),
        "exp is a list": by_login(header, but(exp=[now + 300])),
        "no exp": by_login(header, but(exp=None)),
        "exp is over": by_login(header, but(exp=now - 31)),
        "exp is 1e400": by_login(header, text.replace(str(now + 300), "1e400").encode()),
        "negative exp": by_login(header, but(exp=-1)),
        "string nbf": by_login(header, but(nbf=str(now))),
        "future nbf": by_login(header, but(nbf=now + 3600)),
        "other aud": by_login(header, but(aud="other")),
        "aud with a slash": by_login(header, but(aud="wardline/")),
        "array aud without us": by_login(header, but(aud=["a", "b"])),
        "aud is an object": by_login(header, but(aud={"wardline": 1})),
        "no aud": by_login(header, but(aud=None)),
        "other iss": by_login(header, but(iss="https://evil.example")),
        "iss with a slash": by_login(header, but(iss="https://login.example/")),
        "iss is a list": by_login(header, but(iss=["https://login.example"])),
        "other azp": by_login(header, but(azp="other")),
        "duplicated exp": by_login(header, (text[:-1] + f', "exp": {now + 9999}}}').encode()),
        "duplicated alg": by_login(
            (json.dumps(header)[:-1] + ', "alg": "ES256"}').encode(), right
        ),
        "bound to a certificate": by_login(header, but(cnf={"x5t#S256": "A" * 43})),
        "bound to a dpop key": by_login(header, but(cnf={"jkt": "A" * 43})),
        "claims are a list": by_login(header, b"[]"),
        "claims are not utf-8": by_login(header, b'{"iss":"\xff"}'),
        "signed by somebody else": sign(key=jwk.ECKey.generate_key("P-256")),
        "signature of zeros": f"{pieces[0]}.{pieces[1]}.{encoded(bytes(64))}",
        "signature cut": good[:-8],
        "signature in der": ".".join(pieces[:2] + [encoded(b"0E" + bytes(68))]),
        "padding": good + "==",
        "four parts": good + ".x",
        "two parts": ".".join(pieces[:2]),
        "a blank inside": good.replace(".", ". ", 1),
        "too long": good + "A" * 9000,
        "claims exchanged": ".".join(
            [pieces[0], encoded(json.dumps(but(azp="erp-app", scope="x")).encode()), pieces[2]]
        ),
        "ours by another key": by_login({"alg": "ES256", "kid": own["kid"], "typ": "at+jwt"}, ours),
        "ours by their kid": by_login({"alg": "ES256", "kid": "login", "typ": "at+jwt"}, ours),
        "ours unsigned": raw({"alg": "none", "kid": own["kid"], "typ": "at+jwt"}, ours),
    }
    print(json.dumps({"good": good, "cases": cases}))


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
