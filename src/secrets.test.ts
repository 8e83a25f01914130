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
