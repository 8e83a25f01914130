import { readFileSync, statSync } from 'node:fs'
import { z } from 'zod'
import { errorText } from './domain/errors.ts'
import { assertOfTheFile } from './domain/host-failure.ts'
import { type SenderJudge, type SenderPolicy, standingOf } from './domain/senders.ts'

const names = z.array(z.string().trim().min(1))
const rule = z.strictObject({
  allow: z.union([z.literal('*'), names], 'is "*" or a list of senders'),
  mode: z.enum(['trigger', 'drop']).default('trigger'),
  admins: names.optional(),
})
/** Strict: a name that is mistyped here would let in whom it was to keep out. */
const senderList = z.strictObject({
  default: rule.default({ allow: '*', mode: 'trigger' }),
  chats: z.record(z.string(), rule).default({}),
  owners: names.default([]),
  admins: names.default([]),
  /** v1 had it; refusals are in the audit. */
  logDenied: z.boolean().optional(),
})

/** `~/.config/nanoclaw/sender-allowlist.json`, looked at whenever it is asked: an edit takes effect with the next message. */
export class SenderAllowlist {
  readonly #file: string
  readonly #onBroken: (why: string) => void
  #stamp: string | undefined
  #policy: SenderPolicy = { type: 'none' }

  constructor({ file, onBroken }: { file: string; onBroken: (why: string) => void }) {
    this.#file = file
    this.#onBroken = onBroken
  }

  readonly judge: SenderJudge = Object.assign(
    (...[speaker, chat]: Parameters<SenderJudge>) => standingOf(this.policy(), speaker, chat),
    { version: () => this.#stampNow() },
  )

  /** Throws when the host fails, with too few descriptors say: that says nothing about the file, and is asked again. */
  policy(): SenderPolicy {
    const stamp = this.#stampNow()
    if (stamp === this.#stamp) return this.#policy
    this.#policy = stamp === 'none' ? { type: 'none' } : readPolicy(this.#file)
    this.#stamp = stamp
    if (this.#policy.type === 'broken') this.#onBroken(this.#policy.why)
    return this.#policy
  }

  /** A file that is there and cannot be looked at is a policy that cannot be read. */
  #stampNow(): string {
    try {
      const stat = statSync(this.#file, { bigint: true, throwIfNoEntry: false })
      return stat ? `${stat.ino}-${stat.size}-${stat.mtimeNs}-${stat.ctimeNs}` : 'none'
    } catch (error) {
      assertOfTheFile(error)
      return `unreadable: ${errorText(error)}`
    }
  }
}

function readPolicy(file: string): SenderPolicy {
  try {
    return { type: 'list', list: senderList.parse(JSON.parse(readFileSync(file, 'utf8'))) }
  } catch (error) {
    assertOfTheFile(error)
    const issues = error instanceof z.ZodError ? error.issues : undefined
    const problem = issues?.map(({ path, message }) => `${path.join('.') || 'it'}: ${message}`).join('; ') ?? errorText(error)
    return { type: 'broken', why: `${file} cannot be used, so nobody is heard but main's chats: ${problem}` }
  }
}
