import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import path from 'node:path'
import { test } from 'node:test'
import { hostStatus, loginEvent } from '@nanoclaw/protocol'
import { PROJECT } from '../../src/config.ts'
import { TestHost } from '../fakes/host-process.ts'
import { until } from '../fakes/patience.ts'
import { FakeWhatsApp } from '../fakes/whatsapp/server.ts'
import { shownTexts } from '../fakes/whatsapp/world.ts'

type Printed = { code: number | null; stdout: string; stderr: string }

/** Runs `channels login whatsapp --json`; each line goes to `onLine` as it comes. */
function login(host: TestHost, onLine: (line: string) => void, options: string[] = ['--json']): Promise<Printed> {
  const argv = [path.join(PROJECT, 'src/cli/main.ts'), 'channels', 'login', 'whatsapp', ...options]
  const child = spawn(process.execPath, argv, { env: host.env, stdio: ['ignore', 'pipe', 'pipe'] })
  let [stdout, stderr] = ['', '']
  child.stderr.on('data', (chunk) => (stderr += chunk))
  child.stdout.on('data', (chunk) => {
    stdout += chunk
    for (const line of String(chunk).trim().split('\n')) onLine(line)
  })
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })))
}

async function scene(t: { after(fn: () => unknown): void }) {
  const server = await FakeWhatsApp.start(t)
  const olga = server.account('15550001111', 'Olga')
  const alice = server.person('15550002222', 'Alice')
  const host = await TestHost.create(t, { WHATSAPP_SOCKET_URL: server.url, ASSISTANT_HAS_OWN_NUMBER: 'true' })
  const scan = (line: string) => {
    const event = loginEvent.parse(JSON.parse(line))
    if (event.type === 'qr') server.scan(event.data, olga)
  }
  return { server, olga, alice, host, scan }
}

async function channelsOf(host: TestHost): Promise<string[]> {
  const { channels } = hostStatus.parse(await host.status())
  return channels.map(({ name, state }) => `${name} ${state}`)
}

test('somebody links WhatsApp while the host runs, and is answered there, also by a host that was killed', async (t) => {
  const { server, olga, alice, host, scan } = await scene(t)
  await host.start()
  assert.deepEqual(await channelsOf(host), ['terminal online'])
  const { code, stdout } = await login(host, scan)
  assert.equal(code, 0)
  assert.deepEqual(JSON.parse(stdout.trim().split('\n').at(-1) ?? ''), { type: 'online', account: olga.pn })
  assert.deepEqual(await channelsOf(host), ['terminal online', 'whatsapp online'])

  await host.run(['groups', 'register', alice.pn, '--folder', 'alice', '--no-trigger'])
  await server.write(alice, olga, 'run: echo from the container')
  await until(() => shownTexts(alice).some((text) => text?.includes('from the container')), 'Alice is answered')

  await host.kill()
  await server.write(alice, olga, 'run: echo after the crash')
  await host.start()
  await until(() => shownTexts(alice).some((text) => text?.includes('after the crash')), 'Alice is answered')
  assert.equal(alice.shown.length, 2)

  server.unlink(olga)
  await until(async () => (await channelsOf(host)).includes('whatsapp logged-out'), 'the host knows')
  const history = await host.run(['chat', '--once', '/status'])
  assert.equal(history.code, 0)
  assert.match(host.file('logs', 'nanoclaw.error.log'), /whatsapp stopped: the phone removed this linked device/)
  await host.stop()
  assert.match((await host.run(['channels', 'status', 'whatsapp'])).stdout, /stopped +the phone removed this linked device/)
})

test('with no host running, the command links by itself, and ends the link again', async (t) => {
  const { server, olga, host, scan } = await scene(t)
  assert.equal((await login(host, scan)).code, 0)
  const listed = JSON.parse((await host.run(['channels', 'list', '--json'])).stdout)
  const stopped = { name: 'whatsapp', state: 'stopped', since: null }
  assert.deepEqual(listed.at(-1), { ...stopped, detail: 'linked; the host is not running' })
  assert.equal((await host.run(['channels', 'logout', 'whatsapp'])).code, 0)
  const left = JSON.parse((await host.run(['channels', 'status', 'whatsapp', '--json'])).stdout)
  assert.deepEqual(left, { ...stopped, detail: 'not linked' })
  assert.equal(server.linked(olga), 0)
})

test('a person sees a QR code, or a code to type and where', async (t) => {
  const { server, olga, host } = await scene(t)
  const typed = (line: string) => {
    const code = /^([0-9A-Z]{4})-([0-9A-Z]{4})$/.exec(line)
    if (code) void server.type(`${code[1]}${code[2]}`, olga)
  }
  const byCode = await login(host, typed, ['--phone', '+1 (555) 000-1111'])
  assert.equal(byCode.code, 0, byCode.stderr)
  assert.match(byCode.stderr, /Link with phone number.*\n[\s\S]*Linked to 15550001111@/)

  const other = await scene(t)
  let lines = 0
  const child = login(other.host, () => void lines++, [])
  await until(() => lines > 0, 'it shows the code')
  await other.server.close()
  const byQr = await child
  assert.equal(byQr.code, 1)
  assert.match(byQr.stdout, /[█▀▄]{10}/)
  assert.match(byQr.stderr, /Linked devices[\s\S]*it was not linked/)
})
