import type { AuditNote } from '../domain/audit.ts'
import { COMMAND_HELP, type Command, commandOf } from '../domain/command.ts'
import type { RegisteredChat } from '../domain/group.ts'
import type { Message } from '../domain/message.ts'
import { localTime } from '../domain/prompt.ts'
import { mayDo, type Standing } from '../domain/senders.ts'
import type { Store } from '../store/store.ts'
import type { GroupQueue } from './group-queue.ts'
import type { HardReset } from './hard-reset.ts'
import type { Trouble } from './troubles.ts'
import type { TurnDesk } from './turn-desk.ts'

export type CommandPorts = {
  store: Store
  desk: TurnDesk
  queue: Pick<GroupQueue, 'stopTurn' | 'worksFor' | 'stateOf' | 'containers'>
  hardReset: Pick<HardReset, 'want'>
  deliver(): void
  /** What is wrong anywhere. */
  troubles(): Trouble[]
  now(): number
  audit(note: AuditNote): void
  log: { info(text: string): void }
}

export type CommandRules = { assistantName: string; timeZone: string }

/** A message of somebody who is heard. */
export type Said = { message: Message; chat: RegisteredChat; standing: Standing }

/** What a command does: its words in the chat, and what happens once they are committed. */
type Deed = { reply: string; after?: () => void }

/** Carries out what people tell the host itself. Nothing here waits for an agent. */
export class Commands {
  readonly #ports: CommandPorts
  readonly #rules: CommandRules

  constructor(ports: CommandPorts, rules: CommandRules) {
    this.#ports = ports
    this.#rules = rules
  }

  /**
   * Called in the transaction that stores a message: takes it if it is a command, and answers it there and then.
   * Returns what is to be done after the commit; undefined when the message is for the agent.
   */
  take({ message, chat, standing }: Said): (() => void) | undefined {
    const command = commandOf(message.text, chat.trigger ?? `@${this.#rules.assistantName}`)
    if (!command) return undefined
    const { reply, after } = mayDo(standing, command.name)
      ? this.#deed(command, { chat, isOwner: standing.type === 'heard' && standing.role === 'owner' })
      : this.#refuse(command, { message, folder: chat.folder })
    const publish = this.#ports.desk.answerCommand({ chat, message, reply })
    const { store, deliver, log } = this.#ports
    return () => {
      publish()
      if (after) store.afterCommit(`Group ${chat.folder}: what follows /${command.name}`, after)
      store.afterCommit('The delivery of an answer', deliver)
      log.info(`Group ${chat.folder}: /${command.name} in ${chat.jid}`)
    }
  }

  #refuse({ name }: Command, { message: { sender }, folder }: { message: Message; folder: string }): Deed {
    const reply = name === 'new hard' ? 'Only the owner may do that.' : 'Only the owner and admins may do that.'
    this.#ports.audit({ by: 'sender', folder, act: `/${name}`, subject: sender, outcome: 'refused', detail: reply })
    return { reply }
  }

  #deed(command: Command, { chat, isOwner }: { chat: RegisteredChat; isOwner: boolean }): Deed {
    const { queue } = this.#ports
    switch (command.name) {
      case 'help':
        return { reply: COMMAND_HELP }
      case 'status':
        return { reply: [this.#status(chat), ...(isOwner ? this.#troubles(chat) : [])].join('\n') }
      case 'stop':
        if (!queue.worksFor(chat.jid)) return { reply: 'I am not working on anything.' }
        return { reply: 'Stopping.', after: () => queue.stopTurn(chat.jid) }
      case 'new':
        return { reply: this.#forget(chat), after: () => queue.stopTurn(chat.jid) }
      case 'new hard':
        return this.#resetHard(chat)
    }
  }

  /** Whoever asked for it is told when it is done: until then other chats of the group, or a task, may still work. */
  #resetHard(chat: RegisteredChat): Deed {
    const { queue, hardReset } = this.#ports
    const begin = hardReset.want(chat)
    const after = () => {
      queue.stopTurn(chat.jid)
      begin()
    }
    return { reply: `${this.#forget(chat)} What Claude Code kept for this group is being reset; I say when that is done.`, after }
  }

  #forget({ folder }: RegisteredChat): string {
    this.#ports.store.sessions.clear(folder)
    return 'A fresh conversation starts with your next message. Memory files are kept.'
  }

  #status({ folder }: RegisteredChat): string {
    const { queue, store } = this.#ports
    const container = queue.containers().find((one) => one.folder === folder)
    const words = { idle: 'I am idle.', waiting: 'I am waiting for a place.', running: 'I am working.' }
    const since =
      container && `Container ${container.run.name}, since ${localTime(container.run.startedAt, this.#rules.timeZone)}.`
    const session = store.sessions.get(folder)
    return [words[queue.stateOf(folder)], since, session && `Session ${session}.`].filter(Boolean).join(' ')
  }

  /** In main, of everything; in another group, where others read it too, of that group. */
  #troubles({ folder }: RegisteredChat): string[] {
    const { store, troubles } = this.#ports
    const all = store.groups.find(folder)?.isMain === true
    const found = troubles().filter((trouble) => all || trouble.folder === folder)
    const shown = found.sort((a, b) => b.since - a.since).slice(0, MOST_TROUBLES)
    const lines = shown.map(({ kind, where, since, why }) => {
      const time = localTime(since, this.#rules.timeZone)
      return `- ${[kind, where].join(' ').trim()}, since ${time}: ${why.replaceAll(/\s+/g, ' ').slice(0, LONGEST_WHY)}`
    })
    const more = found.length - shown.length
    return more > 0 ? [...lines, `- and ${more} more: ./nanoclaw status`] : lines
  }
}

/** What somebody reads on a phone. */
const MOST_TROUBLES = 10
const LONGEST_WHY = 300
