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

  /** Asks for all groups and tells their names. */
  async sync(socket: WASocket): Promise<void> {
    const all = await socket.groupFetchAllParticipating()
    this.#metadata.clear()
    for (const [jid, group] of Object.entries(all)) {
      this.#metadata.set(jid, group)
      await this.#sink.chat({ jid, name: group.subject, isGroup: true })
    }
  }

  /** Hears of changes. What changed is asked for anew when it is needed. */
  follow(socket: WASocket, onError: (error: unknown) => void): void {
    socket.ev.on('group-participants.update', ({ id }) => this.#metadata.delete(id))
    socket.ev.on('groups.update', (changes) => {
      for (const { id, subject } of changes) {
        if (id === undefined) continue
        this.#metadata.delete(id)
        if (subject) this.#sink.chat({ jid: id, name: subject, isGroup: true }).catch(onError)
      }
    })
    socket.ev.on('groups.upsert', (groups) => {
      for (const { id, subject } of groups) this.#sink.chat({ jid: id, name: subject, isGroup: true }).catch(onError)
    })
  }
}
