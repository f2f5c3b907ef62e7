// npm node-hl7-server as a receiver. Prints its port, then each message as one line of JSON
// as its own parser read it.
//
// Version 2.5.0 never empties its buffer, so on one connection it would parse the second
// message glued to the first. It is therefore used as many receivers are: one message a
// connection.
//
// usage: hl7_server.js MODULES [KEY CERT]

const fs = require('node:fs')
const { createRequire } = require('node:module')
const [modules, key, cert] = process.argv.slice(2)
const { Server } = createRequire(modules + '/')('node-hl7-server')

const options = { bindAddress: '127.0.0.1' }
if (key) options.tls = { key: fs.readFileSync(key), cert: fs.readFileSync(cert), requestCert: false }

let socket
let raw
const inbound = new Server(options).createInbound({ port: 0 }, async (request, response) => {
  const message = request.getMessage()
  const at = (path) => message.get(path).toString()
  const line = { id: at('MSH.10'), type: at('MSH.9.2'), mrn: at('PID.3.1'), family: at('PID.5.1'), raw }
  process.stdout.write(JSON.stringify(line) + '\n')
  const answering = socket
  await response.sendResponse('AA')
  answering.removeAllListeners('data')
  answering.destroySoon()
})
inbound.on('client.connect', (connected) => { socket = connected })
inbound.on('data.raw', (text) => { raw = text })
inbound.on('data.error', (error) => { console.error(error); process.exit(1) })
inbound.on('listen', () => { process.stdout.write(`${inbound._socket.address().port}\n`) })
