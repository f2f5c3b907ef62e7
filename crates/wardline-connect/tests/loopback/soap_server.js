// A SOAP server that others wrote (npm `soap`), for the tests of our client.
// Arguments: where its modules are, the description. Prints its port, then one line of JSON a call.
const [modules, wsdl] = process.argv.slice(2);
const soap = require(`${modules}/soap`);
const http = require('http');
const fs = require('fs');
const crypto = require('crypto');

const say = (what) => process.stdout.write(JSON.stringify(what) + '\n');
const fault = (code, detail) => ({ Fault: { faultcode: code, faultstring: 'no', detail, statusCode: 500 } });
const port = {
  CreateOrder(args) {
    say(args);
    if (args.number === 'unknown-supplier') {
      throw fault('soap:Client', '<UnknownSupplier xmlns="urn:orders"><supplier>S-9</supplier><known>false</known></UnknownSupplier>');
    }
    if (args.number === 'down') {
      throw fault('soap:Server');
    }
    return { reference: `R-${args.number}`, accepted: true };
  },
};
const server = http.createServer((_, response) => { response.statusCode = 404; response.end(); });
server.listen(0, '127.0.0.1', () => {
  const xml = fs.readFileSync(wsdl, 'utf8');
  const services = { Orders: { Orders11: port, Orders12: port } };
  const callback = () => say({ port: server.address().port });
  const listening = soap.listen(server, { path: '/ws/orders', services, xml, uri: wsdl, callback });
  listening.authenticate = (security) => {
    const token = security && security.UsernameToken;
    if (!token) {
      return false;
    }
    const text = (part) => (part && part.$value !== undefined ? part.$value : part);
    const hash = crypto.createHash('sha1');
    hash.update(Buffer.from(text(token.Nonce), 'base64'));
    hash.update(text(token.Created));
    hash.update('sesame');
    return token.Username === 'wardline' && hash.digest('base64') === text(token.Password);
  };
});
