import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { type RunnerFrame, type RunnerInput, runnerInput } from '@nanoclaw/protocol'
import { claudeOptions } from './options.ts'

/** The options of an agent whose workspace has these files. */
function optionsIn(t: TestContext, { files = {}, ...given }: Partial<RunnerInput> & { files?: Record<string, string> } = {}) {
  const workspace = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-workspace-'))
  t.after(() => rmSync(workspace, { recursive: true }))
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(workspace, name)), { recursive: true })
    writeFileSync(path.join(workspace, name), content)
  }
  const input = runnerInput.parse({ groupFolder: 'main', chatJid: 'local:main', ...given })
  const frames: RunnerFrame[] = []
  const options = claudeOptions({ input, env: { HOME: '/h' }, emit: (frame) => frames.push(frame), workspace })
  return { workspace, options, frames }
}

/** The words that are added to the system prompt of Claude Code. */
function appended({ options }: ReturnType<typeof optionsIn>): string {
  const { systemPrompt } = options
  assert.ok(typeof systemPrompt === 'object' && !Array.isArray(systemPrompt) && systemPrompt.type === 'preset')
  return systemPrompt.append ?? ''
}

const WHO = "You are Andy. You are in the chat local:main, unless a message's <context> names another."

test('an agent works in the folder of its group, with all permissions and the settings of the image', (t) => {
  const { workspace, options } = optionsIn(t)
  const { hooks: _, stderr: __, allowedTools, disallowedTools, systemPrompt, ...rest } = options
  assert.deepEqual(rest, {
    ...{ cwd: path.join(workspace, 'group'), env: { HOME: '/h' }, pathToClaudeCodeExecutable: '/usr/local/bin/claude' },
    ...{ settingSources: ['project', 'user'], permissionMode: 'bypassPermissions', allowDangerouslySkipPermissions: true },
    ...{ additionalDirectories: [], includePartialMessages: true },
  })
  assert.deepEqual(systemPrompt, { type: 'preset', preset: 'claude_code', append: WHO, snapshot: false })
  for (const tool of ['Bash', 'Edit', 'Task', 'mcp__nanoclaw__*']) assert.ok(allowedTools.includes(tool), tool)
  assert.deepEqual([...disallowedTools].sort(), ['CronCreate', 'CronDelete', 'CronList', 'Monitor', 'ScheduleWakeup', 'Workflow'])
})

test('an agent is told who it is, what all groups share, and the instructions of its group, in this order', (t) => {
  const files = { 'global/CLAUDE.md': 'shared', 'project/groups/global/CLAUDE.md': 'shared, as main sees it' }
  const given = { assistantName: 'Bo', chatJid: 'tg:1', systemPrompt: 'Be brief.' }
  const who = "You are Bo. You are in the chat tg:1, unless a message's <context> names another."
  assert.equal(appended(optionsIn(t, { files, ...given })), `${who}\n\nshared\n\nBe brief.`)
  assert.equal(appended(optionsIn(t, { files, ...given, isMain: true })), `${who}\n\nshared, as main sees it\n\nBe brief.`)
  assert.equal(appended(optionsIn(t, { ...given, systemPrompt: '' })), who)
})

test('the shared memory is cut to 64 Ki characters', (t) => {
  for (const length of [65_536, 65_537]) {
    const files = { 'global/CLAUDE.md': 'x'.repeat(length) }
    assert.equal(appended(optionsIn(t, { files })), `${WHO}\n\n${'x'.repeat(65_536)}`)
  }
})

test('folders beside that of the group are read as well', (t) => {
  const { workspace, options } = optionsIn(t, { files: { 'extra/a/x': '', 'extra/b/x': '' } })
  assert.deepEqual(options.additionalDirectories.sort(), [path.join(workspace, 'extra/a'), path.join(workspace, 'extra/b')])
})

test('model, effort and session are set only where the input has them', (t) => {
  const { options } = optionsIn(t, { model: 'm', effort: 'low', sessionId: 's' })
  assert.deepEqual([options.model, options.effort, options.resume], ['m', 'low', 's'])
  const bare = optionsIn(t, { model: '' }).options
  for (const name of ['model', 'effort', 'resume', 'mcpServers', 'mcpServersDelivery']) assert.ok(!(name in bare), name)
})

test('MCP servers of the group are loaded before the first prompt, and not named on the command line', (t) => {
  const servers = { files: { command: 'mcp-files', args: ['-v'] }, web: { url: 'https://x.test' } }
  const { options } = optionsIn(t, { mcpServers: servers })
  assert.deepEqual(options.mcpServers, {
    files: { command: 'mcp-files', args: ['-v'], alwaysLoad: true },
    web: { type: 'http', url: 'https://x.test', alwaysLoad: true },
  })
  assert.equal(options.mcpServersDelivery, 'initialize')
})

/** Runs what is to be done before a compaction. */
async function compact({ options }: ReturnType<typeof optionsIn>, transcript: string): Promise<unknown> {
  const hook = options.hooks?.PreCompact?.[0]?.hooks[0] ?? assert.fail('there is no hook')
  const input = { hook_event_name: 'PreCompact', transcript_path: transcript } as Parameters<typeof hook>[0]
  return hook(input, undefined, { signal: new AbortController().signal })
}

test('before a compaction people are told, and the conversation is archived where the agent finds it', async (t) => {
  const room = optionsIn(t, { assistantName: 'Bo' })
  const transcript = path.join(room.workspace, 's.jsonl')
  writeFileSync(transcript, JSON.stringify({ type: 'assistant', message: { content: 'the blue door' } }))
  assert.deepEqual(await compact(room, transcript), {})
  assert.deepEqual(room.frames, [{ type: 'activity', kind: 'compacting', detail: 'making room in the conversation' }])
  const folder = path.join(room.workspace, 'group', 'conversations')
  const [archive = ''] = readdirSync(folder)
  assert.match(readFileSync(path.join(folder, archive), 'utf8'), /\*\*Bo\*\* \(\):\n\nthe blue door/)
})

test('a conversation that cannot be archived is compacted all the same, and the log says why', async (t) => {
  const complaints: string[] = []
  t.mock.method(console, 'error', (text: string) => complaints.push(text))
  const room = optionsIn(t)
  assert.deepEqual(await compact(room, room.workspace), {})
  assert.equal(complaints.length, 1)
  assert.match(complaints[0] ?? '', /^runner: the conversation was not archived before compaction: EISDIR/)
})
