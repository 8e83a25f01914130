import { closeSync, existsSync, mkdirSync, openSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { office } from './ipc-office.ts'
import { until } from './patience.ts'

/**
 * Has the host's real parts carry out three requests of an agent in a process of its own, whose limits or calls a test can
 * spoil: a message, a file to be sent, and one that makes no sense. Prints one `MailboxLife` for each argument, as JSON.
 * An argument is `start:N` or `take:N`: from the start, or from the first request that is taken up, N descriptors are left,
 * until a failure was logged; or `-` for as many as the process has.
 */
export type MailboxLife = {
  starved: string
  /** While descriptors were missing: what was answered, and which requests were still there. */
  during: { replies: Record<string, Reply>; left: string[] }
  after: { replies: Record<string, Reply>; left: string[]; said: string[]; copies: number; refusals: number }
  errors: string[]
}
type Reply = { status: string; text: string }

const REQUESTS = {
  message: { type: 'message', text: 'hello' },
  file: { type: 'file', path: 'a.txt' },
  nonsense: { type: 'message', text: '' },
}

const lives: MailboxLife[] = []
for (const starved of process.argv.slice(2)) lives.push(await live(starved))
process.stdout.write(JSON.stringify(lives))

async function live(starved: string): Promise<MailboxLife> {
  const ends: (() => unknown)[] = []
  const o = office({ after: (end) => void ends.push(end) })
  const group = path.join(o.root, 'groups', 'family')
  mkdirSync(group, { recursive: true })
  writeFileSync(path.join(group, 'a.txt'), 'contents')
  const names = new Map(
    Object.entries(REQUESTS).map(([name, request], n) => [o.drop('family', request, { at: 1_000 + n }), name]),
  )
  const isLeft = (id: string) => existsSync(path.join(o.boxOf('family'), `${id}.json`))
  const failures = () => o.logged.filter((line) => line.includes('could not be read'))
  const [when, free] = starved.split(':')
  const held = when === 'start' ? takeDescriptors(Number(free)) : []
  const take = o.ipcDesk.take.bind(o.ipcDesk)
  o.ipcDesk.take = (found, bytes) => {
    if (when === 'take' && held.length === 0) held.push(...takeDescriptors(Number(free)))
    return take(found, bytes)
  }
  const run = o.attach('family')
  const seen = () => ({
    replies: Object.fromEntries([...run.replies].map(([id, { status, text }]) => [names.get(id) ?? id, { status, text }])),
    left: [...names].flatMap(([id, name]) => (isLeft(id) ? [name] : [])),
  })
  if (when !== '-') await until(() => failures().length > 0 || seen().left.length === 0, 'it fails or is over', { seen })
  const during = seen()
  for (const descriptor of held) closeSync(descriptor)
  const isOver = () => {
    o.clock.advance(60_000)
    return seen().left.length === 0
  }
  await until(isOver, 'every request is answered and gone', { seen: () => ({ ...seen(), logged: o.logged }) })
  const outgoing = path.join(o.root, 'data', 'outgoing')
  const after = {
    ...seen(),
    said: o.store.messages.latest('local:family', 9).map(({ text }) => text),
    copies: existsSync(outgoing) ? readdirSync(outgoing).length : 0,
    refusals: o.store.audit.latest({ limit: 9 }).length,
  }
  for (const end of ends.reverse()) await end()
  return { starved, during, after, errors: failures() }
}

/** Uses descriptors up, but for so many. */
function takeDescriptors(leave: number): number[] {
  const taken: number[] = []
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'))
  } catch {
    for (const descriptor of taken.splice(0, leave)) closeSync(descriptor)
    return taken
  }
}
