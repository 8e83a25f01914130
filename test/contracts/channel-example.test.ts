import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { Channel } from '../../src/channels/contract.ts'
import { PROJECT } from '../../src/config.ts'
import { until } from '../fakes/patience.ts'
import { type TestContext, temporaryFolder } from '../fakes/rooms.ts'
import { Room } from './channel-room.ts'
import { channelSuite } from './channel-suite.ts'

type Example = { FolderChannel: new (folder: string) => Channel }

/** The channel that the documents show, as it stands there. */
async function openExample(t: TestContext) {
  const folder = temporaryFolder(t)
  const code = /```ts\n([\s\S]*?)```/.exec(readFileSync(path.join(PROJECT, 'docs/channels.md'), 'utf8'))?.[1] ?? ''
  const file = path.join(folder, 'folder.ts')
  writeFileSync(file, code)
  const { FolderChannel }: Example = await import(pathToFileURL(file).href)
  return { create: () => new FolderChannel(folder), jid: 'folder:home', folder }
}

channelSuite({ name: 'the example of the documents', delivery: 'keyed', open: openExample })

test('the example of the documents: a file is a message, and goes when that is stored', async (t) => {
  const room = await Room.open(t, { open: openExample, random: () => 1 })
  await room.online({ real: true })
  const store = room.notebook.hold()
  const file = path.join(room.setting.folder, 'in', '1')
  writeFileSync(file, 'hello')
  await until(() => room.notebook.offered > 0, 'it is handed over')
  assert.ok(existsSync(file))
  store()
  await until(() => !existsSync(file), 'it is gone')
  assert.deepEqual(room.stored(), ['hello'])
  room.post('hi')
  await room.delivered()
  assert.deepEqual(readdirSync(path.join(room.setting.folder, 'out')), ['hi.txt'])
})
