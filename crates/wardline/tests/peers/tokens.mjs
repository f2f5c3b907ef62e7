// A client of Wardline's token endpoint that others wrote: npm openid-client (and oauth4webapi,
// on which it stands). Arguments: modules, base URL, client, way, a PEM file or a secret.
import { readFileSync } from "node:fs";
import { webcrypto, createPrivateKey } from "node:crypto";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, base, name, way, proof] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(join(modules, path)));
const client = await load("openid-client/build/index.js");
const low = await load("oauth4webapi/build/index.js");

const kinds = {
  ES256: { name: "ECDSA", namedCurve: "P-256" },
  ES384: { name: "ECDSA", namedCurve: "P-384" },
  RS384: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-384" },
};
async function key() {
  const der = createPrivateKey(readFileSync(proof)).export({ type: "pkcs8", format: "der" });
  return webcrypto.subtle.importKey("pkcs8", der, kinds[way], false, ["sign"]);
}
function check(what, holds) {
  if (!holds) throw new Error(what);
}

const auth = way === "basic"
  ? client.ClientSecretBasic(readFileSync(proof, "utf8"))
  : client.PrivateKeyJwt({ key: await key(), kid: way });
const config = await client.discovery(new URL(base), name, undefined, auth, {
  algorithm: "oauth2",
  execute: [client.allowInsecureRequests],
});
check("issuer", config.serverMetadata().issuer === base);

const token = await client.clientCredentialsGrant(config, { scope: "supplier.read" });
check("expires", token.expires_in <= 300);

const answer = await client.fetchProtectedResource(
  config,
  token.access_token,
  new URL("/supplier-master/v1/suppliers/V-100", base),
  "GET",
);
check(`called: ${answer.status}`, answer.status === 200);

const told = await client.tokenIntrospection(config, token.access_token);
check("active", told.active && told.client_id === name && told.scope === "supplier.read");

// oauth4webapi as a resource server: what RFC 9068 says of an access token, by our metadata and
// keys.
const request = new Request(`${base}/x`, { headers: { authorization: `Bearer ${token.access_token}` } });
const as = config.serverMetadata();
const claims = await low.validateJwtAccessToken(as, request, base, {
  [low.allowInsecureRequests]: true,
});
check("claims", claims.sub === name && claims.iss === base);

await client.tokenRevocation(config, token.access_token);
check("revoked", (await client.tokenIntrospection(config, token.access_token)).active === false);

// What is refused is told as RFC 6749, 5.2 wants it.
const refused = await client.clientCredentialsGrant(config, { scope: "no.such" }).catch((e) => e);
check(`refused: ${refused}`, refused.error === "invalid_scope" && refused.status === 400);
const wrong = await client.discovery(new URL(base), name, undefined, client.ClientSecretBasic("wrong"), {
  algorithm: "oauth2",
  execute: [client.allowInsecureRequests],
});
const unknown = await client.clientCredentialsGrant(wrong, {}).catch((e) => e);
check(`unknown: ${unknown} ${unknown.status}`, unknown.status === 401);
console.log("ok");
