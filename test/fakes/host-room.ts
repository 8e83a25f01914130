import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type HostFrame, lines, MAX_FRAME_BYTES, type RunnerFrame } from '@nanoclaw/protocol'
import type { Channel, ChannelState, Sink } from '../../src/channels/contract.ts'
import { type Config, loadConfig } from '../../src/config.ts'
import { type Host, startHost } from '../../src/index.ts'
import type { Log } from '../../src/log.ts'
import { Secrets } from '../../src/secrets.ts'
import { Store } from '../../src/store/store.ts'
import { FakeEngine, type Inside, type Program } from './engine.ts'
import { registerChat, type TestContext, temporaryFolder } from './rooms.ts'

const IMAGE = 'nanoclaw-agent:latest'

/** The chat of the group main on the test's own platform. */
export const CHAT = 'room:1'

/** A chat platform in the test. */
export class RoomChannel implements Channel {
  readonly name = 'room'
  readonly capabilities = { delivery: 'keyed', maxText: 4_000 } as const
  state: ChannelState = { state: 'online' }
  /** What it does when it is asked for the names of its chats. */
  syncGroups: () => Promise<void> = async () => {}
  /** Everything that was sent, in order. */
  readonly sent: { jid: string; text: string }[] = []
  /** What stopping it waits for. */
  closing: Promise<void> = Promise.resolve()
  /** For each time it was stopped: had its signal aborted before? */
  readonly stops: boolean[] = []
  #signal: AbortSignal | undefined
  #sink: Sink | undefined
  #said = 0

  async start(sink: Sink, signal: AbortSignal): Promise<void> {
    this.#sink = sink
    this.#signal = signal
  }

  owns(jid: string): boolean {
    return jid.startsWith('room:')
  }

  async send(jid: string, { text }: { text: string }) {
    this.sent.push({ jid, text })
    return { platformId: String(this.sent.length) }
  }

  async stop(): Promise<void> {
    this.stops.push(this.#signal?.aborted ?? false)
    await this.closing
  }

  /** Somebody says this in the chat. */
  async hear(text: string): Promise<void> {
    const id = String(++this.#said)
    await this.#sink?.message({ jid: CHAT, id, sender: 'ann', senderName: 'Ann', text, sentAt: 0, fromMe: true })
  }

  /** What was sent, without the chats. */
  get texts(): string[] {
    return this.sent.map(({ text }) => text)
  }
}

/** What an agent says to a prompt. `next` gives the frames that come while it works. */
export type Agent = (prompt: string, next: () => Promise<HostFrame | undefined>) => Promise<string>

/** A container with an agent-runner in it. */
function played(agent: Agent): Program {
  return async ({ stdin, stdout }: Inside) => {
    const input = lines(stdin, MAX_FRAME_BYTES)
    const next = async (): Promise<HostFrame | undefined> => {
      const line = await input.next()
      return line.done || line.value.type !== 'line' ? undefined : JSON.parse(line.value.text)
    }
    const print = (frame: RunnerFrame) => stdout.write(`${JSON.stringify(frame)}\n`)
    await next() // what the container is for
    for (let frame = await next(); frame; frame = await next())
      if (frame.type === 'turn' || frame.type === 'followup') {
        const result = await agent(frame.prompt, next)
        print({ type: 'result', status: 'success', result, consumed: [frame.uuid], newSessionId: 'a-session' })
      }
    return 0
  }
}

export type HostRoomOptions = {
  agent?: Agent
  env?: Record<string, string>
  /** What is in the store before the host starts for the first time. */
  before?: (store: Store) => void
}

/**
 * The real host, whole, in the process of the test: with a fake engine whose containers play an agent, and with a chat
 * platform of the test's own, where the group main has a chat.
 */
export class HostRoom {
  readonly config: Config
  readonly channel = new RoomChannel()
  readonly engine: FakeEngine
  /** What the host logged, without its debugging. */
  readonly logged: string[] = []

  constructor(t: TestContext, { agent = async (prompt) => `echo ${prompt}`, env = {}, before }: HostRoomOptions = {}) {
    const root = temporaryFolder(t)
    this.config = loadConfig({ NANOCLAW_HOME: root, ANTHROPIC_API_KEY: 'sk-ant-api03-nobody', ...env }, path.join(root, 'home'))
    this.engine = new FakeEngine({ images: { [IMAGE]: { labels: {} } }, program: played(agent) })
    const store = Store.open(this.config.paths.database)
    store.groups.add({ folder: 'main', name: 'Main', isMain: true, config: {} }, 0)
    registerChat(store, { jid: CHAT, folder: 'main' })
    before?.(store)
    store.close()
  }

  /** Starts a host on this root. */
  start(): Promise<Host> {
    const secrets = new Secrets(this.config)
    const note = (text: string) => void this.logged.push(text)
    const log: Log = { debug() {}, info: note, warn: note, error: note, redact: secrets.redact, close() {} }
    return startHost({ config: this.config, log, runtime: this.engine, secrets, channels: [this.channel] })
  }

  /** The agent of a group asks something of the host. */
  ask(id: string, request: object, group = 'main'): void {
    const folder = path.join(this.config.root, 'data', 'ipc', group, 'messages')
    mkdirSync(folder, { recursive: true })
    writeFileSync(path.join(folder, `${id}.json`), JSON.stringify(request))
  }

  /** Looks into the store beside the host. */
  look<T>(at: (store: Store) => T): T {
    const store = Store.open(this.config.paths.database)
    try {
      return at(store)
    } finally {
      store.close()
    }
  }
}
