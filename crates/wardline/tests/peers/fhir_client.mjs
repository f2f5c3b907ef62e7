// npm `fhir-kit-client` against a FHIR service: node fhir_client.mjs MODULES BASE TOKEN
const [modules, baseUrl, bearerToken] = process.argv.slice(2);
const { Client } = await import(`${modules}/fhir-kit-client/dist/index.js`);
const client = new Client({ baseUrl, bearerToken });
const said = {};
const statement = await client.capabilityStatement();
said.version = statement.fhirVersion;
const one = (n) => ({
  resourceType: "Patient",
  active: true,
  identifier: [{ system: "https://fhir.st-brigid.example/mrn", value: `K${n}` }],
  name: [{ family: "Kit" }],
});
const made = await client.create({ resourceType: "Patient", body: one(1) });
said.made = made.meta.versionId;
const status = (error) => error.response?.status;
try {
  const options = { headers: { "If-Match": 'W/"9"' } };
  await client.update({ resourceType: "Patient", id: made.id, body: made, options });
} catch (error) {
  said.stale = status(error);
}
const off = { ...made, active: false };
said.changed = (await client.update({ resourceType: "Patient", id: made.id, body: off })).meta.versionId;
for (const n of [2, 3]) await client.create({ resourceType: "Patient", body: one(n) });
let page = await client.search({ resourceType: "Patient", searchParams: { family: "kit", _count: 2 } });
said.found = 0;
said.pages = 0;
while (page) {
  said.pages += 1;
  said.found += page.entry?.length ?? 0;
  page = page.link.some((link) => link.relation === "next") ? await client.nextPage({ bundle: page }) : undefined;
}
await client.delete({ resourceType: "Patient", id: made.id });
try {
  await client.read({ resourceType: "Patient", id: made.id });
} catch (error) {
  said.gone = status(error);
}
try {
  await client.create({ resourceType: "Patient", body: { ...one(4), gender: "x" } });
} catch (error) {
  const outcome = error.response?.data;
  said.wrong = outcome.issue[0].expression[0];
}
console.log(JSON.stringify(said));
