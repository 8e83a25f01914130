import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { loginEvent, type TaskDetail } from '@nanoclaw/protocol'
import SQLite from 'better-sqlite3'
import type { Script } from '../../src/demo/reply.ts'
import { say } from '../../src/demo/reply.ts'
import { demoScript } from '../../src/demo/script.ts'
import { TestHost } from '../../test/fakes/host-process.ts'
import { until } from '../../test/fakes/patience.ts'
import type { TestContext } from '../../test/fakes/rooms.ts'
import { FakeWhatsApp } from '../../test/fakes/whatsapp/server.ts'
import { shownTexts } from '../../test/fakes/whatsapp/world.ts'

const FAMILY = '120363000000000001@g.us'
export const PASSPHRASE = 'the passphrase of a fixture'
const SETTINGS = `# Written by hand, as a person would.
ANTHROPIC_API_KEY=sk-ant-api03-a-key-of-a-fixture
ASSISTANT_NAME=Robin
ASSISTANT_HAS_OWN_NUMBER=true
TZ=Europe/Berlin
MAX_TURN_RETRIES=4
BUDGET_MONTH_USD=50
MODEL_PRICES="claude-opus-5=4/20/0.4"
BACKUP_PASSPHRASE="${PASSPHRASE}"
`
/** Words that end up in the fixture, and that the tests wait for. */
const PARKED = '!echo the parked answer'
const INTERRUPTED = '!echo the interrupted answer'
const TEN_YEARS_MS = 10 * 365 * 86_400_000

/** The folders of an installation and its owner, the folder of the program that makes it, and the image for its agents. */
export type Stage = { root: string; home: string; program: string; image: string; backup: string }

/** What was lived through, and is not in the folders: the other side of WhatsApp. */
export type Lived = { host: TestHost; people: string }

/**
 * The life of an installation, from the first command to a kill -9: real commands of the program, the real host with real
 * containers, a scripted model, a WhatsApp of our own. Nothing is written into the database but by the program.
 */
export async function live(t: TestContext, stage: Stage): Promise<Lived> {
  layOut(stage)
  const server = await FakeWhatsApp.start(t)
  const olga = server.account('15550001111', 'Olga')
  const [alice, bob] = [server.person('15550002222', 'Alice'), server.person('15550003333', 'Bob')]
  server.group(FAMILY, 'Family', [alice, bob, olga])
  const host = await hostOf(t, stage, server.url)

  await register(host, { alice: alice.pn, bob: bob.pn })
  await host.start()
  await link(host, (qr) => server.scan(qr, olga))
  await talk(host)
  await server.write(alice, olga, '!echo good morning, Alice')
  await until(() => shownTexts(alice).includes('good morning, Alice'), 'Alice is answered')
  await schedule(host)
  await ask(host)

  server.down()
  await until(async () => (await whatsappOf(host)) !== 'online', 'the host notices that WhatsApp is gone')
  await host.say(tool('send_message', { text: 'Bob, the boat is ready.', targetJid: bob.pn }))
  await until(() => rows(host, "SELECT 1 FROM outbox WHERE state = 'pending'").length === 1, 'a delivery waits')
  await park(host)
  await leaveRunning(host)
  await checked(host, 'backup', stage.backup, '--encrypt')
  await host.kill()
  await containersEnd(host)
  return { host, people: server.people().saved() }
}

/** What the owner makes by hand: settings, a policy, a folder that is to be shared. */
function layOut({ root, home }: Stage): void {
  mkdirSync(root, { mode: 0o755 })
  mkdirSync(path.join(home, '.config', 'nanoclaw'), { recursive: true, mode: 0o700 })
  mkdirSync(path.join(home, 'shared'), { mode: 0o755 })
  writeFileSync(path.join(root, '.env'), SETTINGS, { mode: 0o600 })
  writeFileSync(path.join(home, 'shared', 'recipe.txt'), 'Flour, water, salt.\n')
  const heard = { allow: ['15550002222@s.whatsapp.net', '15550001111@s.whatsapp.net'], mode: 'drop' }
  const policy = { default: { allow: '*', mode: 'trigger' }, chats: { [FAMILY]: heard } }
  writeFileSync(path.join(home, '.config', 'nanoclaw', 'sender-allowlist.json'), JSON.stringify(policy, null, 2), { mode: 0o600 })
}

function hostOf(t: TestContext, { root, home, program, image }: Stage, socketUrl: string): Promise<TestHost> {
  const env = { HOME: home, CONTAINER_IMAGE: image, WHATSAPP_SOCKET_URL: socketUrl, XDG_RUNTIME_DIR: '', CI: '' }
  return TestHost.create(t, env, { root, project: program, model: { script } })
}

/** As the demo, but for one login that is not accepted, and one answer that never ends. */
const script: Script = (conversation) => {
  if (conversation.said.includes(PARKED)) return { type: 'error', status: 401 }
  if (conversation.said.includes(INTERRUPTED)) return { ...say('one two'), pace: { pieces: 2, gapMs: 3_600_000 } }
  return demoScript(conversation)
}

