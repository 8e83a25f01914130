import type { GroupMetadata, WASocket } from 'baileys'
import type { Sink } from '../contract.ts'

/** The groups that the account is in: their names for the host, their members for sending. */
export class Groups {
  readonly #sink: Pick<Sink, 'chat'>
  readonly #metadata = new Map<string, GroupMetadata>()

  constructor(sink: Pick<Sink, 'chat'>) {
    this.#sink = sink
  }

  cached(jid: string): GroupMetadata | undefined {
    return this.#metadata.get(jid)
  }

  /** Only as far as it is known: nobody is taken for an admin on trust. */
  isAdmin(jid: string, isThem: (name: string, other: string | undefined) => boolean): boolean {
    const { participants = [] } = this.#metadata.get(jid) ?? {}
    return participants.some(({ id, phoneNumber, lid, admin }) => Boolean(admin) && isThem(id, phoneNumber ?? lid))
  }

  /** Asks for all groups and tells their names. */
  async sync(socket: WASocket): Promise<void> {
    const all = await socket.groupFetchAllParticipating()
    this.#metadata.clear()
    for (const [jid, group] of Object.entries(all)) {
      this.#metadata.set(jid, group)
      await this.#sink.chat({ jid, name: group.subject, isGroup: true })
    }
  }

  /** Hears of changes. Of members it is only told who came or went, so the group is asked for anew. */
  follow(socket: WASocket, onError: (error: unknown) => void): void {
    const tell = ({ id, subject }: { id: string; subject: string }): void => {
      this.#sink.chat({ jid: id, name: subject, isGroup: true }).catch(onError)
    }
    socket.ev.on('group-participants.update', ({ id }) => {
      this.#metadata.delete(id)
      socket.groupMetadata(id).then((group) => this.#metadata.set(id, group), onError)
    })
    socket.ev.on('groups.update', (changes) => {
      for (const change of changes) {
        const { id, subject } = change
        if (id === undefined) continue
        const known = this.#metadata.get(id)
        if (known) this.#metadata.set(id, { ...known, ...change })
        if (subject) tell({ id, subject })
      }
    })
    socket.ev.on('groups.upsert', (groups) => {
      for (const group of groups) {
        this.#metadata.set(group.id, group)
        tell(group)
      }
    })
  }
}
