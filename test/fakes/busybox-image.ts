import { execFile } from 'node:child_process'
import { createReadStream, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { errorText } from '../../src/domain/errors.ts'
import type { ContainerRuntime } from '../../src/runtimes/contract.ts'

const AGENT_IMAGE = 'nanoclaw-agent:latest'
const BUSYBOX_IMAGE = 'nanoclaw-test-busybox:latest'

const run = promisify(execFile)

/** The agent image is not built, and Debian's busybox cannot be had. */
export class ImageUnavailable extends Error {}

/** An image with a shell for tests of the engine: the agent's where it is built, else one made here of Debian's busybox. */
export async function shellImage({ runtime, socketPath }: { runtime: ContainerRuntime; socketPath: string }): Promise<string> {
  if (await runtime.imageId(AGENT_IMAGE)) return AGENT_IMAGE
  if (!(await runtime.imageId(BUSYBOX_IMAGE))) await importImage({ socketPath, image: BUSYBOX_IMAGE, tar: await busyboxTar() })
  return BUSYBOX_IMAGE
}

/** Makes an image of a file system. `change` is a line of a Dockerfile. */
export async function importImage({
  socketPath,
  image,
  tar,
  change = 'USER 1000',
}: {
  socketPath: string
  image: string
  tar: string
  change?: string
}): Promise<void> {
  const [repo = '', tag = ''] = image.split(':')
  const target = `/images/create?${new URLSearchParams({ fromSrc: '-', repo, tag, changes: change })}`
  const request = http.request({ socketPath, path: target, method: 'POST', headers: { 'content-type': 'application/x-tar' } })
  const answered = new Promise<number>((resolve, reject) => {
    request.on('response', (response) => response.resume().on('end', () => resolve(response.statusCode ?? 0)))
    request.on('error', reject)
  })
  await pipeline(createReadStream(tar), request)
  const status = await answered
  if (status !== 200) throw new Error(`the engine did not import ${image}: status ${status}`)
}

/** Kept in the temporary folder for the next run. */
async function busyboxTar(): Promise<string> {
  const kept = path.join(os.tmpdir(), `nanoclaw-busybox-${os.arch()}.tar`)
  if (existsSync(kept)) return kept
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-busybox-'))
  try {
    renameSync(await makeTar(folder), kept)
    return kept
  } catch (error) {
    const message = `The agent image is not built (./container/build.sh), and busybox-static cannot be had: ${errorText(error)}`
    throw new ImageUnavailable(message, { cause: error })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

async function makeTar(folder: string): Promise<string> {
  const root = path.join(folder, 'root')
  await run('dpkg-deb', ['-x', await downloadBusybox(folder), root])
  await run('/bin/sh', ['-c', 'cd "$1/bin" && for name in $(./busybox --list); do ln -sf busybox "$name"; done', 'sh', root])
  for (const name of ['tmp', 'mnt']) mkdirSync(path.join(root, name))
  const tar = path.join(folder, 'busybox.tar')
  await run('tar', ['-C', root, '-cf', tar, '.'])
  return tar
}

/** Returns the package's file. */
async function downloadBusybox(folder: string): Promise<string> {
  const download = () => run('apt-get', ['download', 'busybox-static'], { cwd: folder })
  try {
    await download()
  } catch {
    await run('apt-get', ['update']) // a fresh machine has no package lists yet
    await download()
  }
  return path.join(folder, readdirSync(folder).find((name) => name.endsWith('.deb')) ?? '')
}
