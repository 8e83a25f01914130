import { existsSync } from 'node:fs'
import path from 'node:path'
import type { Instant } from '../domain/clock.ts'
import { AppError } from '../domain/errors.ts'
import { type ContainerConfig, folderProblem, type Group, localJid, type RegisteredChat } from '../domain/group.ts'
import { isFolder, isTerminal, type Registration, registrationProblem } from '../domain/registration.ts'
import { judgeBy, type SenderPolicy } from '../domain/senders.ts'
import { howToMend } from '../store/groups.ts'
import type { Store } from '../store/store.ts'
import { CallSearch } from './call-search.ts'
import {
  done,
  type GroupChange,
  type GroupSettings,
  mergedConfig,
  needsTrigger,
  type Problem,
  refused,
  removalProblem,
  settingsProblem,
} from './group-change.ts'
import { isLeaving, leavingChats, noteLeaving, noteLeft } from './leaving.ts'
import { pauseTask } from './task-run.ts'

export type GroupPorts = {
  store: Store
  now(): Instant
  /** A group's container is out of date: it leaves as soon as it does not work. */
  release(folder: string): void
  /** Groups or chats are not what they were; whoever keeps a list of them writes it anew. */
  changed(): void
  /** Who the owner says is heard. */
  senderPolicy(): SenderPolicy
}

export type GroupRules = { root: string; assistantName: string }

/** Of a chat that is removed, so much of what waits is read without a pause. */
const PAGES_AT_ONCE = 20

/** Without one of these, an agent may do more than it was meant to. */
const LIMITING: ReadonlySet<string> = new Set(['network', 'egress', 'budget', 'limits', 'isolation', 'timeout'])

/** Which chats are answered, by which group, and how they call it. */
export class GroupRegistry {
  readonly #ports: GroupPorts
  readonly #rules: GroupRules
  readonly #calls: CallSearch

  constructor(ports: GroupPorts, rules: GroupRules) {
    this.#ports = ports
    this.#rules = rules
    const { store, senderPolicy } = ports
    this.#calls = new CallSearch({ store, judge: judgeBy(senderPolicy), assistantName: rules.assistantName })
  }

  /** Has a group answer in a chat; the group is made if there is none with this folder. It never becomes main by this. */
  register(wish: Registration): GroupChange {
    const { store, now } = this.#ports
    return this.#change(() => {
      const problem = registrationProblem(wish) ?? this.#takenBy(wish.jid) ?? this.#folderProblem(wish.folder)
      if (problem !== undefined) return refused(`${wish.jid} is not registered: ${problem}.`)
      const known = store.groups.find(wish.folder)
      const group = known ?? { folder: wish.folder, name: wish.name?.trim() ?? wish.folder, isMain: false, config: {} }
      if (!known) store.groups.add(group, now())
      const chat = chatOf(wish)
      store.chats.see({ jid: wish.jid })
      store.groups.register(chat, now())
      const text = `${wish.jid} is a chat of ${known ? 'the' : 'the new'} group "${group.name}" (folder ${group.folder}). ${this.#answersTo(group, chat)}`
      const notes = known ? this.#notesOnSharing(known, wish) : this.#notesOnLeftovers(group)
      return done(text, [...this.#notesOnSenders(wish), ...notes])
    })
  }

