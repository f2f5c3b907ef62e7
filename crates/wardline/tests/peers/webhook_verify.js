// npm `standardwebhooks` on the other side of the wire: reads {"headers": {...}, "body": "..."} and
// ends well only where it verifies with the secret that it is given.
const { Webhook } = require("standardwebhooks");

let text = "";
process.stdin.on("data", (chunk) => (text += chunk));
process.stdin.on("end", () => {
  const given = JSON.parse(text);
  const read = new Webhook(process.argv[2]).verify(given.body, given.headers);
  process.stdout.write(JSON.stringify(read));
});
