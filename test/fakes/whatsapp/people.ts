import { type BinaryNode, jidDecode, type proto } from 'baileys'
import type { Connection } from './connection.ts'
import type { CodePairing } from './pairing.ts'
import type { DeviceKeys, Phone } from './phone.ts'

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
  device: Device | undefined
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
}
