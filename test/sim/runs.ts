import { spawn } from 'node:child_process'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { PROJECT } from '../../src/config.ts'

type Runs = { from: number; schedules: number; project?: string; signal?: AbortSignal }

/** Schedules in a process of their own; `project` is another copy of this project. */
export async function runSchedules({
  from,
  schedules,
  project = PROJECT,
  signal,
}: Runs): Promise<{ code: number; output: string }> {
  const env = { ...process.env, SIM_SEED: String(from), SIM_SCHEDULES: String(schedules) }
  const child = spawn(process.execPath, [path.join(project, 'test/sim/run.ts')], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
  })
  const ended = new Promise<number>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve(code ?? 1))
  })
  const [code, output, errors] = await Promise.all([ended, text(child.stdout), text(child.stderr)])
  return { code, output: output + errors }
}
