import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ContainerSummary } from '../runtimes/contract.ts'
import { v1Orphans } from './recovery.ts'

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
