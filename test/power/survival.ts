import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type Fate, ForgetfulDisk } from './images.ts'
import { filesOf, type Operation, type Recording } from './operations.ts'
import { type Random, randomFrom } from './random.ts'
import { isSharedMemory } from './record.ts'

/** A root as it is found after a power cut, and all that the world had been told by then. */
export type Found = { root: string; told: string[] }

export type Search = {
  recording: Recording
  /** Throws when what is found is wrong. */
  check: (found: Found) => void
  /** Random images at each sync and each word to the world; in between there is a share of them. */
  perMoment: number
}

export type Survival = { images: number; moments: number; failures: string[] }

/** Other seeds find other images: `POWER_SEED=7 node --test test/power/...`. */
const SEED = Number(process.env.POWER_SEED ?? 1)
/** `POWER_CASE=moment:fate`, as a failure prints it, tries that one image of each recording only. */
const ONLY = process.env.POWER_CASE
const BETWEEN = 0.25
const ENOUGH_FAILURES = 3

/** Cuts the power at every moment of a recording, and checks what each disk could hold then. */
export function searchImages({ recording, check, perMoment }: Search): Survival {
  const disk = new ForgetfulDisk(recording)
  const told: string[] = []
  const random = randomFrom(SEED)
  const survival: Survival = { images: 0, moments: 0, failures: [] }
  const seen = new Set<string>()
  for (const [moment, operation] of [...recording.operations, END].entries()) {
    const fates = fatesAt({ operation, perMoment, random })
    for (const fate of fates.filter((one) => !ONLY || ONLY === nameOf(moment, one))) {
      const files = filesOf(disk.after(fate))
      if (!isNew({ files, told, seen })) continue
      survival.images++
      const problem = problemOf({ files, told, random: randomFrom(moment), check })
      if (problem) survival.failures.push(`POWER_CASE=${nameOf(moment, fate)} after ${told.length} words: ${problem}`)
      if (survival.failures.length >= ENOUGH_FAILURES) return survival
    }
    survival.moments++
    if (operation.type === 'told') told.push(operation.text.trim())
    disk.do(operation)
  }
  return survival
}

const END: Operation = { type: 'told', text: '' }
const nameOf = (moment: number, fate: Fate) => `${moment}:${typeof fate === 'object' ? fate.seed : fate}`

function fatesAt({ operation, perMoment, random }: { operation: Operation; perMoment: number; random: Random }): Fate[] {
  const isMoment = operation.type === 'sync' || operation.type === 'told'
  const count = isMoment ? perMoment : random.chance(BETWEEN) ? 1 : 0
  const seeds = Array.from({ length: count }, () => ({ seed: random.bytes(4).readUInt32LE() }))
  return isMoment ? ['lost', 'kept', ...seeds] : seeds
}

function isNew({ files, told, seen }: { files: Map<string, Buffer>; told: string[]; seen: Set<string> }): boolean {
  const hash = createHash('sha1').update(String(told.length))
  for (const [name, content] of files) hash.update(`${name} ${content.length}\n`).update(content)
  const digest = hash.digest('base64')
  if (seen.has(digest)) return false
  seen.add(digest)
  return true
}

type Image = { files: Map<string, Buffer>; told: string[]; random: Random; check: Search['check'] }

/** What is wrong with an image; it is laid out in memory, where nothing has to be synced. */
function problemOf({ files, told, random, check }: Image): string | undefined {
  const root = mkdtempSync(path.join(MEMORY, 'nanoclaw-power-'))
  try {
    for (const [name, content] of files) {
      mkdirSync(path.dirname(path.join(root, name)), { recursive: true })
      // Nobody knows what such a file holds, and nobody may care.
      writeFileSync(path.join(root, name), isSharedMemory(name) ? random.bytes(512) : content)
    }
    check({ root, told })
    return undefined
  } catch (error) {
    return error instanceof Error ? `${error.message}` : String(error)
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

const MEMORY = process.platform === 'linux' ? '/dev/shm' : os.tmpdir()
