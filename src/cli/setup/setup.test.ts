import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { AppError } from '../../domain/errors.ts'
import type { EngineAnswer, EngineFacts } from './engine-plan.ts'
import { mayInstall, type SetupOptions, setup } from './setup.ts'

type Scene = { answer: EngineAnswer; build?: string; answers?: string[]; login?: string }

/** A project whose build script is `build`, on a machine whose engine gives `answer`. */
function scene(t: TestContext, { answer, build = 'echo built', answers, login }: Scene): SetupOptions & { said: string[] } {
  const project = mkdtempSync(path.join(tmpdir(), 'nanoclaw-setup-'))
  t.after(() => rmSync(project, { recursive: true }))
  mkdirSync(path.join(project, 'container'))
  writeFileSync(path.join(project, 'container/build.sh'), `#!/bin/sh\n${build}\n`, { mode: 0o755 })
  const said: string[] = []
  const user = { name: 'ada', root: false, inDockerGroup: false }
  const facts: EngineFacts = {
    answer,
    wanted: 'docker',
    platform: 'linux',
    wsl: false,
    systemd: false,
    user,
    dockerHost: undefined,
    programs: {},
  }
  return {
    said,
    project,
    home: project,
    env: { PATH: '/usr/bin:/bin' },
    say: (line) => said.push(line),
    ask: answers && { confirm: async () => true, secret: async () => answers.shift() ?? '' },
    yes: false,
    missingLogin: async () => login,
    readFacts: async () => facts,
  }
}

test('with engine and login there, the image is brought up to date and its progress is shown', async (t) => {
  const options = scene(t, { answer: 'ready', build: 'echo "$1"; echo slow step >&2' })
  assert.deepEqual(await setup(options), { state: 'ready' })
  assert.deepEqual(options.said.sort(), ['  --if-needed', '  slow step'])
})

test('without a terminal everything that is missing is named at once, and nothing is built', async (t) => {
  const options = scene(t, { answer: 'none', login: 'There is no login yet.' })
  const state = await setup(options)
  assert.equal(state.state, 'missing')
  assert.match(state.what.join('\n'), /no container engine/)
  assert.ok(state.what.includes('There is no login yet.'))
  assert.ok(!options.said.includes('  built'))
})

test('a person who presses Enter instead of a login gets the demo, with its image; demo and test never ask', async (t) => {
  const chosen = scene(t, { answer: 'ready', answers: [''], login: 'none' })
  assert.deepEqual(await setup(chosen), { state: 'demo' })
  assert.ok(chosen.said.includes('  built'))
  const { missingLogin: _, ...demo } = scene(t, { answer: 'ready', answers: [], login: 'none' })
  assert.deepEqual(await setup(demo), { state: 'ready' })
})

test('an image that cannot be built says how to try again', async (t) => {
  const failed = setup(scene(t, { answer: 'ready', build: 'exit 3' }))
  await assert.rejects(failed, (error) => error instanceof AppError && /exit code 3.*container\/build\.sh/.test(error.message))
})

test('without a terminal only demo and test install unasked', () => {
  const person = { confirm: async () => true, secret: async () => '' }
  assert.equal(mayInstall({ yes: false, command: 'demo', ask: undefined }), true)
  assert.equal(mayInstall({ yes: false, command: 'chat', ask: undefined }), false)
  assert.equal(mayInstall({ yes: false, command: 'test', ask: person }), false)
  assert.equal(mayInstall({ yes: true, command: 'chat', ask: undefined }), true)
})
