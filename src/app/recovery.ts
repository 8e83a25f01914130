import { realpathSync } from 'node:fs'
import path from 'node:path'
import { errorText } from '../domain/errors.ts'
import type { ContainerRuntime, ContainerSummary } from '../runtimes/contract.ts'

const INSTALL_LABEL = 'nanoclaw.install'

/**
 * Ends the containers that an earlier host of this installation left behind, side by side. Our label counts, and nothing
 * else but a container of v1 that has a folder of this `root`: a name that looks like ours may be somebody else's.
 */
export async function removeOrphans({
  runtime,
  installId,
  root,
  log,
}: {
  runtime: ContainerRuntime
  installId: string
  root: string
  log: { info(text: string): void; warn(text: string): void }
}): Promise<void> {
  const ours = await runtime.list({ label: `${INSTALL_LABEL}=${installId}` })
  // v1 named its folders by the path without links.
  const old = root === undefined ? [] : v1Orphans(await runtime.list({ name: 'nanoclaw-' }), realpathSync(root))
  await Promise.all(
    [...ours, ...old].map(async ({ id, name }) => {
      try {
        await runtime.remove(id)
        log.info(`Removed the container ${name} of an earlier run`)
      } catch (error) {
        log.warn(`The container ${name} of an earlier run could not be removed: ${errorText(error)}`)
      }
    }),
  )
}

/** Containers of NanoClaw v1 on this root. It gave them no label: the name, and a folder of the root bound into it, tell. */
export function v1Orphans(containers: readonly ContainerSummary[], root: string): ContainerSummary[] {
  const isInside = (bind: string) => bind === root || bind.startsWith(root.endsWith(path.sep) ? root : root + path.sep)
  return containers.filter(
    ({ name, labels, binds }) => name.startsWith('nanoclaw-') && labels[INSTALL_LABEL] === undefined && binds.some(isInside),
  )
}
