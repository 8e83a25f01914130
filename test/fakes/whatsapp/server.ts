import { randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { deflateSync } from 'node:zlib'
import { type BinaryNode, Curve, jidDecode, proto, S_WHATSAPP_NET } from 'baileys'
import { type WebSocket, WebSocketServer } from 'ws'
import { muteLibsignal } from '../../../src/channels/whatsapp/quiet-library.ts'
import { until } from '../host-process.ts'
import { Connection } from './connection.ts'
import { releaseUploadTimers } from './library-timers.ts'
import { MediaHost } from './media-host.ts'
import { bytes, child, children, node, result, seconds } from './nodes.ts'
import { type Candidate, CodePairing, deviceKeys, pairSuccess, readQr } from './pairing.ts'
import { type DeviceKeys, Phone } from './phone.ts'

type Attrs = Record<string, string>
type Group = { jid: string; subject: string; members: Phone[] }

/** A device that an account has linked. What it has not confirmed is sent again when it connects. */
type Device = {
  id: number
  jid: string
  lid: string
  noiseKey: Buffer
  keys: DeviceKeys
  account: Account
  unconfirmed: Map<string, BinaryNode>
  historySent: boolean
  client: Client | undefined
}
type Account = { phone: Phone; devices: Map<number, Device>; nextDevice: number }

/** One connection, and how far it is. */
type Client = {
  connection: Connection
  payload: proto.ClientPayload | undefined
  refs: string[]
  pairing: string | undefined
  code: CodePairing | undefined
  device: Device | undefined
}

/** What happens to the next message that the device sends. */
export type Mishap = 'swallowed' | 'delivered-unconfirmed' | 'unanswered' | { refusedWith: string }

export type ServerOptions = {
  /** People are named by their LID, and the phone number stands beside it; else the other way round. */
  lidAddressing?: boolean
}

/**
 * WhatsApp for tests: the server and the phones of everybody, on this machine. The real, unmodified client library speaks to
 * it; only the server's side of each exchange is written here.
 */
export class FakeWhatsApp {
  readonly phones = new Map<string, Phone>()
  readonly groups = new Map<string, Group>()
  readonly media = new MediaHost()
  /** Every stanza that devices sent. */
  readonly heard: BinaryNode[] = []
  connections = 0
  nextMishap: Mishap | undefined
  /** The next message to a device cannot be decrypted. */
  garbleNext = false
  /** The code with which the next connection is ended before it is let in. */
  refuseNext: string | undefined
  /** LIDs come without the phone number beside them. */
  hidesPhones = false
  #isDown = false
  readonly #options: ServerOptions
  readonly #accounts = new Map<string, Account>()
  readonly #clients = new Set<Client>()
  readonly #identity = { identity: Curve.generateKeyPair(), root: Curve.generateKeyPair() }
  readonly #repeatable = new Map<string, { phone: Phone; message: proto.IMessage; attrs: Attrs }>()
  readonly #http: Server = createServer((_request, response) => response.end())
  readonly #sockets = new WebSocketServer({ server: this.#http })

  constructor(options: ServerOptions = {}) {
    this.#options = options
    this.#sockets.on('connection', (ws) => this.#connected(ws))
  }

  static async start(t: { after(fn: () => unknown): void }, options: ServerOptions = {}): Promise<FakeWhatsApp> {
    muteLibsignal(console)
    releaseUploadTimers()
    const server = new FakeWhatsApp(options)
    await new Promise<void>((resolve) => server.#http.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
    return server
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#http.address() as AddressInfo).port}/ws/chat`
  }

  async close(): Promise<void> {
    for (const { connection } of this.#clients) connection.drop()
    this.#sockets.close()
    await this.media.close()
    await new Promise((resolve) => this.#http.close(resolve))
  }

  // ---- people

  person(user: string, name: string): Phone {
    const phone = new Phone({ user, name })
    this.phones.set(user, phone)
    return phone
  }

  /** A person whose account devices can be linked to. */
  account(user: string, name: string): Phone {
    const phone = this.person(user, name)
    this.#accounts.set(user, { phone, devices: new Map(), nextDevice: 7 })
    return phone
  }

  group(jid: string, subject: string, members: Phone[]): void {
    this.groups.set(jid, { jid, subject, members })
  }

  /** The owner scans what the device shows. */
  scan(qr: string, phone: Phone): void {
    const { ref, ...candidate } = readQr(qr)
    const client = [...this.#clients].find(({ refs }) => refs.includes(ref))
    if (!client) throw new Error('this QR code is of no open connection')
    this.#link({ client, phone, candidate })
  }

  /** The owner types the code that the device shows, as soon as the phone knows that there is one. */
  async type(code: string, phone: Phone): Promise<void> {
    const asking = () => [...this.#clients].find((one) => one.code?.user === phone.user)
    await until(() => asking() !== undefined, 'a device asked for a code')
    const client = asking()
    if (client?.code) client.connection.send(await client.code.typed(phone, code))
  }

  // ---- what people do

  /** Somebody writes to the owner of an account. Returns the message's id. */
  async write(from: Phone, to: Phone, message: string | proto.IMessage): Promise<string> {
    const id = newId()
    const attrs = { id, notify: from.name, ...this.#addressOf(from, 'sender') }
    for (const device of this.#devicesOf(to)) await this.#toDevice({ phone: from, device, message: contentOf(message), attrs })
    return id
  }

  /** The owner of an account writes on the phone: linked devices get a copy. To themselves, if no other is named. */
  async writeFromPhone(owner: Phone, message: string | proto.IMessage, to: Phone = owner): Promise<string> {
    const id = newId()
    const recipient = this.#options.lidAddressing ? to.lid : to.pn
    const content = { deviceSentMessage: { destinationJid: recipient, message: contentOf(message) } }
    const other = this.#options.lidAddressing ? { recipient_pn: to.pn } : { recipient_lid: to.lid }
    const attrs = { id, notify: owner.name, ...this.#addressOf(owner, 'sender'), recipient, ...other }
    for (const device of this.#devicesOf(owner)) await this.#toDevice({ phone: owner, device, message: content, attrs })
    return id
  }

  /** Somebody writes to a group that the owner of an account is in. */
  async writeToGroup(from: Phone, group: string, message: string | proto.IMessage): Promise<string> {
    const id = newId()
    const { ciphertext, senderKeyDistributionMessage } = await from.sealForGroup(group, contentOf(message))
    const { from: participant = '', ...address } = this.#addressOf(from, 'participant')
    const key = { groupId: group, axolotlSenderKeyDistributionMessage: senderKeyDistributionMessage }
    for (const device of this.#membersDevices(group)) {
      const sealed = await from.seal(device.keys, { senderKeyDistributionMessage: key })
      const attrs = { from: group, participant, ...address, id, t: seconds(), type: 'text', notify: from.name }
      this.#deliver(
        device,
        node('message', attrs, [
          node('enc', { v: '2', type: sealed.type }, sealed.ciphertext),
          node('enc', { v: '2', type: 'skmsg' }, ciphertext),
        ]),
      )
    }
    return id
  }

  /** Somebody's phone cannot read what a device sent, and asks for it again. */
  async askAgain(phone: Phone, owner: Phone, id: string): Promise<void> {
    for (const device of this.#devicesOf(owner)) {
      await phone.forget(device.jid)
      const bundle = await phone.bundle(phone.pn)
      const keys = Array.isArray(bundle.content) ? bundle.content.filter(({ tag }) => tag !== 'registration') : []
      device.client?.connection.send(
        node('receipt', { from: phone.pn, id, type: 'retry', t: seconds() }, [
          node('retry', { count: '1', id, t: seconds(), v: '1' }),
          node('registration', {}, bytes(child(bundle, 'registration'))),
          node('keys', {}, keys),
        ]),
      )
    }
  }

  renameGroup(jid: string, subject: string): void {
    const group = this.groups.get(jid)
    if (!group) throw new Error(`there is no group ${jid}`)
    group.subject = subject
  }

  // ---- what goes wrong

  /** The network goes away under every device. */
  dropAll(): void {
    for (const { connection } of this.#clients) connection.drop()
  }

  /** The network is gone: connections break, and none can be made, until `up`. */
  down(): void {
    this.#isDown = true
    this.dropAll()
  }

  up(): void {
    this.#isDown = false
  }

  /** WhatsApp delivers a message again, as it does when it is not sure that it arrived. */
  async redeliver(id: string): Promise<void> {
    const original = this.#repeatable.get(id)
    if (!original) throw new Error(`there was no message ${id}`)
    for (const { devices } of this.#accounts.values()) for (const device of devices.values()) await this.#repeat(device, id)
  }

  /** Ends every device's connection with a code. */
  endAll(code: number): void {
    for (const { connection } of this.#clients) {
      connection.send(node('stream:error', { code: String(code) }))
      connection.close()
    }
  }

  /** The same device connects a second time, from somewhere else. */
  replaceAll(): void {
    for (const { connection } of this.#clients) {
      connection.send(node('stream:error', {}, [node('conflict', { type: 'replaced' })]))
      connection.close()
    }
  }

  /** The owner removes all linked devices on the phone. */
  unlink(owner: Phone): void {
    const account = this.#accountOf(owner)
    for (const { client } of account.devices.values()) {
      client?.connection.send(node('stream:error', { code: '401' }, [node('conflict', { type: 'device_removed' })]))
      client?.connection.close()
    }
    account.devices.clear()
  }

  /** How many linked devices an account has. */
  linked(owner: Phone): number {
    return this.#accountOf(owner).devices.size
  }

  get open(): number {
    return this.#clients.size
  }

  /** What devices have not confirmed. */
  unconfirmed(owner: Phone): string[] {
    return this.#devicesOf(owner).flatMap(({ unconfirmed }) => [...unconfirmed.keys()])
  }

  // ---- connections

  #connected(ws: WebSocket): void {
    this.connections++
    if (this.#isDown) return ws.terminate()
    const handlers = {
      onClient: (hello: { identity: Buffer; payload: proto.ClientPayload }) => this.#hello(client, hello),
      onNode: (stanza: BinaryNode) => this.#take(client, stanza),
      onClose: () => {
        this.#clients.delete(client)
        if (client.device?.client === client) client.device.client = undefined
      },
    }
    const connection = new Connection({ ws, server: this.#identity, handlers })
    const client: Client = { connection, payload: undefined, refs: [], pairing: undefined, code: undefined, device: undefined }
    this.#clients.add(client)
  }

  #hello(client: Client, { identity, payload }: { identity: Buffer; payload: proto.ClientPayload }): void {
    client.payload = payload
    if (this.refuseNext !== undefined) return this.#refuse(client, this.refuseNext)
    if (payload.devicePairingData) return this.#offerCodes(client)
    const device = this.#accounts.get(String(payload.username))?.devices.get(payload.device ?? 0)
    if (!device?.noiseKey.equals(identity)) return this.#refuse(client, '401')
    device.client?.connection.send(node('stream:error', {}, [node('conflict', { type: 'replaced' })]))
    device.client?.connection.close()
    client.device = device
    device.client = client
    client.connection.send(node('success', { t: seconds(), lid: device.lid, creation: seconds(), props: '1' }))
  }

  #refuse({ connection }: Client, reason: string): void {
    this.refuseNext = undefined
    connection.send(node('failure', { reason, location: 'fake' }))
    connection.close()
  }

  #offerCodes(client: Client): void {
    client.refs = Array.from({ length: 6 }, () => randomBytes(24).toString('base64'))
    const refs = client.refs.map((ref) => node('ref', {}, Buffer.from(ref)))
    const attrs = { from: S_WHATSAPP_NET, type: 'set', id: `pd${Date.now()}`, xmlns: 'md' }
    client.connection.send(node('iq', attrs, [node('pair-device', {}, refs)]))
  }

  #link({ client, phone, candidate }: { client: Client; phone: Phone; candidate: Candidate }): void {
    const account = this.#accountOf(phone)
    const id = account.nextDevice++
    const jid = `${phone.user}:${id}@s.whatsapp.net`
    const lid = `${jidDecode(phone.lid)?.user}:${id}@lid`
    const { payload } = client
    if (!payload) throw new Error('this client has not said who it is')
    const keys = deviceKeys({ payload, jid, identity: candidate.identity })
    const linked = { id, jid, lid, keys, account, noiseKey: candidate.noiseKey, unconfirmed: new Map(), historySent: false }
    account.devices.set(id, { ...linked, client: undefined })
    client.pairing = `ps${id}`
    client.connection.send(pairSuccess({ phone, candidate, device: { id, jid, lid }, id: client.pairing }))
  }

  // ---- stanzas

  async #take(client: Client, stanza: BinaryNode): Promise<void> {
    this.heard.push(stanza)
    if (stanza.tag === 'iq') return this.#question(client, stanza)
    if (stanza.tag === 'message') return this.#messageFrom(client, stanza)
    if (stanza.tag === 'receipt') return this.#receipt(client, stanza)
    if (stanza.tag === 'ack' && stanza.attrs.class === 'message') client.device?.unconfirmed.delete(stanza.attrs.id ?? '')
  }

  async #question(client: Client, iq: BinaryNode): Promise<void> {
    const { connection } = client
    if (iq.attrs.type === 'result') return this.#answered(client, iq)
    const [operation] = Array.isArray(iq.content) ? iq.content : []
    const about = `${iq.attrs.xmlns} ${operation?.tag}`
    if (about === 'md link_code_companion_reg' && operation) return this.#codeStep(client, iq, operation)
    connection.send(await this.#answer(client, iq, about))
    if (iq.attrs.xmlns === 'passive') await this.#nowActive(client)
    if (about === 'md remove-companion-device' && client.device) client.device.account.devices.delete(client.device.id)
  }

  async #answer({ device }: Client, iq: BinaryNode, about: string): Promise<BinaryNode> {
    switch (about) {
      case 'encrypt count':
        return result(iq, [node('count', { value: String(device?.keys.preKeys.length ?? 0) })])
      case 'encrypt digest':
        return result(iq, [node('digest')])
      case 'encrypt key':
        return result(iq, [
          node('list', {}, await Promise.all(children(child(iq, 'key'), 'user').map((user) => this.#bundle(user)))),
        ])
      case 'encrypt registration':
        if (device) storePreKeys(device, iq)
        return result(iq)
      case 'w:m media_conn':
        return result(iq, [node('media_conn', { auth: 'a', ttl: '300' }, this.media.hosts())])
      case 'usync usync':
        return result(iq, [this.#whoIsWho(child(iq, 'usync'))])
      case 'w:g2 participating':
        return result(iq, [node('groups', {}, [...this.groups.values()].map(groupNode))])
      case 'w:g2 query':
        return this.#groupAnswer(iq)
      case 'blocklist undefined':
        return result(iq, [node('list', {}, [])])
      case 'privacy privacy':
        return result(iq, [node('privacy', {}, [])])
      case 'w props':
        return result(iq, [node('props', { hash: 'h', refresh: '86400' }, [])])
      case 'w:sync:app:state sync': {
        const asked = children(child(iq, 'sync'), 'collection')
        return result(iq, [
          node(
            'sync',
            {},
            asked.map(({ attrs }) => node('collection', { name: attrs.name ?? '', version: '1' }, [])),
          ),
        ])
      }
      default:
        return result(iq)
    }
  }

  /** The device has taken the news of its link: it is to connect anew. */
  #answered({ connection, pairing }: Client, iq: BinaryNode): void {
    if (pairing === undefined || iq.attrs.id !== pairing) return
    connection.send(node('stream:error', { code: '515' }))
    connection.close()
  }

  async #codeStep(client: Client, iq: BinaryNode, operation: BinaryNode): Promise<void> {
    if (operation.attrs.stage === 'companion_hello') {
      client.code = new CodePairing(operation)
      return client.connection.send(result(iq, [client.code.reference]))
    }
    client.connection.send(result(iq))
    const phone = client.code && this.phones.get(client.code.user)
    if (client.code && phone) this.#link({ client, phone, candidate: client.code.finish(operation, phone) })
  }

  async #nowActive(client: Client): Promise<void> {
    const { device, connection } = client
    if (!device) return
    for (const stanza of device.unconfirmed.values()) connection.send({ ...stanza, attrs: { ...stanza.attrs, offline: '0' } })
    const count = String(device.unconfirmed.size)
    connection.send(node('ib', { from: S_WHATSAPP_NET }, [node('offline', { count })]))
    if (device.historySent) return
    device.historySent = true
    await this.#sendHistory(device)
  }

  /** What the phone tells a new device: who is who, and an old message that is none of the assistant's. */
  async #sendHistory(device: Device): Promise<void> {
    const { phone } = device.account
    const people = [...this.phones.values()]
    const old = {
      key: { remoteJid: people[0]?.pn ?? '', id: 'OLD', fromMe: false },
      message: { conversation: 'said before the link' },
    }
    const { INITIAL_BOOTSTRAP, RECENT } = proto.HistorySync.HistorySyncType
    for (const syncType of [INITIAL_BOOTSTRAP, RECENT]) {
      const history = proto.HistorySync.encode({
        syncType,
        progress: 100,
        chunkOrder: 1,
        conversations: [{ id: people[0]?.pn ?? '', messages: [{ message: old }] }],
        pushnames: people.map(({ pn, name }) => ({ id: pn, pushname: name })),
        phoneNumberToLidMappings: this.hidesPhones ? [] : people.map(({ pn, lid }) => ({ pnJid: pn, lidJid: lid })),
      }).finish()
      const initialHistBootstrapInlinePayload = deflateSync(history)
      const historySyncNotification = { syncType, chunkOrder: 1, progress: 100, initialHistBootstrapInlinePayload }
      const { HISTORY_SYNC_NOTIFICATION: type } = proto.Message.ProtocolMessage.Type
      const attrs = { id: newId(), from: phone.pn, category: 'peer', type: 'protocol' }
      await this.#toDevice({ phone, device, message: { protocolMessage: { type, historySyncNotification } }, attrs })
    }
  }

  async #bundle({ attrs }: BinaryNode): Promise<BinaryNode> {
    const jid = attrs.jid ?? ''
    const phone = this.#phoneOf(jid)
    return phone ? phone.bundle(jid) : node('user', { jid }, [node('error', { code: '404' })])
  }

  #whoIsWho(usync: BinaryNode | undefined): BinaryNode {
    const users = children(child(usync, 'list'), 'user').map((asked) => {
      const number = child(asked, 'contact')?.content
      const jid = asked.attrs.jid ?? `${number ? bytes(child(asked, 'contact')).toString().replace('+', '') : ''}@s.whatsapp.net`
      const phone = this.#phoneOf(jid)
      if (!phone) return node('user', { jid }, [node('contact', { type: 'out' })])
      const ids = [0, ...(this.#accounts.get(phone.user)?.devices.keys() ?? [])]
      const devices = ids.map((id) => node('device', { id: String(id), ...(id ? { 'key-index': String(id) } : {}) }))
      const list = node('devices', {}, [node('device-list', {}, devices)])
      return node('user', { jid }, [node('contact', { type: 'in' }), node('lid', { val: phone.lid }), list])
    })
    return node('usync', { sid: usync?.attrs.sid ?? '' }, [node('list', {}, users)])
  }

  #groupAnswer(iq: BinaryNode): BinaryNode {
    const group = this.groups.get(iq.attrs.to ?? '')
    if (group) return result(iq, [groupNode(group)])
    const attrs = { from: iq.attrs.to ?? '', type: 'error', id: iq.attrs.id ?? '' }
    return node('iq', attrs, [node('error', { code: '404', text: 'item-not-found' })])
  }

  // ---- messages

  async #messageFrom(client: Client, stanza: BinaryNode): Promise<void> {
    const mishap = this.nextMishap
    this.nextMishap = undefined
    const { id = '', to = '' } = stanza.attrs
    if (mishap === 'unanswered') return
    if (mishap === 'swallowed') return client.connection.drop()
    if (typeof mishap === 'object') {
      const attrs = { class: 'message', id, from: to, t: seconds(), error: mishap.refusedWith }
      return client.connection.send(node('ack', attrs))
    }
    await this.#relay(client, stanza)
    if (mishap === 'delivered-unconfirmed') return client.connection.drop()
    client.connection.send(node('ack', { class: 'message', id, from: to, t: seconds() }))
    if (!to.endsWith('@g.us')) client.connection.send(node('receipt', { from: to, id, t: seconds() }))
  }

  /** Everybody's phone decrypts its part, and shows it. */
  async #relay({ device }: Client, stanza: BinaryNode): Promise<void> {
    if (!device) return
    const { id = '', to = '' } = stanza.attrs
    const isGroup = to.endsWith('@g.us')
    const parts = children(child(stanza, 'participants'), 'to').map((part) => ({
      jid: part.attrs.jid ?? '',
      enc: child(part, 'enc'),
    }))
    const own = child(stanza, 'enc')
    if (!isGroup && own) parts.push({ jid: to, enc: own })
    for (const { jid, enc } of parts) {
      const phone = this.#phoneOf(jid)
      if (!phone || !enc) continue
      const from = jid.endsWith('@lid') ? device.lid : device.jid
      const message = await phone.open(from, { type: enc.attrs.type ?? '', ciphertext: bytes(enc) })
      phone.show({ id, chat: to, message })
    }
    const shared = isGroup ? children(stanza, 'enc').find(({ attrs }) => attrs.type === 'skmsg') : undefined
    for (const phone of this.groups.get(to)?.members ?? []) {
      if (!shared || phone === device.account.phone) continue
      const message = await phone.openFromGroup({ group: to, from: device.jid, ciphertext: bytes(shared) })
      phone.show({ id, chat: to, message })
    }
  }

  async #receipt({ connection, device }: Client, stanza: BinaryNode): Promise<void> {
    const { id = '', to = '', type } = stanza.attrs
    if (device) {
      for (const done of [id, ...children(child(stanza, 'list'), 'item').map(({ attrs }) => attrs.id ?? '')])
        device.unconfirmed.delete(done)
      if (type === 'retry') await this.#repeat(device, id)
    }
    connection.send(node('ack', { class: 'receipt', id, from: to, ...(type ? { type } : {}) }))
  }

  /** The device could not read it: the sender's phone encrypts it once more, in a new session. */
  async #repeat(device: Device, id: string): Promise<void> {
    const original = this.#repeatable.get(id)
    if (!original) return
    await original.phone.forget(device.jid)
    await this.#toDevice({ ...original, device })
  }

  async #toDevice({
    phone,
    device,
    message,
    attrs,
  }: {
    phone: Phone
    device: Device
    message: proto.IMessage
    attrs: Attrs
  }): Promise<void> {
    const { type, ciphertext } = await phone.seal(device.keys, message)
    const sent = this.garbleNext ? garbled(ciphertext) : ciphertext
    this.garbleNext = false
    this.#repeatable.set(attrs.id ?? '', { phone, message, attrs })
    this.#deliver(device, node('message', { t: seconds(), type: 'text', ...attrs }, [node('enc', { v: '2', type }, sent)]))
  }

  #deliver(device: Device, stanza: BinaryNode): void {
    device.unconfirmed.set(stanza.attrs.id ?? '', stanza)
    device.client?.connection.send(stanza)
  }

  /** How a message names its sender: by LID or phone number, with the other one beside it. */
  #addressOf({ pn, lid }: Phone, role: 'sender' | 'participant'): Attrs {
    if (!this.#options.lidAddressing) return { from: pn, [`${role}_lid`]: lid, addressing_mode: 'pn' }
    return { from: lid, addressing_mode: 'lid', ...(this.hidesPhones ? {} : { [`${role}_pn`]: pn }) }
  }

  /** Those that have said with which keys one writes to them; a device that was killed before that never will. */
  #devicesOf(phone: Phone): Device[] {
    return [...this.#accountOf(phone).devices.values()].filter(({ keys }) => keys.preKeys.length > 0)
  }

  #membersDevices(group: string): Device[] {
    const members = this.groups.get(group)?.members ?? []
    return members.flatMap((member) => [...(this.#accounts.get(member.user)?.devices.values() ?? [])])
  }

  #accountOf(phone: Phone): Account {
    const account = this.#accounts.get(phone.user)
    if (!account) throw new Error(`${phone.user} has no account here`)
    return account
  }

  #phoneOf(jid: string): Phone | undefined {
    const { user, server } = jidDecode(jid) ?? {}
    return [...this.phones.values()].find((phone) => user === (server === 'lid' ? jidDecode(phone.lid)?.user : phone.user))
  }
}

