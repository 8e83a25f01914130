import { randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type BinaryNode, jidDecode, type proto, S_WHATSAPP_NET } from 'baileys'
import { type WebSocket, WebSocketServer } from 'ws'
import { muteLibsignal } from '../../../src/channels/whatsapp/quiet-library.ts'
import { until } from '../patience.ts'
import { answerTo } from './answers.ts'
import { Connection } from './connection.ts'
import { historyFor } from './history.ts'
import { releaseUploadTimers } from './library-timers.ts'
import { MediaHost } from './media-host.ts'
import { bytes, child, children, node, result, seconds } from './nodes.ts'
import { type ServerIdentity, serverIdentity } from './noise.ts'
import { type Candidate, CodePairing, deviceKeys, pairSuccess, readQr } from './pairing.ts'
import { type Client, type Device, People } from './people.ts'
import { Phone, type Written } from './phone.ts'

type Attrs = Record<string, string>

/** What happens to the next message that the device sends. */
export type Mishap = 'swallowed' | 'delivered-unconfirmed' | 'unanswered' | { refusedWith: string }

export type ServerOptions = {
  /** People are named by their LID, and the phone number stands beside it; else the other way round. */
  lidAddressing?: boolean
  /** Those who are there from the start. */
  people?: People
}

/** Making it takes long, so all servers of a process have one. */
let ownIdentity: ServerIdentity | undefined

/**
 * WhatsApp for tests: the server and the phones of everybody, on this machine. The real, unmodified client library speaks to
 * it; only the server's side of each exchange is written here.
 */
export class FakeWhatsApp {
  readonly #people: People
  readonly media = new MediaHost()
  /** Every stanza that devices sent. */
  readonly heard: BinaryNode[] = []
  /** Called with each of them before it is looked at. */
  onStanza: ((stanza: BinaryNode) => void) | undefined
  connections = 0
  /** The version of WhatsApp Web that the last connection claimed. */
  version = ''
  nextMishap: Mishap | undefined
  /** So many codes are there to be scanned, one after the other, before WhatsApp gives up. */
  codes = 6
  /** The next message to a device cannot be decrypted. */
  garbleNext = false
  /** The code with which the next connection is ended before it is let in. */
  refuseNext: string | undefined
  /** LIDs come without the phone number beside them. */
  hidesPhones = false
  #isDown = false
  readonly #options: ServerOptions
  readonly #clients = new Set<Client>()
  readonly #repeatable = new Map<string, { phone: Phone; message: Written; attrs: Attrs }>()
  readonly #http: Server = createServer((_request, response) => response.end())
  readonly #sockets = new WebSocketServer({ server: this.#http })