  #takenBy(jid: string): string | undefined {
    const { store } = this.#ports
    const chat = store.groups.chat(jid)
    if (!chat) return undefined
    if (isLeaving(store, jid)) return 'it is being removed, and still waits for an answer; try again after that'
    return `it is a chat of the group "${chat.folder}" already; "./nanoclaw groups set ${jid}" changes it, "./nanoclaw groups remove ${jid}" frees it`
  }

  /** Folders of v1 may have names that a new one may not have. */
  #folderProblem(folder: string): string | undefined {
    const groups = this.#ports.store.groups.all()
    if (groups.some((group) => group.folder === folder)) return undefined
    const similar = groups.find((group) => group.folder.toLowerCase() === folder.toLowerCase())
    return similar ? `there is a folder "${similar.folder}", which differs only by case` : folderProblem(folder)
  }

  #answersTo({ isMain }: Pick<Group, 'isMain'>, { trigger, requiresTrigger }: RegisteredChat): string {
    if (isMain) return 'As main, it answers to every message.'
    if (!requiresTrigger) return 'It answers to every message.'
    return `It answers to messages that start with ${trigger ?? `@${this.#rules.assistantName}`}.`
  }

  #notesOnSharing({ folder, name }: Group, wish: Registration): string[] {
    const chats = this.#ports.store.groups.chatsOf(folder).map(({ jid }) => jid)
    const shared = `${chats.join(', ')} share one memory, one folder and one conversation: what is said in one can come up in the others.`
    const keeps = `The group keeps its name "${name}"; "./nanoclaw groups set ${folder} --name ..." changes it.`
    return [...(chats.length > 1 ? [shared] : []), ...(wish.name !== undefined && wish.name.trim() !== name ? [keeps] : [])]
  }

  /** A chat in which everybody is heard, or nobody, is not to surprise its owner. Only the owner writes in a terminal. */
  #notesOnSenders({ jid }: Registration): string[] {
    const policy = this.#ports.senderPolicy()
    if (isTerminal(jid) || policy.type === 'list') return []
    if (policy.type === 'broken') return [policy.why]
    return [
      `Everybody in ${jid} is heard, because there is no ~/.config/nanoclaw/sender-allowlist.json: anyone who can write there can make the assistant act. SECURITY.md says how to choose who is heard.`,
    ]
  }

  #notesOnLeftovers({ folder }: Group): string[] {
    const files = existsSync(path.join(this.#rules.root, 'groups', folder))
    const session = this.#ports.store.sessions.get(folder) !== undefined
    return [
      ...(files ? [`groups/${folder} was there before; the agent finds the files that are in it.`] : []),
      ...(session ? [`It goes on with an earlier conversation; "./nanoclaw sessions clear ${folder}" starts a fresh one.`] : []),
    ]
  }

  /** Changes a group, or how a chat calls it. */
  set(settings: GroupSettings): GroupChange {
    const { store } = this.#ports
    return this.#change(() => {
      const found = this.#find(settings.target)
      if (found.type === 'refused') return found
      const chat = this.#chatToChange(settings, found)
      if (chat?.type === 'refused') return chat
      const lost = store.groups.unusable(found.group.folder).filter((key) => settings.config?.[key] === undefined)
      if (lost.length > 0) return refused(`Nothing was changed: ${unusableText(found.group.folder, lost)}`)
      const config = mergedConfig(found.group.config, settings.config)
      if (config.type === 'refused') return config
      const problem = settingsProblem(settings, found.group)
      if (problem !== undefined) return refused(`Nothing was changed: ${problem}.`)
      return this.#apply({ settings, group: found.group, chat: chat?.chat, config: config.config })
    })
  }

  /** Throws, for people, why no agent may work for a group: a limit is meant for it, and nobody can read which. */
  assertLimited(folder: string): void {
    const unread = this.#ports.store.groups.unusable(folder).filter((key) => LIMITING.has(key))
    if (unread.length === 0) return
    throw new AppError({ code: 'config.group', fault: 'user', message: unusableText(folder, unread) })
  }

  #apply({ settings, group, chat, config }: Applied): GroupChange {
    const { store } = this.#ports
    const changed = { ...group, name: settings.name?.trim() ?? group.name, config }
    store.groups.save(changed)
    if (settings.config?.budget !== undefined)
      store.turns.hasten({ reason: 'budget', folder: group.folder, at: this.#ports.now() })
    if (settings.config) this.#release(group.folder)
    const notes = settings.main ? this.#makeMain(group) : []
    const isMain = group.isMain || settings.main === true
    if (!chat) return done(`The group "${changed.name}" (folder ${group.folder}) is changed.`, notes)
    const next = { ...chat, trigger: settings.trigger?.trim() ?? chat.trigger, requiresTrigger: needsTrigger(settings, chat) }
    store.groups.changeTrigger(next)
    return done(`${chat.jid}, group "${changed.name}": ${this.#answersTo({ isMain }, next)}`, notes)
  }

  #find(target: string): { type: 'found'; group: Group; chat: RegisteredChat | undefined } | Problem {
    const { groups } = this.#ports.store
    const chat = isFolder(target) ? undefined : groups.chat(target)
    const group = groups.find(chat?.folder ?? target)
    if (group) return { type: 'found', group, chat }
    if (!isFolder(target))
      return refused(`No group answers in ${target}. "./nanoclaw groups list" shows those that are registered.`)
    const folders = groups.all().map(({ folder }) => folder)
    return refused(`There is no group "${target}". Groups: ${folders.join(', ') || 'none'}.`)
  }

  /** The chat whose trigger is to change; undefined when none is. A folder may stand for its chat if there is one. */
  #chatToChange(
    { trigger, requiresTrigger }: GroupSettings,
    { group: { folder }, chat }: { group: Group; chat: RegisteredChat | undefined },
  ): { type: 'found'; chat: RegisteredChat } | Problem | undefined {
    if (trigger === undefined && requiresTrigger === undefined) return undefined
    if (chat) return { type: 'found', chat }
    const chats = this.#ports.store.groups.chatsOf(folder)
    const outside = chats.filter(({ jid }) => !isTerminal(jid))
    const [only, ...others] = outside.length > 0 ? outside : chats
    if (only && others.length === 0) return { type: 'found', chat: only }
    const names = chats.map(({ jid }) => jid).join(', ')
    return refused(`Each chat has its own trigger; name the one you mean in place of "${folder}": ${names || 'it has none'}.`)
  }

  #makeMain(group: Group): string[] {
    const { store } = this.#ports
    const former = store.groups.all().find(({ isMain }) => isMain)
    if (former?.folder === group.folder) return []
    store.groups.makeMain(group.folder)
    this.#openTerminal(group.folder)
    for (const folder of [group.folder, former?.folder ?? []].flat()) this.#release(folder)
    const now = `"${group.name}" is main now: it answers to every message, reads the project and manages the other groups.`
    return former ? [now, `"${former.name}" was main; it is a group like the others now.`] : [now]
  }

  /**
   * Ends the answering in a chat (by JID) or in all chats of a group (by folder); with its last chat, a group is gone.
   * What was asked before is still answered. Files stay.
   */
  remove(target: string): GroupChange {
    return this.#change(() => {
      const { store } = this.#ports
      const found = this.#find(target)
      if (found.type === 'refused') return found
      const { group, chat } = found
      const chats = chat ? [chat] : store.groups.chatsOf(group.folder)
      const problem = removalProblem(group, chat)
      if (problem !== undefined) return refused(problem)
      const working = chats.filter((one) => this.#hasWork(group, one))
      for (const one of chats) noteLeaving(store, one.jid)
      this.#settleAll()
      if (chats.length === 0) this.#removeGroup(group.folder)
      return this.#removed({ group, target: chat?.jid, working })
    })
  }

  #removed({ group, target, working }: { group: Group; target: string | undefined; working: RegisteredChat[] }): GroupChange {
    const { folder, name } = group
    const rest = this.#ports.store.groups.chatsOf(folder).filter(({ jid }) => !isLeaving(this.#ports.store, jid))
    const what = target ?? `The group "${name}" (folder ${folder})`
    const text =
      working.length === 0
        ? `${what} is removed.`
        : `${what} takes no more messages, and is removed when what was asked there before is answered.`
    if (rest.length > 0) {
      const others = rest.map(({ jid }) => jid).join(', ')
      return done(text, [
        `The group "${name}" stays, with ${others}; "./nanoclaw groups remove ${folder}" removes it as a whole.`,
      ])
    }
    const files = `No file was deleted: groups/${folder} and data/sessions/${folder} stay. A chat that is registered with --folder ${folder} goes on with them.`
    return done(text, [...(target ? [`With its last chat, the group "${name}" goes.`] : []), files])
  }

  /** Takes away those leaving chats that wait for nothing any more. Called at start, after each end of a turn, and every minute. */
  settle(): void {
    const { store } = this.#ports
    if (leavingChats(store).length === 0) return
    const before = store.groups.chats().length
    store.tx(() => this.#settleAll())
    if (store.groups.chats().length !== before) this.#tellChange()
  }

  #settleAll(): void {
    const { store } = this.#ports
    for (const jid of leavingChats(store)) {
      const chat = store.groups.chat(jid)
      const group = chat && store.groups.find(chat.folder)
      if (chat && group && this.#hasWork(group, chat)) continue
      noteLeft(store, jid)
      if (chat) this.#unregister(chat)
    }
  }

  /** If the chat is registered again one day, what was said until now is not brought up. */
  #unregister({ jid, folder }: RegisteredChat): void {
    const { store } = this.#ports
    store.chats.markAnswered(jid, store.messages.newestSeq(jid))
    store.turns.drop(jid, this.#ports.now())
    store.groups.unregister(jid)
    if (store.groups.chatsOf(folder).length === 0) this.#removeGroup(folder)
  }

  #removeGroup(folder: string): void {
    const { store } = this.#ports
    const active = store.tasks.ofGroup(folder).filter(({ status }) => status === 'active')
    for (const task of active) pauseTask(store, task, { reason: 'its group was removed', at: this.#ports.now() })
    store.groups.remove(folder)
    this.#release(folder)
  }

  /**
   * A turn that is not over, or messages that will make one. What is parked was told why. Where more waits than is read at once,
   * it is not known yet: the chat stays until a later look.
   */
  #hasWork(group: Group, chat: RegisteredChat): boolean {
    const { turns, chats } = this.#ports.store
    if (turns.hasOpen(chat.jid)) return true
    const { answeredSeq, passedSeq, parkedSeq } = chats.cursors(chat.jid)
    const after = Math.max(answeredSeq, passedSeq, parkedSeq)
    for (let page = 0; page < PAGES_AT_ONCE; page++) {
      const call = this.#calls.newestCall({ group, chat }, after)
      if (call.type !== 'looking') return call.type === 'found'
    }
    return true
  }

  /** Makes the terminal a chat of this group, if it is not yet: its owner asked for it. */
  openTerminal(folder: string): { type: 'open'; jid: string } | Problem {
    const { store } = this.#ports
    const opened = store.tx(() => {
      const found = this.#find(folder)
      if (found.type === 'refused') return found
      const jid = localJid(found.group.folder)
      if (isLeaving(store, jid)) return refused(`The group "${folder}" is being removed.`)
      return { type: 'open' as const, jid, isNew: this.#openTerminal(found.group.folder) }
    })
    if (opened.type === 'open' && opened.isNew) this.#tellChange()
    return opened
  }

  #openTerminal(folder: string): boolean {
    return openTerminal({ store: this.#ports.store, folder, at: this.#ports.now() })
  }

  /** The group's next message starts a fresh conversation, also where a container is warm. */
  clearSession(folder: string): GroupChange {
    const { store } = this.#ports
    return store.tx(() => {
      const sessionId = store.sessions.get(folder)
      if (sessionId === undefined) {
        const found = this.#find(folder)
        return found.type === 'refused' ? found : done(`The group "${folder}" has no conversation to forget.`)
      }
      store.sessions.clear(folder)
      const kept = `Its files and memory stay, and the old transcript in data/sessions/${folder}/.claude, too.`
      return done(`The next message in "${folder}" starts a fresh conversation (it was ${sessionId}).`, [kept])
    })
  }

  #change(decide: () => GroupChange): GroupChange {
    const change = this.#ports.store.tx(decide)
    if (change.type === 'done') this.#tellChange()
    return change
  }

  /** Both follow the commit, also where this is part of a larger transaction: nobody acts on what may still be rolled back. */
  #tellChange(): void {
    this.#ports.store.afterCommit('Telling of changed groups', () => this.#ports.changed())
  }

  #release(folder: string): void {
    this.#ports.store.afterCommit(`Group ${folder}: letting its container leave`, () => this.#ports.release(folder))
  }
}

