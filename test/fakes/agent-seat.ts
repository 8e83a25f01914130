import { type ChildProcess, spawn } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import {
  type HostFrame,
  type IpcRequest,
  type IpcResult,
  ipcRequest,
  type RunnerFrame,
  type RunnerInput,
} from '@nanoclaw/protocol'
import { PROJECT } from '../../src/config.ts'
import { type DemoModel, startDemoModel } from '../../src/demo/server.ts'
import { HostCredentials, placeholderEnv } from '../../src/gateway/credentials.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import { BOTTOMLESS } from '../../src/gateway/purse.ts'
import { until } from './patience.ts'

const IMAGE = process.env.CONTAINER_IMAGE ?? 'nanoclaw-agent:latest'
const LOOK_EVERY_MS = 20

/** What the fake host says to a request; undefined is no word at all. */
export type Replies = (request: IpcRequest) => IpcResult | undefined

/** `before` is called with the group's folder before the agent is there. */
export type SeatOptions = { input?: Partial<RunnerInput>; replies?: Replies; before?: (group: string) => void }
type TestContext = { after(fn: () => unknown): void }

/** A real agent in a real container with the scripted model, and a host of which only the IPC is there: the test's own. */
export async function agentSeat(t: TestContext, options: SeatOptions = {}): Promise<AgentSeat> {
  const root = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-seat-'))
  const model = await startDemoModel({})
  const gateway = new Gateway({
    upstream: new URL(model.url),
    credentials: new HostCredentials({ apiKey: 'sk-ant-api03-real-one' }),
    log: { debug() {}, warn() {} },
  })
  for (const folder of FOLDERS) makeForNode(path.join(root, folder))
  writeFileSync(path.join(root, 'env/env'), placeholderEnv('api-key'))
  options.before?.(path.join(root, 'group'))
  await gateway.open({ runId: 'test', socketPath: path.join(root, 'run/gateway.sock'), purse: BOTTOMLESS })
  const input = { groupFolder: 'test', chatJid: 'test@g.us', isMain: true, ...options.input }
  const seat = new AgentSeat({ root, model, input, replies: options.replies ?? (() => ({ status: 'done', text: 'done' })) })
  t.after(async () => {
    await seat.leave()
    await gateway.close()
    await model.close()
    rmSync(root, { recursive: true, force: true })
  })
  return seat
}

const FOLDERS = ['run', 'env', 'group', 'ipc/messages', 'ipc/tasks', 'ipc/files', 'claude', 'global']
const MOUNTS = [
  'run:/run/nanoclaw:ro',
  'env:/workspace/env-dir:ro',
  'group:/workspace/group',
  'ipc:/workspace/ipc',
  'claude:/home/node/.claude',
]

function makeForNode(folder: string): void {
  mkdirSync(folder, { recursive: true })
  chmodSync(folder, 0o755)
  if (process.getuid?.() === 0) chownSync(folder, 1000, 1000)
}

type Result = Extract<RunnerFrame, { type: 'result' }>
type Parts = { root: string; model: DemoModel; input: RunnerInput; replies: Replies }

export class AgentSeat {
  readonly model: DemoModel
  /** The group's folder, and what Claude Code keeps for it. */
  readonly group: string
  readonly sessions: string
  /** Every request of the agent, in the order they were found. */
  readonly requests: IpcRequest[] = []
  readonly frames: RunnerFrame[] = []
  stderr = ''
  readonly #open = new Map<IpcRequest['type'], string>()
  readonly #ipc: string
  readonly #replies: Replies
  readonly #child: ChildProcess
  /** The exit code of the run. */
  readonly ended: Promise<number | null>
  readonly #looking: NodeJS.Timeout

  constructor({ root, model, input, replies }: Parts) {
    this.model = model
    this.group = path.join(root, 'group')
    this.sessions = path.join(root, 'claude')
    this.#ipc = path.join(root, 'ipc')
    this.#replies = replies
    const volumes = MOUNTS.flatMap((mount) => ['-v', `${root}/${mount}`])
    const skills = ['-v', `${PROJECT}/container/skills:/home/node/.claude/skills:ro`]
    const words = ['run', '--rm', '-i', '--init', '--network', 'none', ...volumes, ...skills, IMAGE]
    this.#child = spawn('docker', words, { stdio: ['pipe', 'pipe', 'pipe'] })
    this.ended = new Promise((resolve) => this.#child.once('close', resolve))
    this.#listen()
    this.#looking = setInterval(() => this.#look(), LOOK_EVERY_MS)
    this.#write(input)
  }

  send(frame: HostFrame): void {
    this.#write(frame)
  }

  /** Pushes a turn and waits for the result that consumes it. */
  async turn(uuid: string, prompt: string, more: { script?: string; earlier?: string[] } = {}): Promise<Result> {
    this.send({ type: 'turn', uuid, prompt, chatJid: 'test@g.us', ...more })
    return this.result(uuid)
  }

  async result(uuid: string): Promise<Result> {
    const find = () => this.frames.find((frame): frame is Result => frame.type === 'result' && frame.consumed.includes(uuid))
    await until(() => find() !== undefined || this.#child.exitCode !== null, `the result of ${uuid}`)
    return find() ?? Promise.reject(new Error(`no result of ${uuid}: ${this.stderr}`))
  }

  /** Answers the latest request of this type. */
  replyTo(type: IpcRequest['type'], result: IpcResult): void {
    this.send({ type: 'reply', id: this.#open.get(type) ?? '', ok: result.status === 'done', result })
  }

  /** The end of stdin; resolves with the exit code. */
  async leave(): Promise<number | null> {
    this.#child.stdin?.end()
    const code = await this.ended
    clearInterval(this.#looking)
    return code
  }

  /** The last request to the model, as text. */
  asked(): string {
    return JSON.stringify(this.model.requests.findLast(({ url }) => url.startsWith('/v1/messages'))?.body)
  }

  #write(line: object): void {
    this.#child.stdin?.write(`${JSON.stringify(line)}\n`)
  }

  #listen(): void {
    const { stdin, stdout, stderr } = this.#child
    stdin?.on('error', () => {})
    stderr?.on('data', (chunk) => (this.stderr += chunk))
    if (stdout) createInterface({ input: stdout }).on('line', (line) => this.frames.push(JSON.parse(line)))
  }

  #look(): void {
    for (const folder of ['messages', 'tasks']) {
      for (const name of readdirSync(path.join(this.#ipc, folder)).filter((name) => name.endsWith('.json')))
        this.#take(folder, name)
    }
  }

  #take(folder: string, name: string): void {
    const file = path.join(this.#ipc, folder, name)
    const request = ipcRequest.parse(JSON.parse(readFileSync(file, 'utf8')))
    unlinkSync(file)
    this.requests.push(request)
    this.#open.set(request.type, path.basename(name, '.json'))
    const result = this.#replies(request)
    if (result) this.replyTo(request.type, result)
  }
}
