"""A mail server that keeps what it gets: aiosmtpd, with TLS, logins and refusals as asked for."""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


class Sink:
    def __init__(self, refuse):
        self.refuse = refuse

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("unknown@"):
            return "550 5.1.1 no such user " + address
        if address.startswith("later@"):
            return "451 4.7.1 come later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        print(
            json.dumps(
                {
                    "from": envelope.mail_from,
                    "to": envelope.rcpt_tos,
                    "tls": server.transport.get_extra_info("ssl_object") is not None,
                    "user": getattr(session.auth_data, "login", b"").decode() if session.auth_data else None,
                    "text": envelope.content.decode("ascii"),
                }
            ),
            flush=True,
        )
        return "250 taken"


def authenticate(server, session, envelope, mechanism, data):
    good = data.login == b"wardline" and data.password == b"open sesame"
    return AuthResult(success=good, handled=False, auth_data=data)


async def main():
    how, cert, key, mechanism = sys.argv[1:5]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    loop = asyncio.get_running_loop()

    def make():
        return SMTP(
            Sink(None),
            hostname="sink.example",
            tls_context=context if how == "starttls" else None,
            require_starttls=how == "starttls",
            auth_required=mechanism != "none",
            auth_require_tls=how == "starttls",
            authenticator=authenticate,
            auth_exclude_mechanism=["PLAIN"] if mechanism == "login" else [],
            loop=loop,
        )

    server = await loop.create_server(
        make, "127.0.0.1", 0, ssl=context if how == "implicit" else None
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