function storePreKeys(device: Device, iq: BinaryNode): void {
  const key = (from: BinaryNode) => ({ keyId: bytes(child(from, 'id')).readUIntBE(0, 3), publicKey: bytes(child(from, 'value')) })
  device.keys.preKeys.push(...children(child(iq, 'list'), 'key').map(key))
  const signed = child(iq, 'skey')
  if (signed) device.keys.signedPreKey = { ...key(signed), signature: bytes(child(signed, 'signature')) }
}

function groupNode({ jid, subject, members }: Group): BinaryNode {
  const creator = members[0]?.pn ?? ''
  const id = jid.split('@')[0] ?? ''
  const attrs = {
    id,
    subject,
    s_t: seconds(),
    s_o: creator,
    creation: seconds(),
    creator,
    addressing_mode: 'pn',
    size: String(members.length),
  }
  const people = members.map(({ pn, lid }) => node('participant', { jid: pn, lid }))
  return node('group', attrs, people)
}

function newId(): string {
  return `3A${randomBytes(9).toString('hex').toUpperCase()}`
}

function contentOf(message: string | proto.IMessage): proto.IMessage {
  return typeof message === 'string' ? { conversation: message } : message
}

function garbled(ciphertext: Uint8Array): Uint8Array {
  const copy = Buffer.from(ciphertext)
  copy[copy.length - 3] = (copy[copy.length - 3] ?? 0) ^ 0xff
  return copy
}
