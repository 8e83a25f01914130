import { marksOf } from './agent.ts'
import type { World } from './world.ts'
import { CHATS } from './world.ts'

type MessageRow = {
  seq: number
  jid: string
  id: string
  text: string
  bot: number
  turn: number | null
  state: string | null
  into: number | null
}
type OutboxRow = { seq: number; jid: string; key: string; text: string; state: string; head: number | null; turn: number | null }

/** What does not hold although it must, in sentences. */
export function violations(world: World): string[] {
  return [
    ...(world.spun ? ['something is tried again and again on a full disk, without a pause'] : []),
    ...everyMessageIsSettled(world),
    ...answersAreOnceAndInOrder(world),
    ...answersAreGiven(world),
    ...answersAreSent(world),
    ...deliveries(world),
    ...modelWasAskedOnce(world),
    ...toldOnce(world),
    ...runsOfTasks(world),
  ]
}

function messages(world: World): MessageRow[] {
  return world.database.rows(`
    SELECT m.seq, m.chat_jid AS jid, m.id, m.content AS text, m.is_bot_message AS bot, m.turn_id AS turn, t.state, t.merged_into AS "into"
    FROM messages m LEFT JOIN turns t ON t.id = m.turn_id ORDER BY m.seq`)
}

function outbox(world: World): OutboxRow[] {
  return world.database.rows(
    'SELECT seq, jid, key, text, state, head, turn_id AS turn FROM outbox ORDER BY jid, coalesce(head, seq), seq',
  )
}

/** Every stored message was taken by a turn that ended; one that failed was told. Every message was stored once. */
function everyMessageIsSettled(world: World): string[] {
  const rows = messages(world)
  const told = new Set(outbox(world).map(({ turn, key }) => (key.includes('told') ? turn : null)))
  return world.sent.flatMap(({ jid, id, changed }) => {
    if (changed === 'withdrawn') return []
    const stored = rows.filter((row) => row.jid === jid && row.id === id)
    const [row] = stored
    if (!row || stored.length !== 1) return [`${jid} ${id} is stored ${stored.length} times`]
    if (row.turn === null) return [`${jid} ${id} was never taken by a turn`]
    if (row.state === 'failed')
      return told.has(row.turn) || toldBefore(world, row.turn) ? [] : [`${jid} ${id} failed and nobody was told`]
    return row.state === 'done' || row.state === 'stopped' ? [] : [`${jid} ${id} belongs to a turn that is ${row.state}`]
  })
}

/** Turns that fail together are told as one. */
function toldBefore(world: World, turn: number): boolean {
  const [row] = world.database.rows<{ at: number }>(`SELECT ended_at AS at FROM turns WHERE id = ${turn}`)
  return (
    world.database.rows(
      `SELECT 1 FROM outbox o JOIN turns t ON t.id = o.turn_id WHERE o.key LIKE '%told%' AND t.ended_at = ${row?.at ?? -1}`,
    ).length > 0
  )
}

/**
 * No mark is answered twice in a chat, but by sessions that know nothing of each other, or when its turn is asked anew while an
 * answer to its older words was also one to another turn. Answers stand in the order of what they answer.
 */
function answersAreOnceAndInOrder(world: World): string[] {
  const rows = messages(world)
  const anew = askedAnew(world)
  return CHATS.flatMap(({ jid }) => {
    const answers = rows.filter((row) => row.jid === jid && row.bot === 1 && row.text.startsWith('answer to'))
    const marks = answers.flatMap(({ text }) => messageMarks(text))
    const times = (mark: string) => marks.filter((other) => other === mark).length
    const first = [...new Set(marks)]
    const numbers = first.map((mark) => rows.find(({ id }) => id === mark)?.seq ?? 0)
    const order = numbers.every((n, at) => at === 0 || n > (numbers[at - 1] ?? 0))
    return [
      ...first
        .filter((mark) => times(mark) > sessionsThatAnswered(world, mark) + (anew.has(mark) ? 1 : 0))
        .map((mark) => `${mark} was answered twice in ${jid}`),
      ...(order ? [] : [`${jid} was answered out of order: ${marks.join(' ')}`]),
    ]
  })
}

/** A task may be run, and asked, again and again. */
function messageMarks(text: string): string[] {
  return marksOf(text).filter((mark) => mark.startsWith('m'))
}

function sessionsThatAnswered({ answers }: World, mark: string): number {
  return new Set(answers.filter(({ text }) => marksOf(text).includes(mark)).map(({ session }) => session)).size
}

/** What a message got is what the model answered to it, unless that was to be seen by nobody. */
function answersAreGiven(world: World): string[] {
  const rows = messages(world)
  return world.sent.flatMap(({ jid, id, text, changed }) => {
    if (changed === 'withdrawn') return []
    const row = rows.find((one) => one.jid === jid && one.id === id)
    if (row?.state !== 'done' || text.startsWith('/')) return []
    const answers = world.answers.filter((answer) => marksOf(answer.text).includes(id))
    if (answers.length === 0) return [`${jid} ${id} is done, and the model never answered it`]
    const seen = rows.some((one) => one.jid === jid && one.bot === 1 && marksOf(one.text).includes(id))
    return seen || answers.some((answer) => answer.text.startsWith('<internal>'))
      ? []
      : [`${jid} ${id} is done without an answer`]
  })
}

