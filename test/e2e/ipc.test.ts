import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { TestHost } from '../fakes/host-process.ts'
import { until } from '../fakes/patience.ts'

/** A line that has the agent write a request by hand, as its shell can. */
function shellWrites(request: object, box = 'messages'): string {
  const command = `cd /workspace/ipc/${box} && echo '${JSON.stringify(request)}' > .new && mv .new ${randomUUID()}.json && while ls *.json; do sleep 0.05; done`
  return `!tool Bash ${JSON.stringify({ command })}`
}

test('what an agent writes into its request folder is acted on while it works, and stands before its answer', async (t) => {
  const host = await TestHost.create(t)
  await host.start()
  const answer = await host.say(`${shellWrites({ type: 'message', text: 'I have begun.', sender: 'Cook' })}\n!echo I am done.`)
  assert.match(answer, /^\*Cook\*: I have begun\.\n\n/)
  assert.deepEqual(readdirSync(path.join(host.root, 'data/ipc/main/messages')), [])
})

test('a request that lay there when the host started is carried out, and its outcome is in the log', async (t) => {
  const host = await TestHost.create(t)
  await host.start()
  await host.say('!echo hello')
  await host.stop()
  const box = path.join(host.root, 'data/ipc/main/messages')
  writeFileSync(
    path.join(box, 'by-hand.json'),
    JSON.stringify({ type: 'message', chatJid: 'local:main', text: 'While you were away' }),
  )
  writeFileSync(path.join(box, 'wrong.json'), '{"type": "message"}')
  await host.start()
  await until(() => readdirSync(box).length === 0, 'both are taken')
  const log = readFileSync(path.join(host.root, 'logs/nanoclaw.log'), 'utf8')
  assert.match(log, /request "by-hand .*": done: Sent to local:main/)
  assert.match(log, /request "wrong .*": malformed: text: /)
})
