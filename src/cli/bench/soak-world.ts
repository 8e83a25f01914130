import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { PeerPlatform } from '../../../test/fakes/peer-platform.ts'
import { PROJECT } from '../../config.ts'
import { findEngine } from '../../runtimes/find-engine.ts'
import type { Store } from '../../store/store.ts'
import type { Environment } from '../host.ts'
import type { Random } from './random.ts'
import { Relay } from './relay.ts'
import { killQuietly, pause, Stand } from './stand.ts'
import { type Fate, judge, type Said, type Verdict } from './verdict.ts'

/** The host of the tests: `./nanoclaw start` with a chat platform that counts what arrives. */
const HOST = path.join(PROJECT, 'test', 'chaos', 'host-main.ts')
/** A turn may well be hit more often than anywhere else before it is given up. */
const MAX_TURN_RETRIES = '12'
const SETTLED_WITHIN_MS = 900_000

/** How often each was done. */
export type Blows = Record<
  'hostKills' | 'startUpKills' | 'containerKills' | 'engineCuts' | 'modelOutages' | 'platformOutages',
  number
>
export type Blow = keyof Blows

/** A real host and everything around it that can be broken, and put right again. */
export class SoakWorld {
  readonly platform: PeerPlatform
  readonly #stand: Stand
  readonly #relay: Relay
  readonly #folder: string

  private constructor(parts: { platform: PeerPlatform; stand: Stand; relay: Relay; folder: string }) {
    this.platform = parts.platform
    this.#stand = parts.stand
    this.#relay = parts.relay
    this.#folder = parts.folder
  }

  static async create(env: Environment): Promise<SoakWorld> {
    const { socketPath: target } = await findEngine({ env, homedir: os.homedir() })
    const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-soak-'))
    const relay = new Relay({ path: path.join(folder, 'engine.sock'), target })
    // This platform takes everything it is sent: only a host that looks back sends nothing twice.
    const delivery = 'readback'
    const platform = await PeerPlatform.start({ delivery })
    const ours = { PEER_URL: platform.url, PEER_DELIVERY: delivery, DOCKER_HOST: `unix://${relay.path}`, MAX_TURN_RETRIES }
    const stand = await Stand.create({ env: { ...env, ...ours }, command: [HOST] })
    return new SoakWorld({ platform, stand, relay, folder })
  }

  get root(): string {
    return this.#stand.root
  }

  /** The host is ready, with a group for each chat. */
  async begin(chats: readonly string[]): Promise<void> {
    await this.#relay.connect()
    await this.#stand.start()
    for (const chat of chats) await this.#stand.openGroup({ folder: chat, jid: jidOf(chat) })
  }

  says(chat: string, { words, text }: { words: string; text: string }): Said {
    const jid = jidOf(chat)
    return { jid, words, id: this.platform.says(jid, text) }
  }

  openTurns(): number {
    const { pending, running } = this.#stand.read((store) => store.turns.counts())
    return pending + running
  }

  /** Resolves when it is over, and what was hit stands again; false where there was nothing to hit. */
  async deal(blow: Blow, random: Random): Promise<boolean> {
    const stand = this.#stand
    switch (blow) {
      case 'hostKills':
        await stand.kill()
        await stand.start()
        return true
      case 'startUpKills':
        await this.#killInStartUp(random.below(1_000))
        return true
      case 'containerKills':
        return await this.#killContainer(random)
      case 'engineCuts':
        await this.#relay.cut()
        await pause(random.below(3_000))
        await this.#relay.connect()
        return true
      case 'modelOutages':
        await stand.modelDown()
        await pause(random.below(3_000))
        await stand.modelUp()
        return true
      case 'platformOutages':
        this.platform.down()
        await pause(random.below(3_000))
        this.platform.up()
        return true
    }
  }

  async #killInStartUp(afterMs: number): Promise<void> {
    await this.#stand.kill()
    const started = this.#stand.start().catch(() => 'killed before it was ready')
    await pause(afterMs)
    await this.#stand.kill()
    await started
    await this.#stand.start()
  }

  async #killContainer(random: Random): Promise<boolean> {
    const ids = await this.#stand.containers()
    if (ids.length === 0) return false
    await killQuietly(random.pick(ids))
    return true
  }

  /** Resolves when nothing is left to be done; rejects when that takes too long. */
  async settled(said: readonly Said[]): Promise<void> {
    const isOver = () => said.every(({ id }) => this.platform.isConfirmed(id)) && this.#stand.read((store) => isIdle(store, said))
    for (const end = Date.now() + SETTLED_WITHIN_MS; !isOver(); await pause(500))
      if (Date.now() > end) throw new Error('Some messages are neither answered nor given up after a quarter of an hour.')
  }

  verdict(said: readonly Said[]): Verdict & { uncertain: number } {
    return this.#stand.read((store) => ({
      ...judge({ said, fateOf: (one) => fateOf(store, one), shown: this.platform.accepted }),
      uncertain: store.outbox.counts().uncertain,
    }))
  }

  async close({ keep }: { keep: boolean }): Promise<void> {
    await this.#stand.close({ keep })
    await this.platform.close()
    await this.#relay.cut()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

const jidOf = (chat: string) => `peer:${chat}`

function isIdle(store: Store, said: readonly Said[]): boolean {
  const { pending, running } = store.turns.counts()
  return pending + running + store.outbox.counts().pending === 0 && said.every((one) => store.messages.find(one)?.turnId)
}

function fateOf(store: Store, { jid, id }: Said): Fate | undefined {
  const turnId = store.messages.find({ jid, id })?.turnId
  if (!turnId) return undefined
  const stored = store.turns.find(turnId)
  return stored && { state: stored.turn.state, why: stored.error, answers: store.messages.answersOf(turnId) }
}
