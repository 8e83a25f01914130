import {
  type AuthenticationCreds,
  addTransactionCapability,
  type BinaryNode,
  BufferJSON,
  Curve,
  DEFAULT_CONNECTION_CONFIG,
  encodeBigEndian,
  encodeWAMessage,
  generateSignalPubKey,
  initAuthCreds,
  type KeyPair,
  proto,
  type SignalDataSet,
  type SignalDataTypeMap,
  type SignalKeyStore,
  type SignalKeyStoreWithTransaction,
  type SignalRepositoryWithLIDStore,
  type SocketConfig,
  unpadRandomMax16,
  writeRandomPadMax16,
} from 'baileys'
import { node, seconds } from './nodes.ts'

export type PublicPreKey = { keyId: number; publicKey: Uint8Array }

/** What others need to know of a linked device to write to it. */
export type DeviceKeys = {
  jid: string
  registrationId: number
  identity: Uint8Array
  signedPreKey: PublicPreKey & { signature: Uint8Array }
  preKeys: PublicPreKey[]
}

/** What somebody's app encrypts: a message, or bytes that are none. */
export type Written = proto.IMessage | Uint8Array

export type Sealed = { type: 'pkmsg' | 'msg'; ciphertext: Uint8Array }

const quiet: SocketConfig['logger'] = {
  level: 'silent',
  child: () => quiet,
  trace() {},
  debug() {},
  info() {},
  warn() {},
  error() {},
}

/** Making keys takes long, so a person has the same ones in every test of a process. */
const credsByUser = new Map<string, AuthenticationCreds>()

function credsOf(user: string): AuthenticationCreds {
  const creds = credsByUser.get(user) ?? initAuthCreds()
  credsByUser.set(user, creds)
  return creds
}

/** All that a phone knows but what it shows. It survives JSON with `BufferJSON`. */
export type SavedPhone = {
  user: string
  name: string
  creds: AuthenticationCreds
  memory: [string, unknown][]
  nextPreKey: number
}

type PhoneParts = { user: string; name: string; memory?: Map<string, unknown>; creds?: AuthenticationCreds }

/** A person's phone: it encrypts and decrypts as the real one does, and shows every message once. */
export class Phone {
  readonly user: string
  readonly pn: string
  readonly lid: string
  /** What the person calls themselves. */
  name: string
  readonly creds: AuthenticationCreds
  /** What the person sees: one message for each id, the newest content of it. */
  readonly shown: { id: string; chat: string; message: proto.IMessage }[] = []
  readonly #memory: Map<string, unknown>
  readonly #keys: SignalKeyStoreWithTransaction
  readonly #signal: SignalRepositoryWithLIDStore
  #nextPreKey = 1

  constructor({ user, name, memory = new Map(), creds = credsOf(user) }: PhoneParts) {
    this.user = user
    this.name = name
    this.pn = `${user}@s.whatsapp.net`
    this.lid = `9${user}@lid`
    this.creds = creds
    this.#memory = memory
    this.#keys = addTransactionCapability(keysIn(memory), quiet, { maxCommitRetries: 1, delayBetweenTriesMs: 1 })
    this.#signal = DEFAULT_CONNECTION_CONFIG.makeSignalRepository({ creds: this.creds, keys: this.#keys }, quiet)
  }

