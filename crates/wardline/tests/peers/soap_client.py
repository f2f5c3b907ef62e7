"""zeep against a SOAP service of ours. Each line of standard input is a call as JSON; one line of JSON answers it."""
import json
import sys

import xmlsec
import zeep
from lxml import etree
from zeep.wsse import utils
from zeep.wsse.signature import BinarySignature
from zeep.wsse.username import UsernameToken


class Stamped(BinarySignature):
    """A signature over body and timestamp; what we answer is not signed."""

    def apply(self, envelope, headers):
        stamp = utils.get_timestamp_token() if hasattr(utils, "get_timestamp_token") else None
        if stamp is None:
            stamp = timestamp(envelope)
        else:
            utils.get_security_header(envelope).append(stamp)
        return super().apply(envelope, headers)

    def verify(self, envelope):
        return envelope


def timestamp(envelope):
    import datetime

    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    text = lambda time: time.isoformat().replace("+00:00", "Z")
    wsu = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
    element = etree.SubElement(utils.get_security_header(envelope), "{%s}Timestamp" % wsu)
    etree.SubElement(element, "{%s}Created" % wsu).text = text(now)
    etree.SubElement(element, "{%s}Expires" % wsu).text = text(now + datetime.timedelta(minutes=5))
    return element


def client(call):
    if "user" in call:
        wsse = UsernameToken(call["user"], call["password"], use_digest=True)
    elif "key" in call:
        wsse = Stamped(call["key"], call["cert"], None, xmlsec.Transform.RSA_SHA256, xmlsec.Transform.SHA256)
    else:
        wsse = None
    return zeep.Client(call["wsdl"], wsse=wsse, port_name=call.get("port"), service_name=call.get("service"))


for line in sys.stdin:
    call = json.loads(line)
    try:
        answer = getattr(client(call).service, call["operation"])(**call["with"])
        said = {"answer": zeep.helpers.serialize_object(answer, dict)}
    except zeep.exceptions.Fault as fault:
        said = {"fault": fault.message, "code": fault.code, "subcodes": [str(one) for one in fault.subcodes or []]}
    print(json.dumps(said), flush=True)