/** Whatever the agent said is, or was, on its way to its chat, once. */
function answersAreSent(world: World): string[] {
  const out = outbox(world)
  return messages(world)
    .filter(({ bot, turn, text }) => bot === 1 && turn !== null && text.startsWith('answer to'))
    .filter(({ turn, jid }) => out.filter((row) => row.jid === jid && row.key === `turn-${turn}`).length !== 1)
    .map(({ turn, text }) => `"${text}" of turn ${turn} is not in the outbox once`)
}

/** What people see against what was committed, by what each platform can promise. */
function deliveries(world: World): string[] {
  const shown = world.platforms.flatMap((platform) => platform.shown)
  const rows = outbox(world)
  const counts = new Map(rows.map(({ key }) => [key, shown.filter((one) => one.key === key).length]))
  const wrong = rows.flatMap(({ jid, key, state }) => {
    const times = counts.get(key) ?? 0
    const most = jid.startsWith('uncertain:') ? 2 : 1
    if (state === 'sent' && times !== 1) return [`${key} in ${jid} is sent and shown ${times} times`]
    if (state === 'uncertain' && (times > 2 || !jid.startsWith('uncertain:')))
      return [`${key} in ${jid} is uncertain and shown ${times} times`]
    if (state === 'pending' || state === 'sending') return [`${key} in ${jid} is still ${state}`]
    return times <= most ? [] : [`${key} in ${jid} is shown ${times} times`]
  })
  return [...wrong, ...CHATS.flatMap(({ jid }) => outOfOrder(jid, { world, rows }))]
}

function outOfOrder(jid: string, { world, rows }: { world: World; rows: OutboxRow[] }): string[] {
  const committed = rows.filter((row) => row.jid === jid).map(({ key }) => key)
  const seen = world.platforms.flatMap(({ shown }) => shown.filter((one) => one.jid === jid).map(({ key }) => key))
  const places = seen.map((key) => committed.indexOf(key))
  const ordered = places.every((place, at) => at === 0 || place >= (places[at - 1] ?? 0))
  return ordered ? [] : [`${jid} shows ${seen.join(', ')} for ${committed.join(', ')}`]
}

/** No message stands twice as a prompt in one session, unless its turn is asked anew because something of it was changed. */
function modelWasAskedOnce(world: World): string[] {
  const anew = askedAnew(world)
  return [...world.transcripts.values()].flatMap(({ id, entries }) => {
    const marks = entries.flatMap((entry) =>
      (entry.type === 'prompt' && !entry.continued) || entry.type === 'folded' ? messageMarks(entry.marks.join(' ')) : [],
    )
    return marks
      .filter((mark, at) => marks.indexOf(mark) !== at && !anew.has(mark))
      .map((mark) => `${mark} was asked twice in ${id}`)
  })
}

/** Messages of turns whose tries before a change do not count. */
function askedAnew(world: World): Set<string> {
  const rows = world.database.rows<{ id: string }>(
    'SELECT m.id FROM messages m JOIN turns t ON t.id = m.turn_id WHERE t.stale_tries > 0',
  )
  return new Set(rows.map(({ id }) => id))
}

/** The last word on a turn once, and at most one word before it; that it waits for a person is told of the chat. */
function toldOnce(world: World): string[] {
  const counts = new Map<number, number>()
  for (const { key, turn, head } of outbox(world))
    if (key.includes('-told-') && !key.startsWith('parked-') && turn !== null && head === null)
      counts.set(turn, (counts.get(turn) ?? 0) + 1)
  return [...counts].filter(([, count]) => count > 2).map(([turn, count]) => `turn ${turn} was told ${count} times`)
}

type RunRow = {
  id: number
  task: string
  status: string
  prompt: string | null
  turn: string | null
}

/** Every run ended, and what was answered in it is said once. */
function runsOfTasks(world: World): string[] {
  const runs = world.database.rows<RunRow>(`
    SELECT r.id, r.task_id AS task, r.status, s.prompt, t.state AS turn
    FROM task_run_logs r LEFT JOIN scheduled_tasks s ON s.id = r.task_id LEFT JOIN turns t ON t.task_run_id = r.id
    WHERE r.status <> 'skipped' ORDER BY r.task_id, r.id`)
  const open = runs.filter(({ status, turn }) => status === 'running' || turn === 'pending' || turn === 'running')
  const answers = messages(world).filter(({ bot, text }) => bot === 1 && text.startsWith('answer to'))
  const said = [...new Set(runs.map(({ prompt }) => prompt))].flatMap((prompt) => {
    const [mark] = marksOf(prompt ?? '')
    if (mark === undefined) return []
    const times = answers.filter(({ text }) => marksOf(text).includes(mark)).length
    const most = runs.filter((run) => run.prompt === prompt && run.status === 'success').length
    return times <= most ? [] : [`${mark} was answered ${times} times in ${most} runs`]
  })
  return [...open.map(({ id, status, turn }) => `run ${id} is ${status}, its turn ${turn}`), ...said, ...onceIsOnce(world)]
}

/** A task with one moment had it: it ran, or somebody was told why not. */
function onceIsOnce(world: World): string[] {
  const lost = world.database.rows<{ id: string }>(`
    SELECT id FROM scheduled_tasks WHERE schedule_type = 'once' AND status <> 'paused'
      AND (SELECT count(*) FROM task_run_logs WHERE task_id = scheduled_tasks.id AND due_at IS NOT NULL) <> 1`)
  return lost.map(({ id }) => `${id} did not have its moment once`)
}
