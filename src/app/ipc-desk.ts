import { type IpcRequest, type IpcResult, ipcRequest } from '@nanoclaw/protocol'
import type { AgentRun } from '../container/agent-run.ts'
import { inBackground } from '../domain/attempt.ts'
import type { AuditNote } from '../domain/audit.ts'
import { may } from '../domain/authority.ts'
import { errorText } from '../domain/errors.ts'
import type { RegisteredChat } from '../domain/group.ts'
import { isHostError } from '../domain/host-failure.ts'
import { localTime } from '../domain/prompt.ts'
import type { Refusal } from '../hostile-tree.ts'
import type { Store } from '../store/store.ts'
import { type Asked, chatFor, type Deed, done, excerpt, type RequestOf, refused } from './ipc-deeds.ts'
import { type GroupDeedPorts, groupDeed } from './ipc-groups.ts'
import { messageText, type SpeechPorts, speak } from './ipc-speech.ts'
import { type TaskPort, taskDeed } from './ipc-tasks.ts'
import type { OutgoingFiles, TakenFile } from './outgoing-files.ts'
import type { QuestionDesk } from './questions.ts'

export type IpcPorts = {
  store: Store
  speech: SpeechPorts
  registry: GroupDeedPorts['registry']
  tasks: TaskPort
  questions: QuestionDesk
  files: OutgoingFiles
  timeZone: string
  /** Something was committed that is to be delivered. */
  deliver(): void
  /** Asks every channel for its chats. */
  refreshGroups(): Promise<void>
  now(): number
  /** Takes secrets out of what an agent asks for, before any of it is said or kept. */
  redact(text: string): string
  audit(note: AuditNote): void
  log: { info(text: string): void; debug(text: string): void; error(text: string): void }
}

/** What the agents of this group run in. */
export type Runs = readonly Pick<AgentRun, 'turn' | 'reply' | 'pauseTimer'>[]

/** A request as it was found. */
export type Found = {
  folder: string
  /** Tells it from every other of its group. */
  id: string
  /** A person dropped it there: no agent waits for the answer. */
  byHand: boolean
  runs: Runs
  /** Charges what it costs to carry it out; false when that is too much. */
  spend(bytes: number): boolean
}

/** Between agents' requests and what becomes of them: decides, carries out once, and answers. */
export class IpcDesk {
  readonly #ports: IpcPorts

  constructor(ports: IpcPorts) {
    this.#ports = ports
  }

  /**
   * Carries a request out, unless that was done already, and answers it. When this resolves, its file is not needed any
   * more. Rejects only when the host failed: then nothing was done or said, and the request is still to be carried out.
   */
  async take(found: Found, bytes: Buffer): Promise<void> {
    const { folder, id } = found
    if (this.#ports.store.ipcRequests.isDone({ folder, id, at: this.#ports.now() })) return
    const read = readRequest(this.#ports.redact(bytes.toString('utf8')))
    if (read.type === 'malformed') return this.answer(found, { status: 'malformed', text: read.why })
    const deed = await this.#carryOut(found, read.request).catch((error) => this.#failed(found, { read, error }))
    const { result, after } = deed
    // It is committed: whatever fails from here on, the agent must not take for a failure of what it asked for.
    if (after) this.#ports.store.afterCommit(`Group ${folder}: what follows the request ${read.request.type}`, after)
    if (result) this.answer(found, result)
  }

  #failed({ folder }: Found, { read: { request }, error }: { read: { request: IpcRequest }; error: unknown }): Deed {
    if (isHostError(error)) throw error
    this.#ports.log.error(`Group ${folder}: the request ${request.type} failed: ${errorText(error)}`)
    return { result: { status: 'failed', text: `It could not be done: ${errorText(error)}` } }
  }

  /** The agent that waits hears it; of a request that nobody waits for, the log does. Never throws. */
  answer({ folder, id, byHand, runs }: Found, result: IpcResult): void {
    const heard = !byHand && runs.filter((run) => this.#hears(run, { folder, id, result })).length > 0
    const line = `Group ${folder}: request ${JSON.stringify(id)}: ${result.status}: ${oneLine(result.text)}`
    if (heard) this.#ports.log.debug(line)
    else this.#ports.log.info(line)
  }

  #hears(run: Runs[number], { folder, id, result }: { folder: string; id: string; result: IpcResult }): boolean {
    try {
      return run.reply({ id, ok: result.status === 'done', result })
    } catch (error) {
      this.#ports.log.error(`Group ${folder}: an agent did not hear what became of its request: ${errorText(error)}`)
      return false
    }
  }

  async #carryOut(found: Found, request: IpcRequest): Promise<Deed> {
    const { store, now } = this.#ports
    const { folder, id } = found
    const asked: Asked = {
      who: { folder, isMain: store.groups.find(folder)?.isMain ?? false },
      request,
      chatJid: found.runs.map((run) => run.turn?.chatJid).find((jid) => jid !== undefined),
      reply: (result) => this.answer(found, result),
    }
    const file = request.type === 'file' ? await this.#fileOf({ ...asked, request }, found) : undefined
    let sent = false
    try {
      const deed = store.tx(() => {
        store.ipcRequests.note({ folder, id, at: now() })
        const done = this.#deed(asked, { found, file })
        this.#audit(asked, done.result)
        return done
      })
      sent = deed.result?.status === 'done'
      return deed
    } finally {
      if (file?.type === 'taken' && !sent) this.#forget(file)
    }
  }