async function register(host: TestHost, { alice, bob }: { alice: string; bob: string }): Promise<void> {
  await checked(host, 'groups', 'register', alice, '--folder', 'alice', '--name', 'Alice', '--no-trigger')
  await checked(host, 'groups', 'register', FAMILY, '--folder', 'family', '--name', 'Family', '--trigger', '@Rob')
  await checked(host, 'groups', 'register', bob, '--folder', 'family')
  await checked(host, 'mounts', 'allow', '~/shared', '--rw', '--description', 'for the family')
  const config = {
    timeout: 600_000,
    additionalMounts: [{ hostPath: '~/shared', readonly: true }],
    limits: { memoryMb: 1_024, pids: 300 },
    systemPrompt: 'Answer briefly.',
    budget: { monthUsd: 20 },
  }
  await checked(host, 'groups', 'set', 'family', '--config', JSON.stringify(config))
}

async function link(host: TestHost, scan: (qr: string) => void): Promise<void> {
  const child = spawn(process.execPath, [host.command, 'channels', 'login', 'whatsapp', '--json'], { env: host.env })
  child.stdout.on('data', (lines: Buffer) => {
    for (const line of String(lines).trim().split('\n')) {
      const event = loginEvent.parse(JSON.parse(line))
      if (event.type === 'qr') scan(event.data)
    }
  })
  const code = await new Promise((resolve) => child.on('close', resolve))
  if (code !== 0) throw new Error(`channels login whatsapp ended with ${code}`)
  await until(async () => (await whatsappOf(host)) === 'online', 'WhatsApp is linked')
}

async function talk(host: TestHost): Promise<void> {
  await host.say('!echo the first answer')
  await host.say('!tool Bash {"command":"echo The boat is blue. >> boat.md"}')
  await host.say('!echo hello, family', ['--group', 'family'])
}

/** A task of each kind, and one that ran and is paused. */
async function schedule(host: TestHost): Promise<void> {
  const wish = (scheduleType: string, scheduleValue: string, more: object) =>
    host.say(tool('schedule_task', { scheduleType, scheduleValue, ...more }))
  await wish('once', '2099-01-01T09:00:00', { prompt: '!echo a new century is near', contextMode: 'group' })
  await wish('interval', String(TEN_YEARS_MS), { prompt: '!echo ten years passed', contextMode: 'isolated' })
  await wish('cron', '0 9 29 2 *', { prompt: '!echo a leap day', catchUp: 'skip', script: 'echo \'{"wakeAgent": true}\'' })
  await wish('interval', '3600000', { prompt: '!echo the plants are wet' })
  const tasks: TaskDetail[] = JSON.parse(await checked(host, 'tasks', 'list', '--json'))
  const plants = tasks.find(({ prompt }) => prompt.includes('plants'))?.id ?? ''
  await checked(host, 'tasks', 'run', plants)
  await until(
    async () => JSON.parse(await checked(host, 'tasks', 'history', plants, '--json'))[0]?.status === 'success',
    'the task ran',
  )
  await checked(host, 'tasks', 'pause', plants)
}

/** A question of an agent, and the choice of a person. */
async function ask(host: TestHost): Promise<void> {
  const { client } = host
  await client.send('local:main', tool('ask_user', { question: 'Tea or coffee?', options: ['tea', 'coffee'] }))
  await until(() => rows(host, 'SELECT 1 FROM questions').length === 1, 'the question is asked')
  await client.send('local:main', '1')
  await until(() => openTurns(host).length === 0, 'the agent goes on with the choice')
}

/** A turn that waits for a login. */
async function park(host: TestHost): Promise<void> {
  await host.client.send('local:family', PARKED)
  await until(() => openTurns(host).includes('pending login'), 'a turn waits for a login', { seen: () => openTurns(host) })
}

/** A turn that the kill breaks off. */
async function leaveRunning(host: TestHost): Promise<void> {
  await host.client.send('local:main', INTERRUPTED)
  await host.modelWasAsked(INTERRUPTED)
}

/** Containers end when their host is gone. What they write until then is part of what a kill leaves. */
async function containersEnd(host: TestHost): Promise<void> {
  const label = `label=nanoclaw.install=${host.file('data', 'install-id').trim()}`
  const left = () => execFileSync('docker', ['ps', '--all', '--quiet', '--filter', label], { encoding: 'utf8' }).trim()
  await until(() => left() === '', 'the containers are gone', { seen: left })
}

/** What a command prints; throws when it fails. */
export async function checked(host: TestHost, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await host.run(args)
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${stderr}`)
  return stdout
}

function tool(name: string, input: object): string {
  return `!tool mcp__nanoclaw__${name} ${JSON.stringify(input)}`
}

async function whatsappOf(host: TestHost): Promise<string | undefined> {
  return (await host.status()).channels.find(({ name }) => name === 'whatsapp')?.state
}

function openTurns(host: TestHost): string[] {
  const open = rows(host, "SELECT state, reason FROM turns WHERE state IN ('pending', 'running')")
  return open.map(({ state, reason }) => `${state} ${reason ?? ''}`.trim())
}

function rows(host: TestHost, sql: string): Record<string, unknown>[] {
  const db = new SQLite(path.join(host.root, 'store', 'messages.db'), { readonly: true })
  try {
    return db.prepare(sql).all() as Record<string, unknown>[]
  } finally {
    db.close()
  }
}
