// An identity provider that others wrote (npm oauth2-mock-server), which can be slowed and whose
// keys can be changed. Reads one command a line and answers each with one line.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, port] = process.argv.slice(2);
const at = pathToFileURL(join(modules, "oauth2-mock-server/dist/index.mjs"));
const { OAuth2Issuer, OAuth2Service } = await import(at);

let issuer, service, slow = 0, fetches = 0;

async function keys(kid) {
  issuer = new OAuth2Issuer();
  issuer.url = `http://localhost:${server.address().port}`;
  await issuer.keys.generate("ES256", { kid });
  service = new OAuth2Service(issuer);
}

const server = createServer((request, response) => {
  if (request.url === "/jwks") fetches += 1;
  setTimeout(() => service.requestHandler(request, response), slow);
});
await new Promise((ready) => server.listen(Number(port), "localhost", ready));
await keys("k1");
console.log(issuer.url);

for await (const line of createInterface({ input: process.stdin })) {
  const { verb, kid, claims, ms } = JSON.parse(line);
  switch (verb) {
    case "token":
      console.log(await issuer.buildToken({
        kid,
        scopesOrTransform: (header, payload) => Object.assign(payload, claims),
      }));
      break;
    case "rotate":
      await keys(kid);
      console.log("rotated");
      break;
    case "slow":
      slow = ms;
      console.log("slow");
      break;
    case "fetches":
      console.log(fetches);
      fetches = 0;
      break;
  }
}
process.exit(0);
