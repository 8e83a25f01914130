import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { ControlClient } from '../../src/cli/control-client.ts'
import { pathsOf } from '../../src/config.ts'
import { DUMMY_KEY, TestHost } from '../fakes/host-process.ts'
import { patience, until } from '../fakes/patience.ts'

type TestContext = Parameters<typeof TestHost.create>[0]

/** The group that attacks, and one that only wants to be left alone. */
export const EVE = 'eve'
export const ANN = 'ann'
/** What nobody but its owner may ever see. */
const SECRETS = {
  env: 'secret-of-the-env-file',
  ann: 'secret-of-anns-folder',
  session: 'secret-of-anns-session',
  home: 'secret-of-the-home',
}
const LARGEST_LOG = 64 * 2 ** 20

/** A real host with a hostile group in it, and canaries wherever an agent has no business. */
export class AttackRoom {
  readonly host: TestHost
  readonly home: string
  readonly #canaries = new Map<string, string>()

  private constructor(host: TestHost) {
    this.host = host
    this.home = `${host.root}-home`
  }

  static async create(t: TestContext): Promise<AttackRoom> {
    const host = await TestHost.create(t, { LOG_LEVEL: 'debug' })
    const room = new AttackRoom(host)
    Object.assign(host.env, { HOME: room.home })
    t.after(() => rmSync(room.home, { recursive: true, force: true }))
    room.#plant(path.join(room.home, '.ssh', 'id_rsa'), SECRETS.home)
    room.#plant(path.join(host.root, '.env'), `SOME_API_TOKEN=${SECRETS.env}\n`)
    await host.start()
    for (const folder of [EVE, ANN]) {
      const client = room.client
      await client.registerChat({ jid: `local:${folder}`, folder })
      await room.say(folder, '!echo hello')
    }
    room.#plant(path.join(host.root, 'groups', ANN, 'diary.md'), SECRETS.ann)
    room.#plant(path.join(host.root, 'data', 'sessions', ANN, '.claude', 'canary'), SECRETS.session)
    return room
  }

  get client(): ControlClient {
    return new ControlClient({ socketPath: pathsOf(this.host.root, this.host.env).controlSocket })
  }

  #plant(file: string, text: string): void {
    mkdirSync(path.dirname(file), { recursive: true })
    writeFileSync(file, text)
    this.#canaries.set(file, fingerprint(file))
  }

  /** Says something in a group's terminal; the answer. */
  async say(folder: string, text: string): Promise<string> {
    const jid = `local:${folder}`
    const { seq } = await this.client.send(jid, text)
    for await (const event of this.client.outcome(jid, seq, AbortSignal.timeout(patience(120_000)))) {
      if (event.type === 'answer') return event.text ?? ''
      if (event.type === 'failed') return `FAILED: ${event.message}`
    }
    return assert.fail(`${folder} got no answer to ${text}`)
  }

  /** Runs a script in the container of a group, as its agent would; what it printed. */
  shell(folder: string, script: string): Promise<string> {
    return this.say(folder, `!tool Bash ${JSON.stringify({ command: script, timeout: 100_000 })}`)
  }

  /** Waits until every file that could be a request is dealt with: the group's folders have none. */
  async requestsAreDone(folder: string): Promise<void> {
    const boxes = ['messages', 'tasks'].map((box) => path.join(this.host.root, 'data', 'ipc', folder, box))
    const left = () => boxes.flatMap((box) => filesIn(box).filter((name) => name.endsWith('.json')))
    await until(() => left().length === 0, `the requests of ${folder} are dealt with`, { seen: left })
  }

  /** Waits until no container of the group is left. */
  async isEnded(folder: string): Promise<void> {
    const containers = async () => (await this.client.status()).containers
    await until(async () => !(await containers()).some(({ group }) => group === folder), `the container of ${folder} ends`)
  }

  /** The four things that must be so after every attack. */
  async isUnharmed(): Promise<void> {
    for (const [file, before] of this.#canaries) assert.equal(fingerprint(file), before, `${file} is as it was`)
    assert.match(await this.say(ANN, '!echo still here'), /^still here/, 'another group is answered')
    // A container that was attacked from inside is not asked again: the next one must work on what it left behind.
    await this.client.setGroup({ target: EVE, config: { effort: 'low' } })
    assert.match(await this.say(EVE, '!echo fine'), /fine/, 'a later run of the same group works')
    this.noSecretIsTold()
  }

  /** No secret is in a log, nor in anything that was said in a chat. */
  noSecretIsTold(): void {
    const { root } = this.host
    const logs = [
      path.join(root, 'logs'),
      ...readdirSync(path.join(root, 'groups')).map((group) => path.join(root, 'groups', group, 'logs')),
    ]
    const files = [...logs.flatMap(filesIn), ...filesIn(path.join(root, 'store'))]
    for (const file of files) {
      const text = readFileSync(file)
      for (const secret of [...Object.values(SECRETS), DUMMY_KEY]) assert.ok(!text.includes(secret), `${file} holds no secret`)
    }
  }
}

/** What is there, and whose it is; links are not followed. */
function fingerprint(file: string): string {
  const { mode, uid, nlink, size } = lstatSync(file)
  const hash = createHash('sha256').update(readFileSync(file)).digest('hex')
  return JSON.stringify({ mode, uid, nlink, size, hash })
}

function filesIn(folder: string): string[] {
  if (!lstatSync(folder, { throwIfNoEntry: false })?.isDirectory()) return []
  const files = readdirSync(folder).map((name) => path.join(folder, name))
  return files.filter((file) => {
    const stat = lstatSync(file, { throwIfNoEntry: false })
    return stat?.isFile() && stat.size < LARGEST_LOG
  })
}
