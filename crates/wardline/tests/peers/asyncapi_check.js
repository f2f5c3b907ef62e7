// Reads an AsyncAPI document from standard input with the reference parser of the AsyncAPI initiative, and says what it
// finds: `node asyncapi_check.js NODE_MODULES < document.json`.
const { createRequire } = require('node:module');
const modules = createRequire(process.argv[2] + '/');
const { Parser } = modules('@asyncapi/parser');

let text = '';
process.stdin.on('data', (part) => (text += part));
process.stdin.on('end', async () => {
  const { document, diagnostics } = await new Parser().parse(text);
  // Errors only: the rest is advice about style.
  const errors = diagnostics.filter((one) => one.severity === 0).map((one) => `${one.path.join('/')}: ${one.message}`);
  const found = document
    ? { channels: document.channels().all().length, operations: document.operations().all().length, messages: document.messages().all().length }
    : null;
  console.log(JSON.stringify({ errors, found }));
});
