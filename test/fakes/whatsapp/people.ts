import assert from 'node:assert/strict'
import { type BinaryNode, BufferJSON, jidDecode, type proto } from 'baileys'
import type { Connection } from './connection.ts'
import type { CodePairing } from './pairing.ts'
import { type DeviceKeys, Phone, type SavedPhone } from './phone.ts'

export type Group = { jid: string; subject: string; members: Phone[] }

/** A device that an account has linked. What it has not confirmed is sent again when it connects. */
export type Device = {
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
export type Account = { phone: Phone; devices: Map<number, Device>; nextDevice: number }

/** One connection, and how far it is. */
export type Client = {
  connection: Connection
  payload: proto.ClientPayload | undefined
  refs: string[]
  pairing: string | undefined
  code: CodePairing | undefined
  /** Messages that it could not read and of which it asked for another copy, until it is done with the first one. */
  askedAgain: Set<string>
  device: Device | undefined
}

type SavedDevice = Omit<Device, 'account' | 'unconfirmed' | 'client'>
type SavedPeople = {
  phones: SavedPhone[]
  accounts: { user: string; nextDevice: number; devices: SavedDevice[] }[]
  groups: { jid: string; subject: string; members: string[] }[]
}

/** Who is on this WhatsApp, by the digits of their number; which of them can link devices; and the groups. */
export class People {
  readonly phones = new Map<string, Phone>()
  readonly accounts = new Map<string, Account>()
  readonly groups = new Map<string, Group>()

  /** By phone number or LID, of whatever device. */
  phoneOf(jid: string): Phone | undefined {
    const { user, server } = jidDecode(jid) ?? {}
    return [...this.phones.values()].find((phone) => user === (server === 'lid' ? jidDecode(phone.lid)?.user : phone.user))
  }

  accountOf(phone: Phone): Account {
    const account = this.accounts.get(phone.user)
    if (!account) throw new Error(`${phone.user} has no account here`)
    return account
  }

  /** Those that have said with which keys one writes to them; a device that was killed before that never will. */
  devicesOf(phone: Phone): Device[] {
    return [...this.accountOf(phone).devices.values()].filter(({ keys }) => keys.preKeys.length > 0)
  }

  devicesIn(group: string): Device[] {
    const members = this.groups.get(group)?.members ?? []
    return members.flatMap((member) => [...(this.accounts.get(member.user)?.devices.values() ?? [])])
  }

  /** The same people and devices, with which something else may happen from now on. Nobody is connected there. */
  copy(): People {
    const copy = new People()
    const phoneOf = ({ user }: Phone) => copy.phones.get(user) ?? assert.fail(`there is no ${user}`)
    for (const [user, phone] of this.phones) copy.phones.set(user, phone.copy())
    for (const [user, { phone, devices, nextDevice }] of this.accounts) {
      const account: Account = { phone: phoneOf(phone), devices: new Map(), nextDevice }
      for (const [id, device] of devices) account.devices.set(id, copyFor(account, device))
      copy.accounts.set(user, account)
    }
    for (const [jid, group] of this.groups) copy.groups.set(jid, { ...group, members: group.members.map(phoneOf) })
    return copy
  }

  /** Everybody as JSON, for a WhatsApp in another process. What a device has not confirmed is not part of it. */
  saved(): string {
    const saved: SavedPeople = {
      phones: [...this.phones.values()].map((phone) => phone.saved()),
      accounts: [...this.accounts].map(([user, { nextDevice, devices }]) => {
        return { user, nextDevice, devices: [...devices.values()].map(deviceToSave) }
      }),
      groups: [...this.groups.values()].map((group) => ({ ...group, members: group.members.map(({ user }) => user) })),
    }
    return JSON.stringify(saved, BufferJSON.replacer)
  }

  /** Reads what `saved` wrote. */
  static restored(text: string): People {
    const saved: SavedPeople = JSON.parse(text, BufferJSON.reviver)
    const people = new People()
    const phoneOf = (user: string) => people.phones.get(user) ?? assert.fail(`there is no ${user}`)
    for (const phone of saved.phones) people.phones.set(phone.user, Phone.restored(phone))
    for (const { user, nextDevice, devices } of saved.accounts) {
      const account: Account = { phone: phoneOf(user), devices: new Map(), nextDevice }
      for (const device of devices)
        account.devices.set(device.id, { ...device, account, unconfirmed: new Map(), client: undefined })
      people.accounts.set(user, account)
    }
    for (const group of saved.groups) people.groups.set(group.jid, { ...group, members: group.members.map(phoneOf) })
    return people
  }
}

function deviceToSave({ id, jid, lid, noiseKey, keys, historySent }: Device): SavedDevice {
  return { id, jid, lid, noiseKey, keys, historySent }
}

function copyFor(account: Account, device: Device): Device {
  const keys = { ...device.keys, preKeys: [...device.keys.preKeys] }
  return { ...device, keys, account, unconfirmed: new Map(device.unconfirmed), client: undefined }
}
