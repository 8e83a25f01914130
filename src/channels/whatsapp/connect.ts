import { EventEmitter } from 'node:events'
import {
  type BinaryNode,
  DEFAULT_CONNECTION_CONFIG,
  isJidBroadcast,
  isJidNewsletter,
  makeWASocket,
  proto,
  type SignalRepositoryWithLIDStore,
  type SocketConfig,
  type WASocket,
} from 'baileys'
import type { AuthState } from './auth-state.ts'
import { BoundedCache } from './bounded-cache.ts'
import type { Groups } from './groups.ts'
import type { WhatsAppPorts, WhatsAppSettings } from './ports.ts'
import { libraryLog } from './quiet-library.ts'
import type { Journal, Received, RetryCounts, SentMessages } from './traffic.ts'

export type ConnectParts = {
  auth: AuthState
  journal: Journal
  sent: SentMessages
  retries: RetryCounts
  groups: Groups
  /** Hands a message on; what it promises is promised to WhatsApp. */
  take(received: Received): Promise<void>
  ports: WhatsAppPorts
  settings: WhatsAppSettings
}

type Origin = { stanza: BinaryNode; part: number }
type Repository = SignalRepositoryWithLIDStore
type MakeRepository = SocketConfig['makeSignalRepository']

/** The kinds of history that tell who is who; what was said before the link is none of ours. */
const { INITIAL_BOOTSTRAP, PUSH_NAME, NON_BLOCKING_DATA } = proto.HistorySync.HistorySyncType
const WANTED_HISTORY: unknown[] = [INITIAL_BOOTSTRAP, PUSH_NAME, NON_BLOCKING_DATA]

/** Opens a connection. It is on its way when this returns; how it fares is told by its events. */
export function connect(parts: ConnectParts): WASocket {
  const origins = new WeakMap<Uint8Array, Origin>()
  const { settings } = parts
  const socket = withCapturedRejections(() =>
    makeWASocket({
      ...settingsFor(parts),
      ...(settings.socketUrl === undefined ? {} : { waWebSocketUrl: settings.socketUrl }),
      ...(settings.version === undefined ? {} : { version: versionOf(settings.version) }),
      makeSignalRepository: keepingRepository({ parts, origins, giveUp: (error) => endOf(socket, error) }),
    }),
  )
  tolerate(socket, (error) => endOf(socket, error))
  endWaitsWith(socket)
  // Before Baileys' own listener: it decrypts the parts one by one, without saying whose they are.
  socket.ws.prependListener('CB:message', (stanza: BinaryNode) => {
    if (stanza.attrs.category === 'peer' || !Array.isArray(stanza.content)) return
    stanza.content.forEach(({ content }, part) => {
      if (content instanceof Uint8Array) origins.set(content, { stanza, part })
    })
  })
  return socket
}

/** Ends a connection. How that goes is told by the connection's own events, and is of no account otherwise. */
export function endOf(socket: WASocket, error: Error): void {
  Promise.resolve(socket.end(error)).catch(() => {})
}

function settingsFor({ auth, sent, retries, groups, ports }: ConnectParts) {
  return {
    auth: { creds: auth.creds, keys: auth.keys },
    logger: libraryLog(ports.log),
    // Else the phone would no longer ring: WhatsApp notifies the device that is online.
    markOnlineOnConnect: false,
    emitOwnEvents: false,
    syncFullHistory: false,
    shouldSyncHistoryMessage: ({ syncType }: proto.Message.IHistorySyncNotification) => WANTED_HISTORY.includes(syncType),
    shouldIgnoreJid: (jid: string) => isJidBroadcast(jid) || isJidNewsletter(jid),
    getMessage: async ({ id }: { id?: string | null }) => (id ? sent.contentOf(id) : undefined),
    cachedGroupMetadata: async (jid: string) => groups.cached(jid),
    msgRetryCounterCache: retries,
    userDevicesCache: new BoundedCache(),
    callOfferCache: new BoundedCache(),
    placeholderResendCache: new BoundedCache(),
    transactionOpts: { maxCommitRetries: 3, delayBetweenTriesMs: 500 },
  }
}