  #forget({ file }: TakenFile): void {
    const { store, files } = this.#ports
    store.afterCommit('Removing the copy of a file that is not sent', () => files.remove(file))
  }

  /** What was refused, and what was done that only main may do. */
  #audit({ who: { folder }, request }: Asked, result: IpcResult | undefined): void {
    const outcome = result?.status === 'refused' ? ('refused' as const) : ('done' as const)
    if (outcome === 'done' && !PRIVILEGED.includes(request.type)) return
    this.#ports.audit({
      by: 'agent',
      folder,
      act: request.type,
      subject: subjectOf(request),
      outcome,
      detail: result?.text ?? '',
    })
  }

  #deed(asked: Asked, { found, file }: { found: Found; file: TakenFile | Refusal | undefined }): Deed {
    const { request } = asked
    const { store, timeZone, tasks, registry } = this.#ports
    switch (request.type) {
      case 'message':
        return this.#say({ ...asked, request })
      case 'file':
        return file?.type === 'taken' ? this.#sendFile({ ...asked, request }, file) : { result: refused(file?.why ?? '') }
      case 'ask_user':
        return this.#inChat(asked, request.targetJid, (chat) =>
          this.#ports.questions.ask({ ...asked, request }, { chat, runs: found.runs }),
        )
      case 'list_groups':
      case 'register_group':
      case 'update_group':
        return { result: groupDeed({ store, registry }, { ...asked, request }) }
      case 'refresh_groups':
        return this.#refresh(asked)
      case 'search_history':
        return { result: this.#search({ ...asked, request }) }
      default:
        return { result: taskDeed({ tasks, store, timeZone }, { ...asked, request }) }
    }
  }

  /** Does something in the chat that is meant, if the agent may; what was said there is delivered after the commit. */
  #inChat({ who, chatJid }: Asked, targetJid: string | undefined, act: (chat: RegisteredChat) => Deed): Deed {
    const found = chatFor(this.#ports.store, { who, chatJid, targetJid })
    if (found.type === 'refused') return { result: refused(found.why) }
    const { result, after } = act(found.chat)
    const { store, deliver } = this.#ports
    return {
      ...(result ? { result } : {}),
      after: () => {
        if (after) store.afterCommit('What follows something said', after)
        store.afterCommit('The delivery of something said', deliver)
      },
    }
  }

  #say(asked: Asked<RequestOf<'message'>>): Deed {
    const { who, request } = asked
    return this.#inChat(asked, request.targetJid, (chat) => {
      const text = messageText(request.text, request.sender)
      if (text === null) return { result: done('There was nothing to send: all of it is internal.') }
      return { after: speak(this.#ports.speech, { chat, by: who.folder, text }), result: done(`Sent to ${chat.jid}.`) }
    })
  }

  /** A copy of the file, if the agent may send it; or why not. Nothing is copied for who may not speak. Rejects when the host fails. */
  async #fileOf({ who, chatJid, request }: Asked<RequestOf<'file'>>, { spend }: Found): Promise<TakenFile | Refusal> {
    const { store, files } = this.#ports
    const found = chatFor(store, { who, chatJid, targetJid: request.targetJid })
    if (found.type === 'refused') return found
    const taken = await files.take({ folder: who.folder, path: request.path })
    if (taken.type === 'host-failure') throw taken.error
    if (taken.type === 'refused') return { ...taken, why: `${request.path} is not sent: ${taken.why}.` }
    if (spend(taken.bytes)) return taken
    this.#forget(taken)
    return { type: 'refused', why: 'It is not sent: this group sent too much in the last minutes.' }
  }

  #sendFile(asked: Asked<RequestOf<'file'>>, { file }: TakenFile): Deed {
    const { who, request } = asked
    const text = messageText(request.caption ?? '', undefined) ?? ''
    return this.#inChat(asked, request.targetJid, (chat) => ({
      after: speak(this.#ports.speech, { chat, by: who.folder, text, file }),
      result: done(`${file.name} is sent to ${chat.jid}.`),
    }))
  }

  #refresh({ who, reply }: Asked): Deed {
    if (!may(who, 'refresh-groups', undefined)) return { result: refused('Only the main group refreshes the list of chats.') }
    const { refreshGroups, store, log } = this.#ports
    const known = () => done(`${store.chats.all().length} chats are known; list_groups shows them.`)
    const failed = (error: unknown): IpcResult => ({ status: 'failed', text: `Not every channel answered: ${errorText(error)}` })
    const unread = (error: unknown): IpcResult => ({ status: 'failed', text: `The chats could not be read: ${errorText(error)}` })
    const answer = async () => reply(await refreshGroups().then(known, failed).catch(unread))
    return { after: () => inBackground({ what: `Group ${who.folder}: its request was not answered`, log }, answer) }
  }

  #search({ who, request: { query, limit } }: Asked<RequestOf<'search_history'>>): IpcResult {
    const { store, timeZone } = this.#ports
    if (!may(who, 'search-history', who.folder)) return refused('You may not search.')
    const said = store.history.search({ folder: who.folder, query, limit })
    const matches = said.map(({ sentAt, senderName: sender, jid: chat, text }) => ({
      time: localTime(sentAt, timeZone),
      chat,
      sender,
      text: excerpt(text),
    }))
    return done(matches.length === 0 ? 'Nothing was found.' : `${matches.length} messages, newest first.`, { matches })
  }
}

const PRIVILEGED: readonly IpcRequest['type'][] = ['register_group', 'update_group', 'refresh_groups']

/** What a request is about: the chat, the group or the task it names. */
function subjectOf(request: IpcRequest): string {
  const { jid, target, targetJid, taskId } = request as Partial<Record<'jid' | 'target' | 'targetJid' | 'taskId', string>>
  return jid ?? target ?? targetJid ?? taskId ?? ''
}

const LONGEST_LINE = 300

type Read = { type: 'request'; request: IpcRequest } | { type: 'malformed'; why: string }

function readRequest(text: string): Read {
  try {
    const parsed = ipcRequest.safeParse(JSON.parse(text))
    if (parsed.success) return { type: 'request', request: parsed.data }
    const problems = parsed.error.issues.map(({ path, message }) => [path.join('.'), message].filter(Boolean).join(': '))
    return { type: 'malformed', why: oneLine(problems.join('; '), 1_000) }
  } catch (error) {
    return { type: 'malformed', why: `It is no JSON: ${oneLine(errorText(error))}` }
  }
}

function oneLine(text: string, longest = LONGEST_LINE): string {
  const line = text.replaceAll(/\s+/gu, ' ')
  return line.length > longest ? `${line.slice(0, longest)}...` : line
}
