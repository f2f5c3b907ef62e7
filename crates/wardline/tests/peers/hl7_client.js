// npm node-hl7-client as a sender: builds ADT^A01 messages with its own builder, sends them
// on one connection and prints what was acknowledged, one line of JSON each.
//
// usage: hl7_client.js MODULES PORT COUNT [CA]

const fs = require('node:fs')
const { createRequire } = require('node:module')
const [modules, port, count, ca] = process.argv.slice(2)
const library = createRequire(modules + '/')('node-hl7-client')
const Client = library.Client ?? library.default

const options = { host: ca ? 'localhost' : '127.0.0.1', version: '2.5.1' }
if (ca) options.tls = { ca: fs.readFileSync(ca) }

let answered
const connection = new Client(options).createConnection({ port: Number(port) }, async (response) => {
  const answer = response.getMessage()
  const at = (path) => answer.get(path).toString()
  process.stdout.write(JSON.stringify({ code: at('MSA.1'), id: at('MSA.2'), type: at('MSH.9.1') }) + '\n')
  answered()
})
connection.on('client.error', (error) => { console.error(error); process.exit(1) })

async function main () {
  for (let n = 0; n < Number(count); n++) {
    const message = new library.HL7_2_5_1()
      .buildMSH({
        msh_3: 'NODE', msh_4: 'PEER', msh_5: 'WARDLINE', msh_6: 'TEST',
        msh_9_1: 'ADT', msh_9_2: 'A01', msh_9_3: 'ADT_A01', msh_10: `NODE-${n}`, msh_11_1: 'P'
      })
      .buildEVN({ evn_2: new Date('2026-11-24T10:42:03Z') })
      .buildPID({ pid_3: `MRN-${n % 3}`, pid_5: 'Sørensen^Åse' })
      .toMessage()
    const answer = new Promise((resolve) => { answered = resolve })
    await connection.sendMessage(message)
    await answer
  }
  await connection.close()
  process.exit(0)
}

main().catch((error) => { console.error(error); process.exit(1) })
