import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import path from 'node:path'
import { setVariable } from '../../src/cli/setup/env-file.ts'
import { PROJECT } from '../../src/config.ts'
import { writeFileAtomically } from '../../src/files.ts'
import { installId, prepareRoot } from '../../src/project.ts'

/** The recorded program: it writes every kind of file that is replaced by renaming, and tells what each holds now. */
const [home = '', how] = process.argv.slice(2)
const owner = { uid: 1000, gid: 1000 }
/** More than a page, so that a half of it can be missing. */
const LONG = 'x'.repeat(9_000)

prepareRoot({ root: home, project: PROJECT, owner })
for (const group of ['main', 'global']) tell('durable', path.join('groups', group, 'CLAUDE.md'))
installId(home)
tell('durable', path.join('data', 'install-id'))
for (const value of ['one', `two-${LONG}`, 'three']) {
  setVariable({ file: path.join(home, '.env'), name: 'ASSISTANT_NAME', value })
  tell('durable', '.env')
}
mkdirSync(path.join(home, 'data', 'ipc'))
for (const text of ['[]', `["${LONG}"]`, '["short"]']) {
  const snapshot = path.join(home, 'data', 'ipc', 'current_tasks.json')
  if (how === 'carelessly') writeFileSync(snapshot, text)
  else writeFileAtomically(snapshot, { text, mode: 0o644, owner })
  tell('whole', path.join('data', 'ipc', 'current_tasks.json'))
}

function tell(promise: 'durable' | 'whole', name: string): void {
  const digest = createHash('sha256')
    .update(readFileSync(path.join(home, name)))
    .digest('hex')
  writeSync(1, `${JSON.stringify({ promise, name, digest })}\n`)
}
