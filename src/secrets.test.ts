import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { type TestContext, temporaryFolder } from '../test/fakes/rooms.ts'
import { Secrets, secretsOf } from './secrets.ts'

function installation(t: TestContext) {
  const root = temporaryFolder(t)
  mkdirSync(path.join(root, '.claude'))
  const logIn = (token: string) =>
    writeFileSync(
      path.join(root, '.claude', '.credentials.json'),
      JSON.stringify({ claudeAiOauth: { accessToken: token, expiresAt: 1 } }),
    )
  return { root, logIn, make: () => new Secrets({ root, userHome: root, apiKey: 'the-api-key', oauthToken: undefined }) }
}

test('secrets are known wherever they are kept: settings, .env, the login of Claude Code, and what is included', (t) => {
  const { root, logIn, make } = installation(t)
  writeFileSync(path.join(root, '.env'), 'TELEGRAM_BOT_TOKEN=telegram-value\nASSISTANT_NAME=Andy-the-first\n')
  logIn('login-of-today')
  const secrets = make()
  secrets.include(() => ['value-of-a-group'])
  assert.equal(
    secrets.redact('the-api-key telegram-value login-of-today value-of-a-group Andy-the-first'),
    '[redacted] [redacted] [redacted] [redacted] Andy-the-first',
  )
})

test('a new login is a secret at the next look, and the old one stays one', (t) => {
  const { logIn, make } = installation(t)
  logIn('login-of-today')
  const secrets = make()
  logIn('login-of-tomorrow')
  secrets.refresh()
  assert.equal(secrets.redact('login-of-today login-of-tomorrow'), '[redacted] [redacted]')
})

test('a file that is broken or missing hides nothing and breaks nothing', (t) => {
  const { root, make } = installation(t)
  writeFileSync(path.join(root, '.claude', '.credentials.json'), '{')
  assert.equal(make().redact('hello the-api-key'), 'hello [redacted]')
})

test('a name with any of the words for a secret makes its value one', () => {
  const words = ['KEY', 'token', 'Secret', 'passwd', 'PASSWORD', 'passphrase', 'PWD', 'Authorization', 'cookie', 'credentials']
  for (const word of words) assert.deepEqual(secretsOf({ [`MY_${word}_1`]: 'a-value-of-its-own' }), ['a-value-of-its-own'], word)
  for (const name of ['MY_NAME', 'URL', 'ASSISTANT_NAME']) assert.deepEqual(secretsOf({ [name]: 'a-value-of-its-own' }), [], name)
  assert.deepEqual(secretsOf({ KEY: undefined, TOKEN: '' }), [])
})

test('a number of up to 12 digits and a word of up to 7 characters are no secrets, and longer ones are', () => {
  const isSecret = (value: string) => secretsOf({ KEY: value }).length > 0
  assert.deepEqual(
    [12, 13].map((length) => isSecret('1'.repeat(length))),
    [false, true],
  )
  assert.deepEqual(
    [7, 8].map((length) => isSecret('k'.repeat(length))),
    [false, true],
  )
  for (const place of ['/etc/keys/mine', '~/.ssh/id_rsa', './keys/mine', 'https://x.test/token'])
    assert.ok(!isSecret(place), place)
  for (const secret of ['https://ann:secret@x.test', 'keys/of/mine', '1234567890ab', 'a/b+c=defgh'])
    assert.ok(isSecret(secret), secret)
})

test('an included secret is read again at each look, and stays a secret when it is removed', (t) => {
  const { make } = installation(t)
  const secrets = make()
  let values = ['first-value']
  secrets.include(() => values)
  values = ['second-value']
  assert.equal(secrets.redact('first-value second-value'), '[redacted] second-value')
  secrets.refresh()
  assert.equal(secrets.redact('first-value second-value'), '[redacted] [redacted]')
})

test('a secret that is written into .env while the host runs is one at the next look', (t) => {
  const { root, make } = installation(t)
  const secrets = make()
  assert.equal(secrets.redact('telegram-value'), 'telegram-value')
  writeFileSync(path.join(root, '.env'), 'TELEGRAM_BOT_TOKEN=telegram-value\n')
  secrets.refresh()
  assert.equal(secrets.redact('telegram-value'), '[redacted]')
})

test('a field of the login file that is not text is ignored, and the others are secrets', (t) => {
  const { root, make } = installation(t)
  const login = { accessToken: 12345678901234, refreshToken: 'the-refresh-token', nested: { token: 'x' } }
  writeFileSync(path.join(root, '.claude', '.credentials.json'), JSON.stringify({ claudeAiOauth: login }))
  assert.equal(make().redact('the-refresh-token'), '[redacted]')
  writeFileSync(path.join(root, '.claude', '.credentials.json'), '{}')
  assert.equal(make().redact('the-api-key'), '[redacted]')
})

test('a value is a secret by its name, unless it is a number, an address, a path or a short word', () => {
  const values = {
    MAX_TOKENS: '100000',
    TOKEN_URL: 'https://x.test/token',
    SSH_KEY: '~/.ssh/id',
    AUTH: 'basic',
    API_KEY: 'k'.repeat(20),
  }
  assert.deepEqual(secretsOf(values), ['k'.repeat(20)])
})
