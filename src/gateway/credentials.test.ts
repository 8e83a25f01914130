import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path, { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { expires, fingerprintOf, HostCredentials, placeholderEnv } from './credentials.ts'

const NOW = 1_800_000_000_000

function loginFile(t: TestContext, content?: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'login-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, '.credentials.json')
  if (content !== undefined) writeFileSync(file, content)
  return file
}

function login({ expiresAt }: { expiresAt: number }): string {
  return JSON.stringify({ claudeAiOauth: { accessToken: 'sk-ant-oat01-login', refreshToken: 'r', expiresAt, scopes: [] } })
}

test('the API key goes before the OAuth token, and both before the login of this machine', async (t) => {
  const file = loginFile(t, login({ expiresAt: NOW + 1 }))
  const oauthToken = 'sk-ant-oat01-x'
  const both = new HostCredentials({ apiKey: ' sk-ant-api03-x\n', oauthToken, loginFile: file })
  assert.deepEqual(await both.current(), { kind: 'api-key', value: 'sk-ant-api03-x', source: 'ANTHROPIC_API_KEY' })
  const token = new HostCredentials({ apiKey: '', oauthToken, loginFile: file })
  assert.deepEqual(await token.current(), { kind: 'oauth', value: oauthToken, source: 'CLAUDE_CODE_OAUTH_TOKEN' })
})

test('the login of this machine is read anew each time', async (t) => {
  const file = loginFile(t)
  const credentials = new HostCredentials({ loginFile: file, now: () => NOW })
  assert.match(why(await credentials.current()), /no login yet.*\.env/)
  writeFileSync(file, login({ expiresAt: NOW + 1 }))
  assert.deepEqual(await credentials.current(), {
    kind: 'oauth',
    value: 'sk-ant-oat01-login',
    source: '~/.claude/.credentials.json',
    expiresAt: NOW + 1,
  })
})

test('an expired login is none, with what to do', async (t) => {
  const credentials = new HostCredentials({ loginFile: loginFile(t, login({ expiresAt: NOW })), now: () => NOW })
  assert.match(
    why(await credentials.current()),
    /expired at 2027-01-15 08:00 UTC\. Run claude once on this machine, .* `claude setup-token`/,
  )
})

test('a login counts as expired from its last moment on, and may last as long as a date can', async (t) => {
  const kindOf = async (expiresAt: number) =>
    (await new HostCredentials({ loginFile: loginFile(t, login({ expiresAt })), now: () => NOW }).current()).kind
  assert.deepEqual([await kindOf(NOW), await kindOf(NOW + 1), await kindOf(8.64e15)], ['none', 'oauth', 'oauth'])
  const endless = new HostCredentials({ loginFile: loginFile(t, login({ expiresAt: 8.64e15 + 1 })) })
  assert.match(why(await endless.current()), /cannot be read/)
})

test('the warning before a login expires names the moment and what renews it', () => {
  assert.match(expires(NOW), /expires at 2027-01-15 08:00 UTC, and nobody is answered after that\. Run claude once/)
})

test('a folder in place of the login file counts as a file that cannot be read', async (t) => {
  assert.match(why(await new HostCredentials({ loginFile: path.dirname(loginFile(t)) }).current()), /cannot be read/)
})

test('a login file that cannot be read is none, not an error', async (t) => {
  for (const content of ['', '{', '{}', '{"claudeAiOauth":{"accessToken":""}}']) {
    const credentials = new HostCredentials({ loginFile: loginFile(t, content) })
    assert.match(why(await credentials.current()), /cannot be read/, content)
  }
})

test('a value that cannot be a key is named, not sent', async () => {
  const credentials = new HostCredentials({ apiKey: 'sk-ant-api03-a b' })
  assert.match(why(await credentials.current()), /^ANTHROPIC_API_KEY has spaces/)
})

test('a key with anything but visible ASCII characters is not used', async () => {
  const isUsable = async (apiKey: string) => (await new HostCredentials({ apiKey }).current()).kind !== 'none'
  assert.ok(await isUsable('!~'))
  for (const character of [' ', '\t', '\n', '\r', '\0', '\x7f', '\x80', 'ä', '€'])
    assert.ok(!(await isUsable(`a${character}b`)), JSON.stringify(character))
})

test('a fingerprint tells credentials apart, shows nothing of them, and is the same each time', () => {
  const one = { kind: 'api-key', value: 'sk-ant-api03-one', source: 'x' } as const
  const others = [
    one,
    { ...one, value: 'sk-ant-api03-two' },
    { ...one, kind: 'oauth' as const },
    { kind: 'none' as const, why: 'y' },
  ]
  const prints = [...others, { kind: 'none' as const, why: 'z' }].map(fingerprintOf)
  assert.equal(new Set(prints).size, prints.length)
  assert.equal(fingerprintOf({ ...one, source: 'elsewhere' }), prints[0])
  for (const print of prints) assert.match(print, /^[0-9a-f]{64}$/)
})

test('the placeholder names the variable of its kind and carries no secret', () => {
  assert.match(placeholderEnv('oauth'), /^CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-placeholder[\w-]*\n$/)
  assert.match(placeholderEnv('api-key'), /^ANTHROPIC_API_KEY=sk-ant-api03-placeholder[\w-]*\n$/)
  assert.equal(placeholderEnv('none'), placeholderEnv('api-key'))
})

function why(credential: { kind: string; why?: string }): string {
  assert.equal(credential.kind, 'none')
  return credential.why ?? ''
}
