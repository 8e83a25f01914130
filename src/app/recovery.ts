import { errorText } from '../domain/errors.ts'
import type { ContainerRuntime } from '../runtimes/contract.ts'

/**
 * Ends the containers that an earlier host of this installation left behind, side by side. Only our label counts:
 * a name that looks like ours may be somebody else's.
 */
export async function removeOrphans({
  runtime,
  installId,
  log,
}: {
  runtime: ContainerRuntime
  installId: string
  log: { info(text: string): void; warn(text: string): void }
}): Promise<void> {
  const orphans = await runtime.list({ label: `nanoclaw.install=${installId}` })
  await Promise.all(
    orphans.map(async ({ id, name }) => {
      try {
        await runtime.remove(id)
        log.info(`Removed the container ${name} of an earlier run`)
      } catch (error) {
        log.warn(`The container ${name} of an earlier run could not be removed: ${errorText(error)}`)
      }
    }),
  )
}
