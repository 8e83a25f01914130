import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { mountsProblem } from './mounts.ts'

test('a mount counts as checked only while it is the same folder on the same device', (t) => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-mounts-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const target = path.join(folder, 'app')
  mkdirSync(target)
  const stat = statSync(target, { bigint: true })
  const [dev, ino] = [String(stat.dev), String(stat.ino)]
  assert.equal(mountsProblem([{ target, dev, ino }]), undefined)
  assert.equal(mountsProblem([{ target, ino }]), undefined, 'an engine in a machine of its own has other devices')
  assert.match(mountsProblem([{ target, dev: '1', ino }]) ?? '', /is not the folder that was checked/)
  assert.match(mountsProblem([{ target, dev, ino: '1' }]) ?? '', /is not the folder that was checked/)
  assert.equal(mountsProblem([]), undefined)
  const others = ['/none/a', '/none/b'].map((other) => ({ target: other, ino }))
  assert.match(
    mountsProblem([others[0], { target, dev, ino }, others[1]].filter((one) => one !== undefined)) ?? '',
    /^\/none\/a, \/none\/b is not the folder/,
  )
  renameSync(target, `${target}-away`)
  assert.match(mountsProblem([{ target, dev, ino }]) ?? '', /is not the folder/, 'gone')
  mkdirSync(target)
  assert.match(mountsProblem([{ target, dev, ino }]) ?? '', /is not the folder/, 'exchanged')
})
