// npm oidc-provider as the identity provider of a hospital: three people, their groups told by
// userinfo only, as it does where nothing else is said. Prints its port when it listens.
//
// usage: oidc_idp.mjs MODULES PORT REDIRECT SECRET

import { pathToFileURL } from 'node:url'

const [modules, port, redirect, secret] = process.argv.slice(2)
const { Provider } = await import(pathToFileURL(modules + '/oidc-provider/lib/index.js'))

const people = {
  'anna.diaz': { name: 'Anna Diaz', groups: ['WL-Desk', 'everybody'] },
  'otto.tudor': { name: 'Otto Tudor', groups: ['WL-Audit'] },
  'mallory': { name: 'Mallory', groups: ['everybody', 'wl-desk'] },
}

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{
    client_id: 'wardline',
    client_secret: secret,
    redirect_uris: [redirect],
    response_types: ['code'],
    grant_types: ['authorization_code'],
  }],
  scopes: ['openid', 'profile', 'groups'],
  claims: { openid: ['sub'], profile: ['preferred_username', 'name'], groups: ['groups'] },
  pkce: { required: () => true },
  findAccount: async (_, id) => people[id] && {
    accountId: id,
    claims: async () => ({ sub: id, preferred_username: id, ...people[id] }),
  },
})
provider.listen(Number(port), '127.0.0.1', () => process.stdout.write(`listening on ${port}\n`))
