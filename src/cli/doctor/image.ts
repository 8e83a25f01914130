import path from 'node:path'
import { z } from 'zod'
import { PROJECT } from '../../config.ts'
import { ensureImage } from '../setup/image.ts'
import { reached } from './engine.ts'
import { type Check, type Finding, fail, ok, skip, warn } from './finding.ts'

const DAY_MS = 86_400_000
const OLD_DAYS = 60

/** `made`: ms since the epoch. `inputs`: what it was made of, as build.sh names it; undefined for somebody's own image. */
export type ImageFacts = { name: string; made: number; inputs: string | undefined; current: string | undefined; now: number }

export const image: Check = {
  id: 'image',
  look: async (patient) => {
    const found = await reached(patient)
    if (found.type === 'none') return skip('No engine was there to ask')
    const name = patient.config.image
    const shown = imageAnswer.safeParse(await found.ask(`/images/${encodeURIComponent(name)}/json`))
    if (!shown.success) return missing(name)
    const { stdout } = await patient.run([path.join(PROJECT, 'container', 'build.sh'), '--hash'])
    const inputs = shown.data.Config?.Labels?.['nanoclaw.inputs']
    return judgeImage({
      name,
      inputs,
      current: stdout.trim() || undefined,
      made: Date.parse(shown.data.Created),
      now: Date.now(),
    })
  },
  repair: async ({ env }) => {
    const said: string[] = []
    await ensureImage({ project: PROJECT, env, say: (line) => said.push(line) })
    return said.at(-1)?.trim() ?? 'The image was current.'
  },
}

const imageAnswer = z.object({
  Created: z.string(),
  Config: z.object({ Labels: z.record(z.string(), z.string()).nullish() }).nullish(),
})

function missing(name: string): Finding {
  const why = 'It is what agents run in.'
  return fail({ what: `There is no image ${name}`, why, fix: './container/build.sh   (one to two minutes)' })
}

export function judgeImage({ name, made, inputs, current, now }: ImageFacts): Finding {
  const days = Math.floor((now - made) / DAY_MS)
  const what = `${name} is ${days === 0 ? 'of today' : `${days} days old`}`
  if (inputs === undefined) return ok(`${what}, and of your own making`)
  if (current !== undefined && inputs !== current) {
    return warn({
      what: `${what}, and made of other sources than these`,
      why: 'Host and agents may not understand each other.',
      fix: './container/build.sh',
    })
  }
  if (days <= OLD_DAYS) return ok(what)
  const why = 'Browser, git and libraries in it have had fixes since.'
  return warn({ what, why, fix: './container/build.sh --no-cache' })
}
