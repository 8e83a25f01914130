import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { archiveConversation, archiveOversized, findEarlierTry, sessionsProblem, transcriptPath } from './transcript.ts'

const prompt = (uuid: string, text: string) => ({ type: 'user', uuid, message: { role: 'user', content: text } })
const toolCall = {
  type: 'assistant',
  uuid: 'a1',
  message: { content: [{ type: 'tool_use', name: 'Bash' }], stop_reason: 'tool_use' },
}
const toolResult = { type: 'user', uuid: 'u9', message: { content: [{ type: 'tool_result', content: 'x' }] } }
const says = (text: string, over: object = {}) => ({
  type: 'assistant',
  uuid: 'a2',
  message: { content: [{ type: 'text', text }], stop_reason: 'end_turn' },
  ...over,
})
const noise = { type: 'queue-operation', operation: 'enqueue' }

function transcript(t: { after(fn: () => void): void }, entries: (object | string)[]) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-transcript-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = path.join(folder, 's.jsonl')
  writeFileSync(file, entries.map((entry) => (typeof entry === 'string' ? entry : JSON.stringify(entry))).join('\n'))
  return { file, folder }
}

const find = (
  t: { after(fn: () => void): void },
  entries: (object | string)[],
  uuids = ['one', 'two'],
  siblings: string[] = [],
) => findEarlierTry({ file: transcript(t, entries).file, uuids, siblings })

test('a turn that was never pushed is absent, also in a missing or damaged transcript', async (t) => {
  assert.deepEqual(await find(t, [prompt('other', 'hi'), says('yes')]), { state: 'absent' })
  assert.deepEqual(await findEarlierTry({ file: '/nowhere/s.jsonl', uuids: ['one'] }), { state: 'absent' })
  assert.deepEqual(await find(t, ['{"type":"user"', 'null', '[]', '']), { state: 'absent' })
  assert.deepEqual(await find(t, [prompt('one', 'hi')], []), { state: 'absent' })
})

test('a turn that was pushed and not answered is interrupted, in a tool, after one, or before anything', async (t) => {
  assert.deepEqual(await find(t, [prompt('one', 'hi')]), { state: 'interrupted' })
  assert.deepEqual(await find(t, [prompt('one', 'hi'), noise, toolCall]), { state: 'interrupted' })
  assert.deepEqual(await find(t, [prompt('one', 'hi'), says('I will look'), toolCall, toolResult]), { state: 'interrupted' })
})

test('a turn with a final answer is answered, whichever try found it', async (t) => {
  assert.deepEqual(await find(t, [prompt('one', 'hi'), toolCall, toolResult, says('done')]), {
    state: 'answered',
    text: 'done',
    id: 'a2',
  })
  assert.deepEqual(await find(t, [prompt('one', 'hi'), toolCall, prompt('two', 'continue'), says('later')]), {
    state: 'answered',
    text: 'later',
    id: 'a2',
  })
})

test('a message that was folded into a running turn shares its answer', async (t) => {
  const fold = (uuid: string) => ({
    type: 'attachment',
    attachment: { type: 'queued_command', prompt: 'more', source_uuid: uuid },
  })
  const turn = [prompt('zero', 'hi'), toolCall, toolResult]
  assert.deepEqual(await find(t, [...turn, fold('one'), says('both')]), { state: 'answered', text: 'both', id: 'a2' })
  assert.deepEqual(await find(t, [...turn, fold('one'), toolCall]), { state: 'interrupted' })
  assert.deepEqual(await find(t, [prompt('one', 'hi'), toolCall, fold('other'), says('both')]), {
    state: 'answered',
    text: 'both',
    id: 'a2',
  })
})

test('what was pushed together shares the answer', async (t) => {
  const both = { state: 'answered', text: 'both', id: 'a2' }
  const together = [prompt('one', 'hi'), prompt('x', 'and more'), toolCall, toolResult, says('both')]
  assert.deepEqual(await find(t, together, ['one'], ['x']), both)
  assert.deepEqual(await find(t, together, ['one'], []), { state: 'interrupted' })
  assert.deepEqual(await find(t, [prompt('one', 'hi'), says('both'), prompt('x', 'more'), says('later')], ['one'], ['x']), both)
})