/**
 * Baileys' listeners are async functions, and when one fails in a closing connection nobody hears it: Node would end the
 * host. Captured, the failure becomes an `error` event, which ends the connection and no more.
 */
function withCapturedRejections(make: () => WASocket): WASocket {
  const before = EventEmitter.captureRejections
  EventEmitter.captureRejections = true
  try {
    return make()
  } finally {
    EventEmitter.captureRejections = before
  }
}

/** To those errors somebody must listen, also when the connection is over and Baileys has removed all listeners. */
function tolerate(socket: WASocket, onError: (error: Error) => void): void {
  const listen = (listener: (error: Error) => void) => Reflect.apply(socket.ev.on, socket.ev, ['error', listener])
  listen(onError)
  socket.ev.on('connection.update', ({ connection }) => {
    // Baileys removes them in this very moment, and a listener may fail in it.
    if (connection === 'close') queueMicrotask(() => listen(() => {}))
  })
}

/**
 * Whoever waits for WhatsApp's answer hears that the connection is over. Baileys, when it ends one, takes their listeners
 * away without a word, and they would wait as long as for a lost answer: a minute, or for a file a quarter of an hour.
 */
function endWaitsWith({ ws }: WASocket): void {
  const removeAll = ws.removeAllListeners.bind(ws)
  ws.removeAllListeners = (event) => {
    const waiting = event === 'close' ? ws.listeners('close') : []
    removeAll(event)
    for (const tell of waiting) tell()
    return ws
  }
}

type Decryption = { ciphertext: Uint8Array; name: string; decrypt(): Promise<Uint8Array> }
type Keeping = { parts: ConnectParts; origins: WeakMap<Uint8Array, Origin>; giveUp(error: Error): void }

/**
 * Decrypts as Baileys does, and keeps each plaintext before the key that was used for it is gone, and before Baileys tells
 * WhatsApp that the message arrived.
 */
function keepingRepository({ parts, origins, giveUp }: Keeping): MakeRepository {
  return (auth, logger, pnToLid) => {
    const repository = DEFAULT_CONNECTION_CONFIG.makeSignalRepository(auth, logger, pnToLid)
    // Under the name that Baileys' own transaction of this decryption has, or the two could overtake each other.
    const keep = async ({ ciphertext, name, decrypt }: Decryption): Promise<Uint8Array> => {
      const origin = origins.get(ciphertext)
      if (!origin) return decrypt()
      const kept = await inTransaction(auth.keys, name, async () => {
        const plaintext = await decrypt()
        return { plaintext, received: journalled({ parts, origin, plaintext, giveUp }) }
      })
      await parts.take(kept.received)
      return kept.plaintext
    }
    const decryptMessage: Repository['decryptMessage'] = (options) =>
      keep({ ciphertext: options.ciphertext, name: options.jid, decrypt: () => repository.decryptMessage(options) })
    const decryptGroupMessage: Repository['decryptGroupMessage'] = (options) =>
      keep({ ciphertext: options.msg, name: options.group, decrypt: () => repository.decryptGroupMessage(options) })
    return { ...repository, decryptMessage, decryptGroupMessage }
  }
}

/** A message that cannot be kept must not be confirmed: without a connection it cannot be, and WhatsApp sends it again. */
function journalled({
  parts,
  origin,
  plaintext,
  giveUp,
}: {
  parts: ConnectParts
  origin: Origin
  plaintext: Uint8Array
  giveUp(error: Error): void
}): Received {
  try {
    return parts.journal.add({ ...origin, plaintext })
  } catch (error) {
    giveUp(error as Error)
    throw error
  }
}

type Keys = Parameters<MakeRepository>[0]['keys']

function inTransaction<T>(keys: Keys, name: string, work: () => Promise<T>): Promise<T> {
  return 'transaction' in keys ? keys.transaction(work, name) : work()
}

function versionOf(text: string): [number, number, number] {
  const [major = 0, minor = 0, patch = 0] = text.split('.').map(Number)
  return [major, minor, patch]
}
