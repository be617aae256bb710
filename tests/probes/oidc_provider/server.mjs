// npm's oidc-provider with Auth0's paths and its password-realm grant, over TLS on loopback.
// Arguments: certificate, key, issuer. Prints its port when it listens.
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

import Provider, { errors } from 'oidc-provider';

const [cert, key, issuer] = process.argv.slice(2);
const GRANT = 'http://auth0.com/oauth/grant-type/password-realm';
const USER = { username: 'probe@example.test', password: 'correct horse', realm: 'users' };

const signing = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const provider = new Provider(issuer, {
  clients: [{
    client_id: 'probe-client',
    client_secret: 'probe-client-secret',
    grant_types: [GRANT],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: 'client_secret_post',
  }],
  features: { devInteractions: { enabled: false } },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  jwks: { keys: [{ ...signing.export({ format: 'jwk' }), alg: 'RS256', use: 'sig' }] },
  routes: { jwks: '/.well-known/jwks.json', token: '/oauth/token' },
  ttl: { AccessToken: 600, Grant: 600, IdToken: 600 },
});

provider.registerGrantType(GRANT, async (ctx) => {
  const { client, params } = ctx.oidc;
  if (Object.entries(USER).some(([name, value]) => params[name] !== value)) {
    throw new errors.InvalidGrant('Wrong email or password.');
  }
  const accountId = params.username;
  const grant = new provider.Grant({ clientId: client.clientId, accountId });
  grant.addOIDCScope('openid');
  const access = new provider.AccessToken({
    accountId,
    client,
    grantId: await grant.save(),
    gty: 'password',
    scope: 'openid',
  });
  const id = new provider.IdToken({ sub: accountId }, { ctx });
  id.scope = 'openid';
  ctx.body = {
    access_token: await access.save(),
    expires_in: access.expiration,
    id_token: await id.issue({ use: 'idtoken' }),
    token_type: access.tokenType,
  };
}, ['username', 'password', 'realm', 'scope']);

const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, provider.callback());
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
