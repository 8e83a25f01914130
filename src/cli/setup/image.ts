import path from 'node:path'
import { AppError } from '../../domain/errors.ts'
import { type Environment, runCommand, type Say } from './command.ts'

/** Builds the agents' image where it is missing or older than its sources; a build of an hour ago costs a moment. */
export async function ensureImage({
  project,
  env,
  say,
  signal,
}: {
  project: string
  env: Environment
  say: Say
  signal?: AbortSignal | undefined
}): Promise<void> {
  const script = path.join(project, 'container', 'build.sh')
  const code = await runCommand({ argv: [script, '--if-needed'], env, signal, say })
  if (code === 0) return
  throw new AppError({
    code: 'setup.image',
    fault: 'engine',
    message: `The agents' image could not be built (exit code ${code}); the lines above say why. To try again: ./container/build.sh`,
  })
}