  constructor({ people = new People(), ...options }: ServerOptions = {}) {
    this.#options = options
    this.#people = people
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

  /** A person, who may be there already. */
  person(user: string, name: string): Phone {
    const phone = this.#people.phones.get(user) ?? new Phone({ user, name })
    this.#people.phones.set(user, phone)
    return phone
  }

  /** A person whose account devices can be linked to. */
  account(user: string, name: string): Phone {
    const phone = this.person(user, name)
    if (!this.#people.accounts.has(user)) this.#people.accounts.set(user, { phone, devices: new Map(), nextDevice: 7 })
    return phone
  }

  /** Everybody as they are now, to begin another server with. */
  people(): People {
    return this.#people.copy()
  }

  /** The first of the members is its admin. */
  group(jid: string, subject: string, members: Phone[]): void {
    this.#people.groups.set(jid, { jid, subject, members })
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
  async write(from: Phone, to: Phone, message: string | Written): Promise<string> {
    const id = newId()
    const attrs = { id, notify: from.name, ...this.#addressOf(from, 'sender') }
    for (const device of this.#people.devicesOf(to))
      await this.#toDevice({ phone: from, device, message: contentOf(message), attrs })
    return id
  }

  /** The owner of an account writes on the phone: linked devices get a copy. To themselves, if no other is named. */
  async writeFromPhone(owner: Phone, message: string | proto.IMessage, to: Phone = owner): Promise<string> {
    const id = newId()
    const recipient = this.#options.lidAddressing ? to.lid : to.pn
    const content = { deviceSentMessage: { destinationJid: recipient, message: contentOf(message) } }
    const other = this.#options.lidAddressing ? { recipient_pn: to.pn } : { recipient_lid: to.lid }
    const attrs = { id, notify: owner.name, ...this.#addressOf(owner, 'sender'), recipient, ...other }
    for (const device of this.#people.devicesOf(owner)) await this.#toDevice({ phone: owner, device, message: content, attrs })
    return id
  }

  /** Somebody writes to a group that the owner of an account is in. */
  async writeToGroup(from: Phone, group: string, message: string | Written): Promise<string> {
    const id = newId()
    const { ciphertext, senderKeyDistributionMessage } = await from.sealForGroup(group, contentOf(message))
    const { from: participant = '', ...address } = this.#addressOf(from, 'participant')
    const key = { groupId: group, axolotlSenderKeyDistributionMessage: senderKeyDistributionMessage }
    for (const device of this.#people.devicesIn(group)) {
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
    for (const device of this.#people.devicesOf(owner)) {
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

  /** WhatsApp tells every device that is connected of a change to a group. */
  tellOfGroup(jid: string, change: BinaryNode): void {
    this.sendAll(node('notification', { id: newId(), from: jid, type: 'w:gp2', t: seconds() }, [change]))
  }

  renameGroup(jid: string, subject: string): void {
    const group = this.#people.groups.get(jid)
    if (!group) throw new Error(`there is no group ${jid}`)
    group.subject = subject
  }

  // ---- what goes wrong

  /** WhatsApp sends a stanza, whatever is in it, to every device that is connected. */
  sendAll(stanza: BinaryNode): void {
    for (const { connection } of this.#clients) connection.send(stanza)
  }

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
    for (const { devices } of this.#people.accounts.values())
      for (const device of devices.values()) await this.#repeat(device, id)
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
    const account = this.#people.accountOf(owner)
    for (const { client } of account.devices.values()) {
      client?.connection.send(node('stream:error', { code: '401' }, [node('conflict', { type: 'device_removed' })]))
      client?.connection.close()
    }
    account.devices.clear()
  }

  /** How many linked devices an account has. */
  linked(owner: Phone): number {
    return this.#people.accountOf(owner).devices.size
  }

  get open(): number {
    return this.#clients.size
  }

  /** What devices have not confirmed. */
  unconfirmed(owner: Phone): string[] {
    return this.#people.devicesOf(owner).flatMap(({ unconfirmed }) => [...unconfirmed.keys()])
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
    ownIdentity ??= serverIdentity()
    const connection = new Connection({ ws, server: ownIdentity, handlers })
    const nothing = { payload: undefined, pairing: undefined, code: undefined, device: undefined }
    const client: Client = { connection, refs: [], askedAgain: new Set(), ...nothing }
    this.#clients.add(client)
  }

  #hello(client: Client, { identity, payload }: { identity: Buffer; payload: proto.ClientPayload }): void {
    client.payload = payload
    const { primary, secondary, tertiary } = payload.userAgent?.appVersion ?? {}
    this.version = [primary, secondary, tertiary].join('.')
    if (this.refuseNext !== undefined) return this.#refuse(client, this.refuseNext)
    if (payload.devicePairingData) return this.#offerCodes(client)
    const device = this.#people.accounts.get(String(payload.username))?.devices.get(payload.device ?? 0)
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
    client.refs = Array.from({ length: this.codes }, () => randomBytes(24).toString('base64'))
    const refs = client.refs.map((ref) => node('ref', {}, Buffer.from(ref)))
    const attrs = { from: S_WHATSAPP_NET, type: 'set', id: `pd${Date.now()}`, xmlns: 'md' }
    client.connection.send(node('iq', attrs, [node('pair-device', {}, refs)]))
  }

  #link({ client, phone, candidate }: { client: Client; phone: Phone; candidate: Candidate }): void {
    const account = this.#people.accountOf(phone)
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
    this.onStanza?.(stanza)
    if (stanza.tag === 'iq') return this.#question(client, stanza)
    if (stanza.tag === 'message') return this.#messageFrom(client, stanza)
    if (stanza.tag === 'receipt') return this.#receipt(client, stanza)
    if (stanza.tag === 'ack' && stanza.attrs.class === 'message') this.#acknowledged(client, stanza)
  }

  /** When another copy was asked for, this is about the one that could not be read, and the other may be on its way yet. */
  #acknowledged({ device, askedAgain }: Client, { attrs }: BinaryNode): void {
    const { id = '' } = attrs
    if (!askedAgain.delete(id)) device?.unconfirmed.delete(id)
  }

  async #question(client: Client, iq: BinaryNode): Promise<void> {
    const { connection } = client
    if (iq.attrs.type === 'result') return this.#answered(client, iq)
    const [operation] = Array.isArray(iq.content) ? iq.content : []
    const about = `${iq.attrs.xmlns} ${operation?.tag}`
    if (about === 'md link_code_companion_reg' && operation) return this.#codeStep(client, iq, operation)
    const mediaHosts = this.media.hosts()
    connection.send(await answerTo({ iq, about, device: client.device, people: this.#people, mediaHosts }))
    if (iq.attrs.xmlns === 'passive') await this.#nowActive(client)
    if (about === 'md remove-companion-device' && client.device) client.device.account.devices.delete(client.device.id)
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
    const phone = client.code && this.#people.phones.get(client.code.user)
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

  async #sendHistory(device: Device): Promise<void> {
    const { phone } = device.account
    for (const message of historyFor([...this.#people.phones.values()], { hidesPhones: this.hidesPhones })) {
      const attrs = { id: newId(), from: phone.pn, category: 'peer', type: 'protocol' }
      await this.#toDevice({ phone, device, message, attrs })
    }
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
      const phone = this.#people.phoneOf(jid)
      if (!phone || !enc) continue
      const from = jid.endsWith('@lid') ? device.lid : device.jid
      const message = await phone.open(from, { type: enc.attrs.type ?? '', ciphertext: bytes(enc) })
      phone.show({ id, chat: to, message })
    }
    const shared = isGroup ? children(stanza, 'enc').find(({ attrs }) => attrs.type === 'skmsg') : undefined
    for (const phone of this.#people.groups.get(to)?.members ?? []) {
      if (!shared || phone === device.account.phone) continue
      const message = await phone.openFromGroup({ group: to, from: device.jid, ciphertext: bytes(shared) })
      phone.show({ id, chat: to, message })
    }
  }

  async #receipt({ connection, device, askedAgain }: Client, stanza: BinaryNode): Promise<void> {
    const { id = '', to = '', type } = stanza.attrs
    if (device) {
      for (const done of [id, ...children(child(stanza, 'list'), 'item').map(({ attrs }) => attrs.id ?? '')])
        device.unconfirmed.delete(done)
      if (type === 'retry') {
        askedAgain.add(id)
        await this.#repeat(device, id)
      }
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
    message: Written
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
}

function newId(): string {
  return `3A${randomBytes(9).toString('hex').toUpperCase()}`
}

function contentOf<T extends Written>(message: string | T): T | proto.IMessage {
  return typeof message === 'string' ? { conversation: message } : message
}

function garbled(ciphertext: Uint8Array): Uint8Array {
  const copy = Buffer.from(ciphertext)
  copy[copy.length - 3] = (copy[copy.length - 3] ?? 0) ^ 0xff
  return copy
}