test('the newest try decides, whatever others said in between', async (t) => {
  const others = [prompt('x', 'next'), says('other')]
  const again = [prompt('one', 'hi'), toolCall, ...others, prompt('two', 'go on'), says('done')]
  assert.deepEqual(await find(t, again), { state: 'answered', text: 'done', id: 'a2' })
  assert.deepEqual(await find(t, [...again, ...others]), { state: 'answered', text: 'done', id: 'a2' })
  assert.deepEqual(await find(t, [prompt('one', 'hi'), says('done'), ...others, prompt('two', 'go on'), toolCall]), {
    state: 'interrupted',
  })
})

test("a later turn's answer, an API error and a subagent's words are not this turn's answer", async (t) => {
  assert.deepEqual(await find(t, [prompt('one', 'hi'), toolCall, prompt('x', 'next'), says('other')]), { state: 'interrupted' })
  assert.deepEqual(await find(t, [prompt('one', 'hi'), says('API Error: 529', { isApiErrorMessage: true })]), {
    state: 'interrupted',
  })
  assert.deepEqual(await find(t, [prompt('one', 'hi'), toolCall, says('sub', { isSidechain: true })]), { state: 'interrupted' })
})

test('an archived conversation has what both said, and nothing else', async (t) => {
  const { file, folder } = transcript(t, [prompt('one', 'what is it?'), toolCall, toolResult, says('a cat')])
  const archive = path.join(folder, 'conversations')
  await archiveConversation({ transcript: file, assistantName: 'Andy', folder: archive, now: new Date('2026-01-31T12:00:00Z') })
  assert.deepEqual(readdirSync(archive), ['2026-01-31-120000.md'])
  const text = readFileSync(path.join(archive, '2026-01-31-120000.md'), 'utf8')
  assert.match(text, /\*\*User\*\* \(\):\n\nwhat is it\?\n\n---\n\n\*\*Andy\*\* \(\):\n\na cat\n$/)
})

test('an archive leaves out subagents, notes and empty words, and tells when each was said', async (t) => {
  const entries = [
    { ...prompt('one', ' what is it? '), timestamp: '2026-01-31T11:00:00Z' },
    { ...prompt('note', 'a reminder'), isMeta: true },
    says('of a subagent', { isSidechain: true }),
    says('  '),
    { type: 'assistant', message: { content: 'plain words' } },
    {
      type: 'assistant',
      message: { content: [{ type: 'text', text: 'two ' }, { type: 'thinking' }, { type: 'text', text: 'parts' }] },
    },
  ]
  const { file, folder } = transcript(t, entries)
  const now = new Date('2026-01-31T12:00:00Z')
  const archive = await archiveConversation({ transcript: file, assistantName: 'Bo', folder: path.join(folder, 'a', 'b'), now })
  assert.equal(archive, path.join(folder, 'a', 'b', '2026-01-31-120000.md'))
  assert.equal(
    readFileSync(archive ?? '', 'utf8'),
    '# Conversation archived 2026-01-31T12:00:00.000Z\n\n**User** (2026-01-31T11:00:00Z):\n\nwhat is it?\n\n---\n\n**Bo** ():\n\nplain words\n\n---\n\n**Bo** ():\n\ntwo parts\n',
  )
})

test('an archive holds at most 4 Mi characters, and an empty conversation has none', async (t) => {
  const most = 4 * 1024 * 1024
  const archived = async (...texts: string[]) => {
    const { file, folder } = transcript(
      t,
      texts.map((text) => says(text)),
    )
    const archive = await archiveConversation({ transcript: file, assistantName: 'Bo', folder: path.join(folder, 'c') })
    return archive === undefined ? undefined : readFileSync(archive, 'utf8').match(/\*\*Bo\*\*/g)?.length
  }
  assert.deepEqual([await archived('x', 'y'.repeat(most - 1)), await archived('x', 'y'.repeat(most))], [2, 1])
  assert.deepEqual([await archived(), await archived(' ')], [undefined, undefined])
})

