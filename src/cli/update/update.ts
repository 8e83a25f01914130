import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import type { Config } from '../../config.ts'
import { AppError, errorText } from '../../domain/errors.ts'
import { copyWhileInUse } from '../../store/backup.ts'
import { makeBackup } from '../backup/make-backup.ts'
import { stampOf } from '../backup/restore.ts'
import type { Environment } from '../host.ts'
import type { Checkout, Release } from './checkout.ts'
import { becomesHealthy } from './health.ts'
import { printed } from './run.ts'

/** What keeps the host running, or has it run for the look at its health only. */
export interface Keeper {
  stop(): Promise<void>
  start(): Promise<void>
  /** After the health check. */
  settle(): Promise<void>
}

export type Updating = {
  config: Config
  env: Environment
  checkout: Checkout
  keeper: Keeper
  say(line: string): void
  now(): Date
  /** How long the host of the new release may take until it is ready. */
  patienceMs?: number
}

const PATIENCE_MS = 180_000

/**
 * Goes to another release: what can be tried is tried while the host runs; then it is stopped, saved, switched, started and
 * looked at. When anything fails after that, code and data return together. Throws an `AppError` that says what is now.
 *
 * All that this needs is loaded before anything is switched: this program's own files are exchanged beneath it.
 */
export async function update(updating: Updating, { from, to }: { from: Release; to: Release }): Promise<void> {
  const { keeper, checkout, say } = updating
  say(`Trying ${to.version} on a copy of the database ...`)
  await tryOut(updating, to)
  say('Stopping the host ...')
  await keeper.stop()
  const backup = await saved(updating, from).catch(async (error) => {
    await keeper.start()
    throw error
  })
  say(`Saved everything in ${backup}`)
  try {
    say(`Switching from ${from.version} to ${to.version} ...`)
    await checkout.switchTo(to)
    await prove(updating, to)
  } catch (error) {
    await goBack({ updating, from, backup, why: errorText(error) })
    const message = `${to.version} did not work, and everything is as before: ${from.version} runs with the data of when it was stopped. Why: ${errorText(error)}`
    throw new AppError({ code: 'update.failed', fault: 'user', message, cause: error })
  }
  await keeper.settle()
}

/** The new program, with its libraries, takes over a copy of the database: nothing of ours is touched. */
async function tryOut({ config, env, checkout }: Updating, to: Release): Promise<void> {
  await checkout
    .beside(to, async (folder) => {
      const copy = path.join(path.dirname(folder), 'messages.db')
      if (existsSync(config.paths.database)) await copyWhileInUse(config.paths.database, copy)
      // A home of its own: whatever it does, it does not do it here.
      const trial = { ...env, NANOCLAW_HOME: mkdtempSync(path.join(path.dirname(folder), 'home-')) }
      await printed({ argv: [path.join(folder, 'nanoclaw'), 'migrate', copy], cwd: folder, env: trial })
    })
    .catch((error) => {
      const message = `${to.version} cannot take over what is here. Nothing was changed, and the host runs as before. Why: ${errorText(error)}`
      throw new AppError({ code: 'update.refused', fault: 'user', message, cause: error })
    })
}

async function saved({ config, now }: Updating, from: Release): Promise<string> {
  const { folder = path.join(config.root, 'backups'), passphrase } = config.backup
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const end = passphrase === undefined ? 'tar.gz' : 'tar.gz.enc'
  const file = path.join(folder, `before-update-${from.version}-${stampOf(now())}.${end}`)
  await makeBackup({ config, file, passphrase })
  removeOld(folder)
  return file
}

const KEPT = 3
const OURS = /^before-update-.+-(\d{8}-\d{6})\.tar\.gz(\.enc)?$/

/** Only what updates call their backups is ever removed, the oldest first. */
function removeOld(folder: string): void {
  const dateOf = (name: string) => OURS.exec(name)?.[1] ?? ''
  const ours = readdirSync(folder).filter((name) => OURS.test(name))
  const old = ours.sort((a, b) => dateOf(a).localeCompare(dateOf(b))).slice(0, -KEPT)
  for (const name of old) rmSync(path.join(folder, name), { force: true })
}

/** Image, start, health. */
async function prove({ config, env, checkout, keeper, patienceMs = PATIENCE_MS }: Updating, { version }: Release): Promise<void> {
  const { project } = checkout
  await printed({ argv: [path.join(project, 'container', 'build.sh'), '--if-needed'], cwd: project, env })
  await keeper.start()
  await becomesHealthy({ socketPath: config.paths.controlSocket, version, patienceMs })
}

type Return = { updating: Updating; from: Release; backup: string; why: string }

/** The old program puts its own data back: the new one may have changed them beyond what the old one understands. */
async function goBack({ updating, from, backup, why }: Return): Promise<void> {
  const { checkout, keeper, env, config, say } = updating
  say(`It does not work: ${why}\nGoing back to ${from.version} ...`)
  const launcher = path.join(checkout.project, 'nanoclaw')
  try {
    await keeper.stop()
    await checkout.switchTo(from)
    const restored = await printed({
      argv: [launcher, 'restore', backup, '--json'],
      cwd: checkout.project,
      env: { ...env, NANOCLAW_HOME: config.root },
    })
    say(`What the new version had is in ${JSON.parse(restored).kept}`)
    await prove({ ...updating, patienceMs: PATIENCE_MS }, from)
    await keeper.settle()
  } catch (cause) {
    const steps = [`git checkout ${from.ref}`, `./nanoclaw restore ${backup}`, './nanoclaw start'].join('\n  ')
    const message = `The update failed (${why}), and so did the way back (${errorText(cause)}). By hand, in ${checkout.project}:\n  ${steps}`
    throw new AppError({ code: 'update.stuck', fault: 'user', message, cause })
  }
}
