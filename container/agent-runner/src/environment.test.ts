import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import net, { type AddressInfo } from 'node:net'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { until } from '../../../test/fakes/patience.ts'
import { temporaryFolder } from '../../../test/fakes/rooms.ts'
import { socketFolder } from '../../../test/fakes/socket-folder.ts'
import { claudeEnvironment, readEnvDir, startForwarder } from './environment.ts'

test('a login file is read as shells write it, and only for the variables of a login', (t) => {
  const file = path.join(temporaryFolder(t), 'env')
  const readOf = (content: string) => {
    writeFileSync(file, content)
    return readEnvDir(file)
  }
  assert.deepEqual(readOf("  ANTHROPIC_API_KEY='k'  "), { ANTHROPIC_API_KEY: 'k' })
  assert.deepEqual(readOf('export\tANTHROPIC_BASE_URL = "http://x.test/?a=b"\n'), { ANTHROPIC_BASE_URL: 'http://x.test/?a=b' })
  assert.deepEqual(readOf('CLAUDE_CODE_OAUTH_TOKEN="a\'b\n'), { CLAUDE_CODE_OAUTH_TOKEN: '"a\'b' }, 'quotes that do not fit stay')
  for (const nothing of [
    '',
    'ANTHROPIC_API_KEY=',
    'ANTHROPIC_API_KEY',
    '#ANTHROPIC_API_KEY=k',
    'anthropic_api_key=k',
    'MY_ANTHROPIC_API_KEY=k',
  ])
    assert.deepEqual(readOf(nothing), {}, nothing)
  assert.deepEqual(readOf('ANTHROPIC_API_KEY=one\nANTHROPIC_API_KEY=two'), { ANTHROPIC_API_KEY: 'two' })
})

test('a login file that cannot be read is told, and one that is missing is not', (t) => {
  const complaints: string[] = []
  t.mock.method(console, 'error', (line: string) => complaints.push(line))
  const file = path.join(temporaryFolder(t), 'env')
  assert.deepEqual([readEnvDir(file), complaints], [{}, []])
  mkdirSync(file)
  assert.deepEqual(readEnvDir(file), {})
  assert.deepEqual(complaints, [`runner: ${file} cannot be read (EISDIR). On the host, give it to uid ${process.getuid?.()}.`])
})

test('claude gets what is inherited, its login, and what NanoClaw decides, in this order', () => {
  const inherited = { PATH: '/bin', HOME: '/h', ANTHROPIC_API_KEY: 'inherited', BASH_MAX_TIMEOUT_MS: '1', NOTHING: undefined }
  const login = { ANTHROPIC_API_KEY: 'k', ANTHROPIC_BASE_URL: 'http://elsewhere' }
  const decided = {
    CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD: '1',
    CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: '1',
    BASH_MAX_TIMEOUT_MS: '1800000',
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    CLAUDE_CODE_MAX_RETRIES: '2',
  }
  assert.deepEqual(claudeEnvironment({ inherited, login, gateway: false }), { PATH: '/bin', HOME: '/h', ...login, ...decided })
  const behind = claudeEnvironment({ inherited, login, gateway: true })
  assert.equal(behind.ANTHROPIC_BASE_URL, 'http://127.0.0.1:4180', 'the gateway is the only way')
})

test('variables that would load code are not inherited, and others with similar names are', () => {
  const never = ['BUN_X', 'NODE_OPTIONS', 'NODE_COMPILE_CACHE', 'LD_PRELOAD', 'LD_LIBRARY_PATH', 'NANOCLAW_ANY']
  const kept = ['MY_NODE_OPTIONS', 'NODE_OPTIONS_2', 'NODE_PATH', 'XLD_A', 'BUN', 'NANOCLAW']
  const env = claudeEnvironment({
    inherited: Object.fromEntries([...never, ...kept].map((name) => [name, 'x'])),
    login: {},
    gateway: false,
  })
  for (const name of never) assert.equal(env[name], undefined, name)
  for (const name of kept) assert.equal(env[name], 'x', name)
})

/** A forwarder in front of a gateway that the test plays; what is connected is closed after the test. */
async function forwarded(t: TestContext, onConnection: (socket: net.Socket) => void) {
  const socketPath = path.join(socketFolder(t), 'gateway.sock')
  const gateway = net.createServer({ allowHalfOpen: true }, onConnection)
  t.after(() => gateway.close())
  await once(gateway.listen(socketPath), 'listening')
  const forwarder = await startForwarder(socketPath, 0)
  t.after(() => forwarder.close())
  const { port, address } = forwarder.address() as AddressInfo
  assert.equal(address, '127.0.0.1')
  const client = () => {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    t.after(() => socket.destroy())
    return socket
  }
  return { port, gateway, forwarder, client }
}

test('the forwarder carries bytes both ways, and an end of one side is not the end of the other', async (t) => {
  const heard: string[] = []
  const { client } = await forwarded(t, async (socket) => {
    socket.write('first ')
    heard.push(await text(socket))
    socket.end('after your end')
  })
  const socket = client()
  socket.end('all that I say')
  assert.equal(await text(socket), 'first after your end')
  assert.deepEqual(heard, ['all that I say'])
})

/** Whether the other side has ended or reset the connection. */
const isLeft = (socket: net.Socket) => socket.readableEnded || socket.closed

test('a client that leaves takes its connection to the gateway with it, and the other way round', async (t) => {
  const sockets: net.Socket[] = []
  const { client } = await forwarded(t, (socket) => void sockets.push(socket.on('error', () => {}).resume()))
  const [first, second] = [client(), client()].map((socket) => socket.on('error', () => {}).resume()) as [net.Socket, net.Socket]
  await until(() => sockets.length === 2, 'both are connected')
  first.resetAndDestroy()
  await until(() => sockets.some(isLeft), 'the gateway sees that the client left')
  const others = sockets.filter((socket) => !isLeft(socket))
  assert.deepEqual([others.length, isLeft(second)], [1, false])
  others[0]?.destroy()
  await until(() => isLeft(second), 'the client sees that the gateway is gone')
})

test('a client of a gateway that is gone is disconnected, and the forwarder goes on', async (t) => {
  const { client, gateway, forwarder } = await forwarded(t, () => {})
  gateway.close()
  await once(gateway, 'close')
  for (let n = 0; n < 2; n++) {
    const socket = client()
      .on('error', () => {})
      .resume()
    await until(() => isLeft(socket), 'the client is disconnected')
  }
  assert.ok(forwarder.listening)
})

test('a port that is taken is an error', async (t) => {
  const { port } = await forwarded(t, () => {})
  await assert.rejects(startForwarder('/nowhere', port), { code: 'EADDRINUSE' })
})
