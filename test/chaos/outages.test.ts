import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { Relay } from '../../src/cli/bench/relay.ts'
import { ControlClient } from '../../src/cli/control-client.ts'
import { loadConfig } from '../../src/config.ts'
import { startDemoModel } from '../../src/demo/server.ts'
import { findEngine } from '../../src/runtimes/find-engine.ts'
import { until } from '../fakes/patience.ts'
import { temporaryFolder } from '../fakes/rooms.ts'
import { fillDisk, smallDisk } from '../fakes/small-disk.ts'
import { assertAnswered, assertDelivered } from './lives.ts'
import { chaos } from './rounds.ts'
import { Stage } from './stage.ts'

type Phase = { name: string; text: string; reached(stage: Stage, chat: string): boolean }

/** A tool that leaves a trace where the test can see it, and then takes its time. */
const tool = (seconds: number) =>
  `!tool Bash ${JSON.stringify({ command: `echo run >> /workspace/group/ran; sleep ${seconds}` })}`
const hasRun = (stage: Stage, chat: string) => existsSync(path.join(stage.host.root, 'groups', chat, 'ran'))

const PHASES: Phase[] = [
  { name: 'starts', text: '!echo starts', reached: (stage, chat) => stage.containers(chat).length > 0 },
  { name: 'asks', text: '!echo asks', reached: (stage) => stage.askedAbout('!echo asks') > 0 },
  { name: 'writes', text: '!slow 40 100', reached: (stage) => stage.askedAbout('!slow 40') > 0 },
  { name: 'works', text: tool(4), reached: hasRun },
]

function assertWell(stage: Stage, chat: string, ids: readonly string[]): void {
  assertAnswered(stage, chat)
  assertDelivered(stage, chat)
  assert.equal(stage.heard(chat).length, ids.length, `one answer for each message: ${JSON.stringify(stage.heard(chat))}`)
}

chaos(
  'a container that is killed while it starts, asks, writes or works is replaced, and its message answered once',
  async (t) => {
    const stage = await Stage.create(t, { chats: PHASES.map(({ name }) => name) })
    await stage.start()
    const said = PHASES.map((phase) => ({ phase, chat: phase.name, id: stage.says(phase.name, phase.text) }))
    await Promise.all(
      said.map(async ({ phase, chat }) => {
        await until(() => phase.reached(stage, chat), `the container ${phase.name}`)
        stage.killContainers(chat)
      }),
    )
    await stage.settled(...said.map(({ id }) => id))
    for (const { chat, id } of said) assertWell(stage, chat, [id])
  },
)

chaos('a container that is killed while it waits for more is replaced at the next message', async (t) => {
  const stage = await Stage.create(t, { chats: ['red'] })
  await stage.start()
  const ids: string[] = []
  for (const words of ['one', 'two']) {
    ids.push(stage.says('red', `!echo ${words}`))
    await stage.settled(...ids)
    stage.killContainers('red')
  }
  assertWell(stage, 'red', ids)
  assert.deepEqual(stage.heard('red'), ['one', 'two'])
})

chaos('an engine that goes away in the middle of an answer and comes back leaves each message with one answer', async (t) => {
  const { socketPath: target } = await findEngine({ env: process.env, homedir: os.homedir() })
  const relay = new Relay({ path: path.join(temporaryFolder(t), 'engine.sock'), target })
  await relay.connect()
  t.after(() => relay.cut())
  const stage = await Stage.create(t, { chats: ['red', 'blue'], env: { DOCKER_HOST: `unix://${relay.path}` } })
  await stage.start()
  const first = stage.says('red', tool(3))
  await until(() => hasRun(stage, 'red'), 'the tool runs')
  await relay.cut()
  const second = stage.says('blue', '!echo meanwhile')
  await until(() => stage.query(FAILURES).length > 0, 'the host notices it')
  await relay.connect()
  await stage.settled(first, second)
  for (const [chat, id] of [
    ['red', first],
    ['blue', second],
  ] as const) {
    assertAnswered(stage, chat)
    assertDelivered(stage, chat)
    const answers = stage.heard(chat).filter((text) => /RESULT|meanwhile/.test(text))
    assert.equal(answers.length, 1, `${id}: ${JSON.stringify(stage.heard(chat))}`)
  }
})

/** Turns that have failed at least once. */
const FAILURES = 'SELECT id FROM turns WHERE failures > 0'

chaos('a model that goes away and comes back leaves each message with one answer', async (t) => {
  const stage = await Stage.create(t, { chats: ['red', 'blue'] })
  await stage.start()
  const { model } = stage.host
  await model.close()
  const ids = ['red', 'blue'].map((chat) => stage.says(chat, `!echo ${chat}`))
  await until(() => stage.query(FAILURES).length > 0, 'the host notices it')
  const again = await startDemoModel({ port: Number(new URL(model.url).port) })
  t.after(() => again.close())
  await stage.settled(...ids)
  for (const chat of ['red', 'blue']) {
    assertWell(stage, chat, ['one'])
    assert.match(stage.heard(chat)[0] ?? '', new RegExp(`${chat}|recovered`))
  }
})

for (const delivery of ['keyed', 'readback', 'uncertain'] as const)
  chaos(
    `a platform that is ${delivery} and goes away before, in and after a send gets each answer as often as it allows`,
    async (t) => {
      const stage = await Stage.create(t, { chats: ['red'], delivery })
      await stage.start()
      stage.platform.befall('failed', 'answer-lost')
      const ids = [1, 2, 3].map((n) => stage.says('red', `!echo part ${n}`))
      await until(() => stage.platform.accepted.length > 0, 'one is accepted')
      stage.platform.down()
      const client = new ControlClient({ socketPath: loadConfig(stage.host.env).paths.controlSocket })
      await until(async () => (await client.status()).channels.some(({ state }) => state === 'retrying'), 'the host notices it')
      stage.platform.up()
      ids.push(stage.says('red', '!echo the last'))
      await stage.settled(...ids)
      assertAnswered(stage, 'red')
      assertDelivered(stage, 'red')
      const uncertain = stage.query("SELECT seq FROM outbox WHERE state = 'uncertain'").length
      if (delivery !== 'uncertain') assert.equal(uncertain, 0)
      t.diagnostic(`${stage.platform.accepted.length} accepted, ${uncertain} uncertain`)
    },
  )

chaos('a disk that is full when a message comes, or an answer, loses neither', async (t) => {
  const root = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-chaos-'))
  const store = smallDisk(t, { folder: path.join(root, 'store'), megabytes: 6 })
  const stage = await Stage.create(t, { chats: ['red', 'blue'], root })
  await stage.start()
  const first = stage.says('red', tool(2))
  await until(() => hasRun(stage, 'red'), 'the tool runs')
  const ballast = fillDisk(store, { leave: 0 })
  const second = stage.says('blue', '!echo later')
  await until(() => /disk/i.test(stage.lastWords()), 'the host says so')
  rmSync(ballast)
  await stage.settled(first, second)
  assertWell(stage, 'red', [first])
  assertWell(stage, 'blue', [second])
  await stage.host.stop()
})
