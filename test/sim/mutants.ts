/** A break of the order of commits, or of a rule, that somebody could make by mistake: `from` stands once in `file`. */
export type Mutant = { name: string; file: string; from: string; to: string }

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'messages are not marked as taken up',
    file: 'src/app/turn-desk.ts',
    from: 'store.messages.take(messages, id)\n    return id',
    to: 'return id',
  },
  {
    name: 'an answer is written down outside a transaction',
    file: 'src/app/turn-desk.ts',
    from: 'const after = store.tx(() =>',
    to: 'const after = untied(() =>',
  },
  {
    name: 'turns that a dead host left are not looked for',
    file: 'src/app/turn-desk.ts',
    from: 'const orphans = store.turns.running()',
    to: 'const orphans = store.turns.running().slice(0, 0)',
  },
  {
    name: 'a further try does not know of the earlier ones',
    file: 'src/app/turn-desk.ts',
    from: 'earlier: uuids.slice(store.turns.staleTries(id))',
    to: 'earlier: []',
  },
  {
    name: 'a further try does not know what was asked together with it',
    file: 'src/app/turn-desk.ts',
    from: 'store.turns.siblings(id).map((sibling) => this.#uuid(sibling, 1))',
    to: '[]',
  },
  {
    name: 'what was tried before joins a running turn',
    file: 'src/app/turn-desk.ts',
    from: 'if (!work || work.turn !== undefined || work.at > now())',
    to: 'if (!work || work.at > now())',
  },
  {
    name: 'one answer to two turns is posted for both',
    file: 'src/app/turn-ledger.ts',
    from: 'answerId === undefined ? undefined : this.#store.turns.withAnswer(jid, answerId)',
    to: 'undefined',
  },
  {
    name: 'an answer is stored and not put into the outbox',
    file: 'src/app/turn-ledger.ts',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source text
    from: 'this.#store.outbox.add({ jid, text, key: `turn-${id}`, turnId: id, byHost, at: this.#now() })\n    return (feed)',
    to: 'return (feed)',
  },
  {
    name: 'what failed for good is not told',
    file: 'src/app/turn-ledger.ts',
    from: "const silent = effect.type === 'tell-chat' && (quiet || claimed.task)",
    to: "const silent = effect.type === 'tell-chat'",
  },
  {
    name: 'the run of a task does not end with its turn',
    file: 'src/app/turn-ledger.ts',
    from: 'if (task) this.#endRun(task.runId, outcome)',
    to: '',
  },
  {
    name: 'a send is not on record before it begins',
    file: 'src/app/outbox.ts',
    from: 'await this.#persist(() => store.outbox.markSending(seq))',
    to: 'await undefined',
  },
  {
    name: 'sends that a dead host left are not looked for',
    file: 'src/app/outbox.ts',
    from: 'const cut = store.outbox.underWay()',
    to: 'const cut = store.outbox.underWay().slice(0, 0)',
  },
  {
    name: 'nobody looks back whether a platform has a message',
    file: 'src/app/outbox.ts',
    from: "const lookBack = unsure && channel.capabilities.delivery === 'readback'",
    to: 'const lookBack = false',
  },
  {
    name: 'each send has a new key',
    file: 'src/app/outbox.ts',
    from: '{ idempotencyKey: key, signal }))',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source text
    to: '{ idempotencyKey: `${key}-${this.#ports.clock.now()}-${this.#underWay.size}`, signal }))',
  },
  {
    name: 'that something was sent is not tried to be written down again',
    file: 'src/app/outbox.ts',
    from: 'return this.#persist(() => store.outbox.markSent({ seq, platformId: step.platformId, at }))',
    to: 'return store.outbox.markSent({ seq, platformId: step.platformId, at })',
  },
  {
    name: 'an unknown outcome is repeated without end',
    file: 'src/domain/delivery.ts',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source text
    from: "if (doubtful) return { type: 'uncertain', arrived: false, platformId: null, why: `twice: ${end.why}` }",
    to: '',
  },
  {
    name: "a chat's later answers do not wait for its earlier ones",
    file: 'src/store/outbox.ts',
    from: "e.jid = o.jid AND e.state IN ('pending', 'sending')",
    to: "e.jid = o.jid AND e.state IN ('sending')",
  },
  {
    name: 'a message that comes again is stored again',
    file: 'src/store/messages.ts',
    from: 'ON CONFLICT (chat_jid, id) DO NOTHING',
    to: 'ON CONFLICT (chat_jid, id) DO UPDATE SET turn_id = NULL, seq = (SELECT max(seq) + 1 FROM messages)',
  },
  {
    name: 'an answer that the full disk refused is dropped',
    file: 'src/app/group-queue.ts',
    from: 'await pause({ clock, until: clock.now() + RETRY_MS, signal: this.#stop.signal })',
    to: "return 'left'",
  },
  {
    name: 'what the full disk refused is tried again without a pause',
    file: 'src/app/group-queue.ts',
    from: 'else this.#wakeLaneAt(lane, restUntil)',
    to: 'else this.#wakeLane(folder, name)',
  },
  {
    name: 'a result ends whatever is in flight',
    file: 'src/container/agent-run.ts',
    from: 'this.#inFlight.splice(0, count)',
    to: 'this.#inFlight.splice(0)',
  },
  {
    name: 'what fails after an answer was stored strands its follow-ups',
    file: 'src/app/group-queue.ts',
    from: 'else this.#attempt(lane.folder, () => this.#ports.deliver())',
    to: 'else this.#ports.deliver()',
  },
  {
    name: 'a sign of work that fails strands the turn',
    file: 'src/app/group-queue.ts',
    from: 'this.#attempt(folder, () => {\n        showNoMore = this.#ports.showWork(claimed.jid)\n      })',
    to: 'showNoMore = this.#ports.showWork(claimed.jid)',
  },
  {
    name: 'a read that fails when a place is free ends the host',
    file: 'src/app/group-queue.ts',
    from: 'const looked = this.#attempt(folder, () => {',
    to: 'const looked = ((work: () => void) => (work(), true))(() => {',
  },
  {
    name: 'a channel that cannot be asked ends the host',
    file: 'src/domain/attempt.ts',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source text
    from: 'complain(log, `${what}: ${errorText(error)}`)\n    return false',
    to: 'throw error',
  },
  {
    name: 'a moment of a task is claimed outside a transaction',
    file: 'src/app/scheduler.ts',
    from: 'this.#ports.store.tx(() => {\n        for (const task of tasks) this.#claim(task, now)\n      })',
    to: 'for (const task of tasks) this.#claim(task, now)',
  },
]

/** The text of a mutant's file, broken. Throws when what it breaks is not there any more. */
export function broken({ name, file, from, to }: Mutant, text: string): string {
  const pieces = text.split(from)
  if (pieces.length !== 2) throw new Error(`"${name}": what it breaks stands ${pieces.length - 1} times in ${file}`)
  const helper = to.includes('untied(') ? '\nfunction untied<T>(work: () => T): T {\n  return work()\n}\n' : ''
  return pieces.join(to) + helper
}
