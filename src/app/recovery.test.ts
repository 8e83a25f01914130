import assert from 'node:assert/strict'
import { realpathSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../../test/fakes/rooms.ts'
import type { ContainerRuntime, ContainerSummary } from '../runtimes/contract.ts'
import { removeOrphans, v1Orphans } from './recovery.ts'

const container = (name: string, binds: string[], labels: Record<string, string> = {}): ContainerSummary => ({
  ...{ id: name, name, labels, state: 'running', binds },
})

test('a container of v1 is known by its name and a folder of this root, and by nothing less', () => {
  const orphans = [
    container('nanoclaw-Family-1', ['/home/me/.config', '/home/me/claw/groups/Family']),
    container('nanoclaw-main-2', ['/home/me/claw'], { 'org.opencontainers.image.title': 'of the image' }),
  ]
  const others = [
    container('nanoclaw-a-1', ['/home/me/claw2/groups/a']),
    container('nanoclaw-a-2', ['/home/me']),
    container('nanoclaw-a-3', []),
    container('my-nanoclaw-a', ['/home/me/claw/groups/a']),
    container('nanoclaw-a-4', ['/home/me/claw/groups/a'], { 'nanoclaw.install': 'another' }),
  ]
  assert.deepEqual(v1Orphans([...others, ...orphans], '/home/me/claw'), orphans)
  assert.deepEqual(v1Orphans(orphans, '/'), orphans)
})

test('what an earlier host left is removed, by our label or as a container of v1, and one that stays holds up no other', async (t) => {
  const root = temporaryFolder(t)
  const link = path.join(temporaryFolder(t), 'link')
  symlinkSync(root, link)
  const ours = [
    container('nanoclaw-a', [], { 'nanoclaw.install': 'x' }),
    container('nanoclaw-b', [], { 'nanoclaw.install': 'x' }),
  ]
  const old = container('nanoclaw-old', [path.join(realpathSync(root), 'groups', 'old')])
  const foreign = container('nanoclaw-foreign', ['/somewhere/else'])
  const [removed, told]: [string[], string[]] = [[], []]
  const runtime = {
    list: async (filter: { label?: string; name?: string }) =>
      filter.label === 'nanoclaw.install=x' ? ours : filter.name === 'nanoclaw-' ? [...ours, old, foreign] : assert.fail(),
    remove: async (id: string) => {
      if (id === 'nanoclaw-a') throw new Error('it is busy')
      removed.push(id)
    },
  } as unknown as ContainerRuntime
  const log = { info: (text: string) => void told.push(text), warn: (text: string) => void told.push(text) }
  await removeOrphans({ runtime, installId: 'x', root: link, log })
  assert.deepEqual(removed, ['nanoclaw-b', 'nanoclaw-old'])
  assert.deepEqual(told.sort(), [
    'Removed the container nanoclaw-b of an earlier run',
    'Removed the container nanoclaw-old of an earlier run',
    'The container nanoclaw-a of an earlier run could not be removed: it is busy',
  ])
})
