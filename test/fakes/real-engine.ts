import os from 'node:os'
import { AppError, errorText } from '../../src/domain/errors.ts'
import type { ContainerRuntime } from '../../src/runtimes/contract.ts'
import { engineRuntime } from '../../src/runtimes/engine-runtime.ts'
import { findEngine } from '../../src/runtimes/find-engine.ts'
import { ImageUnavailable, shellImage } from './busybox-image.ts'

export type RealEngine = { runtime: ContainerRuntime; socketPath: string; image: string }

/** What a machine may lack; everything else that goes wrong is a failure of ours. */
const LACKING = ['engine.unreachable', 'engine.denied', 'engine.rootless-docker']

/**
 * This machine's engine and an image with a shell in it, or the reason why there is none, for `skip`. In CI that is a
 * failure: nothing may be left out there.
 */
export async function realEngine(): Promise<{ engine: RealEngine; skip: false } | { engine: undefined; skip: string }> {
  try {
    const { env } = process
    const { socketPath } = await findEngine({ env, homedir: os.homedir() })
    const runtime = await engineRuntime({ env })
    return { engine: { runtime, socketPath, image: await shellImage({ runtime, socketPath }) }, skip: false }
  } catch (error) {
    const isLacking = error instanceof ImageUnavailable || (error instanceof AppError && LACKING.includes(error.code))
    if (!isLacking || process.env.CI === 'true') throw error
    return { engine: undefined, skip: `no container can be run here: ${errorText(error)}` }
  }
}
