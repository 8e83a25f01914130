import { isLidUser, isPnUser, jidDecode, jidNormalizedUser } from 'baileys'

/** What WhatsApp has told about who is who. Users are the part before the `@`. */
export type Directory = {
  phoneOf(lidUser: string): string | undefined
  lidOf(phoneUser: string): string | undefined
  account: { phone: string; lid: string | undefined } | undefined
}

/**
 * One name for every chat and person. WhatsApp names a person by the phone number or by a LID, in any message either:
 * the phone number wins where it is known, and whatever a chat was registered by.
 */
export class Addresses {
  readonly #directory: Directory
  readonly #isRegistered: (jid: string) => boolean

  constructor(directory: Directory, isRegistered: (jid: string) => boolean) {
    this.#directory = directory
    this.#isRegistered = isRegistered
  }

  /** The name of a direct chat or a group. `alt` is the other name of the same person, where the message tells it. */
  chat(jid: string, alt?: string): string {
    const names = this.#namesOf(jid, alt)
    return names.find((name) => this.#isRegistered(name)) ?? names[0] ?? jid
  }

  person(jid: string, alt?: string): string {
    return this.#namesOf(jid, alt)[0] ?? jid
  }

  /** Is this the account that is linked here, by either name? */
  isMe(jid: string): boolean {
    const { account } = this.#directory
    const name = jidNormalizedUser(jid)
    return account !== undefined && (name === account.phone || name === account.lid)
  }

  /** Both names of a person as far as they are known, the phone number first; of anything else, its one name. */
  #namesOf(jid: string, alt: string | undefined): string[] {
    const known = [jid, alt].filter((name) => name !== undefined).map((name) => jidNormalizedUser(name))
    const phone = known.find((name) => isPnUser(name)) ?? this.#phoneOf(known)
    const lid = known.find((name) => isLidUser(name)) ?? this.#lidOf(known)
    const names = [phone, lid].filter((name) => name !== undefined)
    return names.length > 0 ? names : known.slice(0, 1)
  }

  #phoneOf(names: string[]): string | undefined {
    const lid = names.find((name) => isLidUser(name))
    if (lid === undefined) return undefined
    const { account } = this.#directory
    if (lid === account?.lid) return account.phone
    const user = this.#directory.phoneOf(userOf(lid))
    return user === undefined ? undefined : `${user}@s.whatsapp.net`
  }

  #lidOf(names: string[]): string | undefined {
    const phone = names.find((name) => isPnUser(name))
    const user = phone === undefined ? undefined : this.#directory.lidOf(userOf(phone))
    return user === undefined ? undefined : `${user}@lid`
  }
}

/** The part before the `@` and the device: a phone number's digits, or a LID's. */
export function userOf(jid: string): string {
  return jidDecode(jid)?.user ?? jid
}
