/** An OpenID provider whose people, keys and lies are told to it; driven as `lines.mjs` says. */
import { createServer } from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import Provider from 'oidc-provider';
import { serve } from '../lines.mjs';

console.log = console.info = console.warn = console.error; // standard output is for answers

const realNow = Date.now;
const people = new Map();
let server;
let handle;

function newKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'RS256' };
}

function providerWith(issuer, redirects) {
  return new Provider(issuer, {
    clients: [
      {
        client_id: 'halyard',
        client_secret: 'a secret that nobody knows',
        redirect_uris: redirects,
        response_types: ['code'],
        grant_types: ['authorization_code'],
      },
    ],
    jwks: { keys: [newKey()] },
    cookies: { keys: [randomUUID()] },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'groups'] },
    pkce: { required: () => true },
    features: { devInteractions: { enabled: true } },
    ttl: { AuthorizationCode: 60 },
    findAccount: async (_ctx, id) => ({
      accountId: id,
      claims: async () => ({ sub: id, ...people.get(id) }),
    }),
  });
}

await serve({
  /** Begin to serve on this port; with `port` of before and new keys, where it serves already. */
  async start({ port, redirects }) {
    Date.now = realNow;
    const bare = server ?? createServer((request, response) => handle(request, response));
    if (!server) {
      await new Promise((resolve) => bare.listen(port ?? 0, '127.0.0.1', resolve));
      server = bare;
    }
    const issuer = `http://127.0.0.1:${server.address().port}`;
    handle = providerWith(issuer, redirects).callback();
    return { issuer, port: server.address().port };
  },
  /** What is known of a person. */
  person({ id, claims }) {
    people.set(id, claims);
  },
  /** Have so much time pass. */
  later({ seconds }) {
    Date.now = () => realNow() + seconds * 1000;
  },
  async stop() {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    server = undefined;
  },
});

process.exit(0); // whatever connections are still open