function unusableText(folder: string, keys: readonly string[]): string {
  return `of the settings of the group "${folder}" these cannot be used: ${keys.join(', ')}. ${howToMend(folder)}`
}

/** Every installation has one main group, and the terminal is a chat of it. */
export function ensureMain(store: Store, at: Instant): void {
  store.tx(() => {
    const groups = store.groups.all()
    const main = groups.find(({ isMain }) => isMain) ?? groups.find(({ folder }) => folder === 'main')
    if (!main) store.groups.add({ folder: 'main', name: 'Main', isMain: true, config: {} }, at)
    else if (!main.isMain) store.groups.makeMain(main.folder)
    openTerminal({ store, folder: main?.folder ?? 'main', at })
  })
}

function openTerminal({ store, folder, at }: { store: Store; folder: string; at: Instant }): boolean {
  const jid = localJid(folder)
  if (store.groups.chat(jid)) return false
  store.chats.see({ jid, name: 'Terminal' })
  store.groups.register({ jid, folder, trigger: null, requiresTrigger: false }, at)
  return true
}

function chatOf({ jid, folder, trigger, requiresTrigger }: Registration): RegisteredChat {
  const unlessTerminal = trigger !== undefined || !isTerminal(jid)
  return { jid, folder, trigger: trigger?.trim() ?? null, requiresTrigger: requiresTrigger ?? unlessTerminal }
}

type Applied = { settings: GroupSettings; group: Group; chat: RegisteredChat | undefined; config: ContainerConfig }