test('a transcript over its limit is archived, and it is said where', async (t) => {
  const { file, folder } = transcript(t, [prompt('one', 'hi')])
  const wish = { file, assistantName: 'Andy', folder: path.join(folder, 'c') }
  const bytes = statSync(file).size
  assert.equal(await archiveOversized({ ...wish, maxBytes: bytes }), undefined)
  const told = await archiveOversized({ ...wish, maxBytes: bytes - 1 })
  const [name = ''] = readdirSync(wish.folder)
  assert.equal(told, `archived in ${path.join(wish.folder, name)}; look there for what was said before`)
  writeFileSync(file, 'x'.repeat(100))
  assert.match((await archiveOversized({ ...wish, maxBytes: 0 })) ?? '', /^archived in .*\/c; look there/)
  assert.equal(await archiveOversized({ ...wish, file: '/nowhere', maxBytes: 0 }), undefined)
})

test('a name of a session is one name in the folder of the sessions of the group', () => {
  assert.equal(transcriptPath('abc', '/h'), '/h/.claude/projects/-workspace-group/abc.jsonl')
  assert.equal(transcriptPath('../../x/y', '/h'), '/h/.claude/projects/-workspace-group/y.jsonl')
})

test('a folder for sessions is made and left clean, and one that cannot be written is told', (t) => {
  const { folder, file } = transcript(t, [])
  assert.equal(sessionsProblem(folder), undefined)
  assert.deepEqual(readdirSync(path.join(folder, '.claude')), [])
  assert.match(
    sessionsProblem(file) ?? '',
    /^The session folder .*s\.jsonl\/\.claude cannot be written, .* \(E.*\)\. It must belong/,
  )
})

test('an entry of up to 16 MiB is read, and a longer one is passed over', async (t) => {
  const most = 16 * 1024 * 1024
  const entryOf = (bytes: number) => {
    const bare = JSON.stringify(says(''))
    return bare.replace('"text":""', () => `"text":"${'x'.repeat(bytes - bare.length)}"`)
  }
  assert.equal((await find(t, [prompt('one', 'hi'), entryOf(most)])).state, 'answered')
  assert.equal((await find(t, [prompt('one', 'hi'), entryOf(most + 1)])).state, 'interrupted')
})

test('only a final word that ends the turn is an answer', async (t) => {
  const stopped = (stop_reason: string | null) => says('words', { message: { content: 'words', stop_reason } })
  assert.equal((await find(t, [prompt('one', 'hi'), stopped('end_turn')])).state, 'answered')
  for (const reason of ['tool_use', 'max_tokens', null])
    assert.equal((await find(t, [prompt('one', 'hi'), stopped(reason)])).state, 'interrupted')
  assert.deepEqual(await find(t, [prompt('one', 'hi'), says('done'), toolResult]), { state: 'interrupted' })
  assert.deepEqual(await find(t, [prompt('one', 'hi'), { ...prompt('note', 'x'), isMeta: true }, says('done')]), {
    state: 'answered',
    text: 'done',
    id: 'a2',
  })
  assert.equal(
    (await find(t, [prompt('one', 'hi'), { ...prompt('x', ''), message: { content: [{ type: 'text', text: 'y' }] } }, says('z')]))
      .state,
    'interrupted',
  )
})

test('a transcript over its limit that cannot be archived is told as that', async (t) => {
  const { file } = transcript(t, [])
  writeFileSync(file, 'x'.repeat(100))
  const wish = { file, assistantName: 'Andy' }
  assert.equal(await archiveOversized({ ...wish, maxBytes: 100 }), undefined)
  rmSync(file)
  mkdirSync(file)
  assert.match((await archiveOversized({ ...wish, maxBytes: 0 })) ?? '', /^not archived: EISDIR/)
})
