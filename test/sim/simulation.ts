import { Random } from '../../src/cli/bench/random.ts'
import { SimHost } from './host.ts'
import { violations } from './invariants.ts'
import { CHATS, type Database, type Sent, World } from './world.ts'

export type Outcome = {
  seed: number
  violations: string[]
  trace: string[]
  commits: number
  crashes: number
  faults: number
  messages: number
  answers: number
}

const FEWEST_STEPS = 8
const MOST_STEPS = 45
/** More steps than this after the last fault mean that it never comes to rest. */
const MAX_REST_STEPS = 3_000

/** One schedule: a while of everything at once, then rest without faults; what must hold is looked at then. */
export async function simulate(seed: number, database: Database): Promise<Outcome> {
  const simulation = new Simulation(seed, database)
  return simulation.run()
}

class Simulation {
  readonly #seed: number
  readonly #world: World
  readonly #random: Random
  readonly #maxContainers: number
  #host: SimHost | undefined
  #marks = 0

  constructor(seed: number, database: Database) {
    this.#seed = seed
    this.#random = new Random(seed)
    this.#world = new World(this.#random, database)
    this.#maxContainers = 1 + this.#random.below(2)
    const calm = this.#random.chance(0.2)
    const upTo = (most: number) => (calm ? 0 : this.#random.next() * most)
    this.#world.mood = { fail: upTo(0.6), silent: upTo(0.3), tool: upTo(2), crash: upTo(0.4) }
    this.#world.deadly = upTo(0.08)
    this.#world.faulty = this.#random.chance(0.4) ? upTo(0.03) : 0
  }

  async run(): Promise<Outcome> {
    const problems: string[] = []
    try {
      const steps = FEWEST_STEPS + this.#random.below(MOST_STEPS - FEWEST_STEPS)
      for (let step = 0; step < steps; step++) {
        this.#step()
        await settle()
      }
      await this.#rest()
      problems.push(...violations(this.#world))
    } catch (error) {
      problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error))
    }
    const { trace, commits, crashes, faults, sent, answers } = this.#world
    return {
      seed: this.#seed,
      violations: problems,
      trace,
      commits,
      crashes,
      faults,
      messages: sent.length,
      answers: answers.length,
    }
  }

  #live(): SimHost | undefined {
    if (this.#host?.dead) this.#host = undefined
    return this.#host
  }

  #step(): void {
    const world = this.#world
    const host = this.#live()
    const agents = world.agents.filter((agent) => !agent.drained)
    const calls = world.platforms.flatMap((platform) => platform.calls.map((call) => ({ platform, call })))
    const event = this.#random.weighted<() => void>([
      [host ? 4 : 1, () => this.#say()],
      [host ? 1.5 : 0, () => this.#redeliver()],
      [host ? 0.5 : 0, () => this.#change()],
      [host ? 0.5 : 0, () => this.#command()],
      [host ? 0.8 : 0, () => this.#schedule()],
      [host ? 0.5 : 0, () => this.#changeTask()],
      [host ? 0 : 3, () => this.#boot()],
      [8, () => this.#moveAgent()],
      [host?.starts.length ? 6 : 0, () => this.#finishStart(this.#random.chance(0.15))],
      [calls.length > 0 ? 6 : 0, () => this.#finishCall()],
      [3, () => this.#passTime()],
      [host ? 0.7 : 0, () => this.#kill()],
      [host ? 0.3 : 0, () => this.#stop()],
      [agents.length > 0 ? 0.5 : 0, () => this.#random.pick(agents).die({ code: 137, oomKilled: this.#random.chance(0.3) })],
      [0.3, () => this.#turnChannel()],
      [0.2, () => this.#turnLogin()],
      [host ? 0.5 : 0, () => this.#fillDisk()],
      [0.1, () => this.#loseSession()],
      [host ? 0.5 : 0, () => host?.sweep()],
    ])
    event?.()
  }

  #say(): void {
    const { jid } = this.#random.pick(CHATS)
    const mark = `m${++this.#marks}`
    this.#send({ jid, id: mark, text: `please ${mark}`, fromMe: false, acknowledged: false })
  }

  /** Somebody thinks better of a message that was delivered. */
  #change(): void {
    const said = this.#world.sent.filter((one) => one.acknowledged && !one.fromMe && one.changed !== 'withdrawn')
    if (said.length === 0) return
    const message = this.#random.pick(said)
    message.changed = this.#random.chance(0.5) ? 'edited' : 'withdrawn'
    if (message.changed === 'edited') message.text = `instead ${message.id}`
    this.#world.note(`${message.jid}: ${message.id} is ${message.changed}`)
    this.#live()?.change(message)
  }

  #command(): void {
    const { jid } = this.#random.pick(CHATS)
    const text = this.#random.pick(['/stop', '/new', '/status', '/help'])
    this.#send({ jid, id: this.#world.newId('command'), text, fromMe: true, acknowledged: false })
  }

  #send(message: Sent): void {
    this.#world.sent.push(message)
    this.#world.note(`${message.jid} says ${message.text}`)
    this.#live()?.receive(message)
  }

  /** What comes again and again does so beside the conversation, where each run is a session of its own. */
  #schedule(): void {
    const { jid, folder } = this.#random.pick(CHATS)
    const now = this.#world.clock.now()
    const only = this.#random.chance(0.6)
    const at = new Date(now + 1_000 * (1 + this.#random.below(200))).toISOString().slice(0, 19)
    const schedule = only
      ? { type: 'once', value: at }
      : { type: 'interval', value: String(60_000 * (1 + this.#random.below(3))) }
    const contextMode = only && this.#random.chance(0.5) ? 'group' : 'isolated'
    const prompt = `do t${++this.#marks}`
    const catchUp = this.#random.chance(0.7) ? 'once' : 'skip'
    this.#world.note(`${jid}: a task (${schedule.type} ${schedule.value}, ${contextMode}, ${catchUp}): ${prompt}`)
    this.#live()?.changeTasks((tasks) => tasks.schedule({ folder, jid, schedule, prompt, contextMode, catchUp }))
  }

  #changeTask(): void {
    const all = this.#world.store.tasks.all()
    if (all.length === 0) return
    const { id } = this.#random.pick(all)
    const how = this.#random.pick(['pause', 'resume', 'runNow', 'runNow', 'cancel'] as const)
    this.#world.note(`task ${id}: ${how}`)
    this.#live()?.changeTasks((tasks) => tasks[how](id))
  }

  /** What was not acknowledged comes again; sometimes what was, too. */
  #redeliver(): void {
    const [first] = this.#world.sent.filter(({ acknowledged }) => !acknowledged)
    const again = first ?? (this.#world.sent.length > 0 ? this.#random.pick(this.#world.sent) : undefined)
    if (again) this.#live()?.receive(again)
  }

  #boot(): void {
    const world = this.#world
    world.note('a host starts')
    for (const agent of world.agents) agent.die({ code: 137, oomKilled: false })
    world.agents = []
    this.#host = new SimHost(world, { maxContainers: this.#maxContainers })
    if (this.#host.dead) this.#host = undefined
  }

  #moveAgent(): void {
    const movable = this.#world.agents.filter((agent) => agent.canStep || agent.canDeliver)
    if (movable.length === 0) return
    const agent = this.#random.pick(movable)
    if (agent.canDeliver && (!agent.canStep || this.#random.chance(0.6))) agent.deliver()
    else agent.step()
    this.#world.agents = this.#world.agents.filter((one) => !one.drained)
  }

  #finishStart(refused: boolean): void {
    const host = this.#live()
    const [start] = host?.starts ?? []
    if (!host || !start) return
    this.#world.note(`the container of ${start.request.group.folder} ${refused ? 'is refused' : 'starts'}`)
    host.finishStart(start, { refused })
  }

  #finishCall(certain = false): void {
    const calls = this.#world.platforms.flatMap((platform) => platform.calls.map((call) => ({ platform, call })))
    if (calls.length === 0) return
    const { platform, call } = this.#random.pick(calls)
    const how = certain
      ? 'sent'
      : (this.#random.weighted([
          [12, 'sent'],
          [3, 'lost'],
          [3, 'broken'],
          [1, 'not-sent'],
          [0.3, 'refused'],
        ] as const) ?? 'sent')
    this.#world.note(`${call.jid} ${call.key} "${call.text}": ${how}`)
    platform.finish(call, how)
  }

  #passTime(): void {
    this.#world.clock.advance(this.#random.pick([100, 1_000, 5_000, 30_000, 130_000]))
  }

  #kill(): void {
    this.#world.note('the host is killed')
    this.#live()?.die()
  }

  #stop(): void {
    const host = this.#live()
    if (!host) return
    this.#world.note(host.stopping ? 'the host is to stop at once' : 'the host is to stop')
    if (host.stopping) host.stopNow()
    else host.stop()
  }

  #turnChannel(): void {
    const platform = this.#random.pick(this.#world.platforms)
    const up = platform.state.state !== 'online'
    platform.state = up ? { state: 'online' } : { state: 'retrying', at: 0, why: 'gone' }
    this.#world.note(`${platform.name} is ${up ? 'back' : 'down'}`)
    this.#live()?.stateChanged()
  }

  #turnLogin(): void {
    this.#world.login = !this.#world.login
    this.#world.logins++
    this.#world.note(this.#world.login ? 'there is a login' : 'the login is gone')
  }

  #fillDisk(): void {
    const world = this.#world
    if (this.#random.chance(0.5)) world.diskFull = 1 + this.#random.below(3)
    else world.fullUntil = world.clock.now() + this.#random.pick([1_000, 20_000, 100_000])
    world.note(`the disk is full for ${world.diskFull} writes, or until ${world.fullUntil}`)
  }

  #loseSession(): void {
    const ids = [...this.#world.transcripts.keys()]
    if (ids.length > 0) this.#world.transcripts.delete(this.#random.pick(ids))
  }

  /** No more faults and nothing new: everything that has a next step takes it, until nothing has. */
  async #rest(): Promise<void> {
    const world = this.#world
    world.note('--- rest')
    Object.assign(world, {
      mood: { fail: 0, silent: 0, tool: 0, crash: 0 },
      deadly: 0,
      faulty: 0,
      diskFull: 0,
      fullUntil: 0,
      login: true,
      logins: world.logins + 1,
    })
    for (const platform of world.platforms) platform.state = { state: 'online' }
    // What one life left undone is also to be done in that life.
    if (this.#live()?.stopping || this.#random.chance(0.5)) this.#live()?.die()
    if (this.#live()) this.#live()?.stateChanged()
    else this.#boot()
    for (const { id, schedule } of world.store.tasks.all())
      if (schedule.type === 'interval') this.#live()?.changeTasks((tasks) => tasks.pause(id))
    await settle()
    for (let quiet = 0, step = 0; quiet < 3; step++) {
      if (step > MAX_REST_STEPS) throw new Error(`it does not come to rest: ${this.#unrest()}`)
      if (await this.#restStep()) quiet = 0
      else quiet++
    }
  }

  async #restStep(): Promise<boolean> {
    const world = this.#world
    const waiting = world.sent.find(({ acknowledged }) => !acknowledged)
    if (waiting) this.#live()?.receive(waiting)
    else if (this.#live()?.starts.length) this.#finishStart(false)
    else if (world.platforms.some(({ calls }) => calls.length > 0)) this.#finishCall(true)
    else if (world.agents.some((agent) => agent.canStep || agent.canDeliver)) this.#moveAgent()
    else {
      this.#live()?.sweep()
      world.clock.advance(400_000)
      await settle()
      return this.#busy()
    }
    await settle()
    return true
  }

  #busy(): boolean {
    return Object.values(this.#open()).some((count) => count > 0)
  }

  #unrest(): string {
    return JSON.stringify(this.#open())
  }

  /** What has to come to an end before there is rest. */
  #open(): Record<string, number> {
    const { store, platforms, sent } = this.#world
    const { pending, running } = store.turns.counts()
    return {
      messages: sent.filter(({ acknowledged }) => !acknowledged).length,
      pending,
      running,
      deliveries: store.outbox.counts().pending,
      sends: platforms.flatMap(({ calls }) => calls).length,
      starts: this.#live()?.starts.length ?? 0,
      moments: store.tasks.nextDue() === undefined ? 0 : 1,
    }
  }
}

/** Lets everything that follows by itself happen. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
