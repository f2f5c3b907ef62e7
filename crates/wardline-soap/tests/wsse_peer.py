"""WS-Security as zeep and xmlsec do it. `user` and `sign` print a message that they made, `verify` reads one of
ours and verifies its signature."""
import datetime
import sys

import xmlsec
from lxml import etree
from zeep.wsse import utils
from zeep.wsse.signature import BinarySignature, verify_envelope
from zeep.wsse.username import UsernameToken

ENVELOPE = b"""<soap-env:Envelope xmlns:soap-env="http://schemas.xmlsoap.org/soap/envelope/"><soap-env:Body>
<ns0:order xmlns:ns0="urn:po"><ns0:amount>10</ns0:amount></ns0:order></soap-env:Body></soap-env:Envelope>"""



def stamp(envelope):
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    text = lambda time: time.isoformat().replace("+00:00", "Z")
    wsu = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
    element = etree.SubElement(utils.get_security_header(envelope), "{%s}Timestamp" % wsu)
    etree.SubElement(element, "{%s}Created" % wsu).text = text(now)
    etree.SubElement(element, "{%s}Expires" % wsu).text = text(now + datetime.timedelta(minutes=5))


def main():
    act, *rest = sys.argv[1:]
    if act == "verify":
        verify_envelope(etree.fromstring(sys.stdin.buffer.read()), rest[0])
        print("verified")
        return
    envelope = etree.fromstring(ENVELOPE)
    if act == "user":
        envelope, _ = UsernameToken(rest[0], rest[1], use_digest=True).apply(envelope, {})
    else:
        stamp(envelope)
        signature = BinarySignature(rest[0], rest[1], None, xmlsec.Transform.RSA_SHA256, xmlsec.Transform.SHA256)
        envelope, _ = signature.apply(envelope, {})
    sys.stdout.buffer.write(etree.tostring(envelope))


main()