  /** The same person with the same conversations, which go on separately. */
  copy(): Phone {
    const entries = JSON.parse(JSON.stringify([...this.#memory], BufferJSON.replacer), BufferJSON.reviver)
    const copy = new Phone({ user: this.user, name: this.name, memory: new Map(entries), creds: this.creds })
    copy.#nextPreKey = this.#nextPreKey
    return copy
  }

  saved(): SavedPhone {
    const { user, name, creds } = this
    return { user, name, creds, memory: [...this.#memory], nextPreKey: this.#nextPreKey }
  }

  /** The phone of an earlier process. */
  static restored({ memory, nextPreKey, ...person }: SavedPhone): Phone {
    const phone = new Phone({ ...person, memory: new Map(memory) })
    phone.#nextPreKey = nextPreKey
    return phone
  }

  get identity(): KeyPair {
    return this.creds.signedIdentityKey
  }

  /** The keys with which somebody begins to write to this phone. */
  async bundle(jid: string): Promise<BinaryNode> {
    const id = this.#nextPreKey++
    const pair = Curve.generateKeyPair()
    await this.#keys.set({ 'pre-key': { [id]: pair } })
    const { signedPreKey, registrationId, signedIdentityKey } = this.creds
    return node('user', { jid, t: seconds() }, [
      node('registration', {}, encodeBigEndian(registrationId)),
      node('type', {}, Buffer.from([5])),
      node('identity', {}, signedIdentityKey.public),
      node('skey', {}, [
        node('id', {}, encodeBigEndian(signedPreKey.keyId, 3)),
        node('value', {}, signedPreKey.keyPair.public),
        node('signature', {}, signedPreKey.signature),
      ]),
      node('key', {}, [node('id', {}, encodeBigEndian(id, 3)), node('value', {}, pair.public)]),
    ])
  }

  async seal(device: DeviceKeys, message: Written): Promise<Sealed> {
    if (!(await this.#signal.validateSession(device.jid)).exists) await this.#begin(device)
    return this.#signal.encryptMessage({ jid: device.jid, data: encoded(message) })
  }

  async sealForGroup(group: string, message: Written) {
    return this.#signal.encryptGroupMessage({ group, meId: this.pn, data: encoded(message) })
  }

  /** The next message to this device begins a new session. */
  async forget(jid: string): Promise<void> {
    await this.#signal.deleteSession([jid])
  }

  async open(from: string, sealed: { type: string; ciphertext: Uint8Array }): Promise<proto.IMessage> {
    const type = sealed.type === 'pkmsg' ? 'pkmsg' : 'msg'
    const plain = await this.#signal.decryptMessage({ jid: from, type, ciphertext: sealed.ciphertext })
    const message = proto.Message.decode(unpadRandomMax16(plain))
    const item = message.senderKeyDistributionMessage
    if (item) await this.#signal.processSenderKeyDistributionMessage({ item, authorJid: from })
    return message
  }

  async openFromGroup({
    group,
    from,
    ciphertext,
  }: {
    group: string
    from: string
    ciphertext: Uint8Array
  }): Promise<proto.IMessage> {
    const plain = await this.#signal.decryptGroupMessage({ group, authorJid: from, msg: ciphertext })
    return proto.Message.decode(unpadRandomMax16(plain))
  }

  /** As WhatsApp does: the same id again is the same message. Keys for groups are not shown. */
  show({ id, chat, message }: { id: string; chat: string; message: proto.IMessage }): void {
    const isMessage = Object.keys(message).some(
      (part) => part !== 'senderKeyDistributionMessage' && part !== 'messageContextInfo',
    )
    if (isMessage && !this.shown.some((one) => one.id === id && one.chat === chat)) this.shown.push({ id, chat, message })
  }

  async #begin({ jid, registrationId, identity, signedPreKey, preKeys }: DeviceKeys): Promise<void> {
    const preKey = preKeys.shift()
    if (!preKey) throw new Error(`${jid} has no pre-keys left`)
    const asSignal = <T extends PublicPreKey>(key: T) => ({ ...key, publicKey: generateSignalPubKey(key.publicKey) })
    const session = {
      registrationId,
      identityKey: generateSignalPubKey(identity),
      signedPreKey: asSignal(signedPreKey),
      preKey: asSignal(preKey),
    }
    await this.#signal.injectE2ESession({ jid, session })
  }
}

function encoded(message: Written): Uint8Array {
  return message instanceof Uint8Array ? writeRandomPadMax16(message) : encodeWAMessage(message)
}

function keysIn(values: Map<string, unknown>): SignalKeyStore {
  return {
    get<T extends keyof SignalDataTypeMap>(type: T, ids: string[]) {
      const found = ids.map((id) => [id, values.get(`${type}:${id}`)]).filter(([, value]) => value !== undefined)
      return Object.fromEntries(found) as { [id: string]: SignalDataTypeMap[T] }
    },
    set(data: SignalDataSet) {
      for (const [type, entries] of Object.entries(data)) {
        for (const [id, value] of Object.entries(entries)) {
          if (value === null) values.delete(`${type}:${id}`)
          else values.set(`${type}:${id}`, value)
        }
      }
    },
  }
}
