import { Random } from '../../src/cli/bench/random.ts'
import { addressForms, hostForms } from './addresses.ts'
import { answers } from './answers.ts'
import { bodies, routes } from './bodies.ts'
import { frames, lineForms } from './frames.ts'
import { configs, openHome } from './mounts.ts'
import { openProxy } from './proxy.ts'
import { openDesk } from './requests.ts'

/** `weight`: how many rounds it gets beside the others; those over a socket are slow. */
export type Target = {
  name: string
  weight: number
  open(): Promise<{ round(random: Random): void | Promise<void>; close?(): Promise<void> }>
}

/** The parsers of hostile input: on the way of a container out, and of what its agent, or somebody for it, asks of the host. A round throws where one of them is wrong. */
export const TARGETS: readonly Target[] = [
  { name: 'host forms', weight: 1, open: async () => ({ round: hostForms }) },
  { name: 'address forms', weight: 1, open: async () => ({ round: addressForms }) },
  { name: 'bodies', weight: 1, open: async () => ({ round: bodies }) },
  { name: 'routes', weight: 1, open: async () => ({ round: routes }) },
  { name: 'answers', weight: 0.5, open: async () => ({ round: answers }) },
  { name: 'proxy requests', weight: 0.2, open: openProxy },
  { name: 'lines', weight: 0.5, open: async () => ({ round: lineForms }) },
  { name: 'frames', weight: 0.2, open: async () => ({ round: frames }) },
  { name: 'requests', weight: 0.1, open: openDesk },
  { name: 'mounts', weight: 0.1, open: openHome },
  { name: 'settings of groups', weight: 0.2, open: async () => ({ round: configs }) },
]

/** Runs rounds from a seed on; rejects with the seed of the first that fails, which alone repeats it. */
export async function fuzz({ target, seed, rounds }: { target: Target; seed: number; rounds: number }): Promise<void> {
  const { round, close } = await target.open()
  try {
    for (let n = 0; n < rounds; n++) {
      try {
        await round(new Random(seed + n))
      } catch (error) {
        throw new Error(
          `${target.name}: seed ${seed + n} (node test/fuzz/run.ts --target "${target.name}" --seed ${seed + n} --rounds 1)`,
          { cause: error },
        )
      }
    }
  } finally {
    await close?.()
  }
}
