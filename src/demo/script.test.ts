import assert from 'node:assert/strict'
import { test } from 'node:test'
import { continuation } from '../../container/agent-runner/src/continuation.ts'
import { promptOf } from '../domain/prompt.ts'
import { messagesRequest, readConversation } from './conversation.ts'
import type { Reply } from './reply.ts'
import { demoScript } from './script.ts'

type Content = string | object[]

/** The reply to a conversation of (role, content) pairs. */
function replyTo(...messages: [role: string, content: Content][]): Reply {
  const request = messagesRequest.parse({ model: 'm', messages: messages.map(([role, content]) => ({ role, content })) })
  return demoScript(readConversation(request))
}

function textOf(reply: Reply): string {
  assert.equal(reply.type, 'answer')
  return reply.blocks.map((block) => (block.type === 'text' ? block.text : `<${block.type}>`)).join('')
}

/** A tool call that was made and what it brought. */
function toolStep(output: string): [string, Content][] {
  return [
    ['assistant', [{ type: 'tool_use', id: 't1', name: 'Bash', input: {} }]],
    ['user', [{ type: 'tool_result', tool_use_id: 't1', content: output }]],
  ]
}

function prompt(text: string): string {
  const message = { senderName: 'Ann', sentAt: 0, text }
  return promptOf({ messages: [message as Parameters<typeof promptOf>[0]['messages'][number]], timeZone: 'UTC' })
}

test('a command is found inside the prompt that NanoClaw makes', () => {
  assert.deepEqual(replyTo(['user', prompt('@Andy !tool Bash {"command":"echo \'<a> & b\'"}')]), {
    type: 'answer',
    blocks: [{ type: 'tool_use', name: 'Bash', input: { command: "echo '<a> & b'" } }],
  })
})

test('a command is found beside the notes of Claude Code', () => {
  const note = { type: 'text', text: '<system-reminder>\n!echo no\n</system-reminder>' }
  assert.equal(textOf(replyTo(['user', [note, { type: 'text', text: '!echo yes' }]], ['system', 'Environment: !echo no'])), 'yes')
})

test('each command says what it does', () => {
  const replies: Record<string, Reply> = {
    '!tools [["A",{"x":1}],["B",{}]]': {
      type: 'answer',
      blocks: [
        { type: 'tool_use', name: 'A', input: { x: 1 } },
        { type: 'tool_use', name: 'B', input: {} },
      ],
    },
    '!error 529': { type: 'error', status: 529 },
    '!error 429 my_error x3 after=9': {
      type: 'error',
      status: 429,
      errorType: 'my_error',
      times: 3,
      headers: { 'retry-after': '9' },
    },
    '!slow 2 50': { type: 'answer', blocks: [{ type: 'text', text: 'w0 w1 ' }], pace: { pieces: 2, gapMs: 50 } },
    '!drop': { type: 'drop' },
    '!midstream': { type: 'answer', blocks: [{ type: 'text', text: 'partial' }], breaks: 'error-event' },
    '!midstream cut': { type: 'answer', blocks: [{ type: 'text', text: 'partial' }], breaks: 'cut' },
    '!big 180000': { type: 'answer', blocks: [{ type: 'text', text: 'big' }], inputTokens: 180_000 },
  }
  for (const [command, reply] of Object.entries(replies)) assert.deepEqual(replyTo(['user', command]), reply, command)
})

test('a wrong command is explained', () => {
  assert.match(textOf(replyTo(['user', '!tool Bash {oops'])), /could not read .*!tool NAME \{json\}/s)
  assert.match(textOf(replyTo(['user', '!error soon'])), /!error STATUS/)
  assert.match(textOf(replyTo(['user', '!nonsense'])), /do not know !nonsense.*!midstream/s)
  assert.match(textOf(replyTo(['user', '!constructor'])), /do not know/)
})

test('several commands are the steps of one turn, and the results come last', () => {
  const turn: [string, Content][] = [['user', '!tool Bash {"command":"a"}\n!tool Bash {"command":"b"}']]
  const second = replyTo(...turn, ...toolStep('one'))
  assert.deepEqual(second.type === 'answer' && second.blocks, [{ type: 'tool_use', name: 'Bash', input: { command: 'b' } }])
  assert.equal(textOf(replyTo(...turn, ...toolStep('one'), ...toolStep('two'))), 'RESULT:two')
})

const MID_TURN =
  'The user sent a new message while you were working:\n!echo me too\n\nThis is how Claude Code surfaces messages mid-turn.'

test('a message during a tool call is answered with what the tool brought, wherever Claude Code puts it', () => {
  const begin: [string, Content] = ['user', '!tool Bash {}']
  const note = `<system-reminder>\n${MID_TURN}\n</system-reminder>`
  assert.equal(textOf(replyTo(begin, ...toolStep('out'), ['system', MID_TURN])), 'RESULT:out\nme too')
  assert.equal(textOf(replyTo(begin, ...toolStep('out'), ['system', [{ type: 'text', text: note }]])), 'RESULT:out\nme too')
  assert.equal(textOf(replyTo(begin, ...toolStep(`out\n\n${note}`))), 'RESULT:out\nme too')
})

test('a message after an interrupted tool call is a turn of its own', () => {
  const interrupted = { type: 'text', text: '[Request interrupted by user for tool use]' }
  const messages: [string, Content][] = [['user', '!tool Bash {}'], ...toolStep('stopped')]
  assert.equal(textOf(replyTo(...messages, ['user', [interrupted, { type: 'text', text: '!echo next' }]])), 'next')
})

test('what was interrupted goes on from where it was', () => {
  const goOn = (words: string): [string, Content] => ['user', [{ type: 'text', text: continuation(prompt(words)) }]]
  assert.equal(textOf(replyTo(['user', prompt('!echo again')], goOn('!echo again'))), 'again')
  const halfDone: [string, Content][] = [['user', prompt('!tool Bash {}')], ...toolStep('done')]
  assert.equal(textOf(replyTo(...halfDone, goOn('!tool Bash {}'))), 'RESULT:done')
  for (const broken of ['!drop', '!error 529', '!midstream cut'])
    assert.equal(textOf(replyTo(['user', prompt(broken)], goOn(broken))), 'recovered', broken)
  assert.equal(textOf(replyTo(['user', prompt('!echo a')], ['user', prompt('!echo b')], goOn('!echo a'))), 'a')
})

test('the history survives a summary', () => {
  const summary = textOf(
    replyTo(
      ['user', 'one <1>'],
      ['assistant', 'x'],
      ['user', 'Your task is to create a detailed summary of the conversation so far'],
    ),
  )
  const continued = `This session is being continued from a previous conversation that ran out of context.\n${summary}`
  assert.equal(
    textOf(
      replyTo([
        'user',
        [
          { type: 'text', text: continued },
          { type: 'text', text: '!history' },
        ],
      ]),
    ),
    'one <1>\n!history',
  )
})

test('a person is told what this is and what can be tried', () => {
  for (const words of ['hello', 'What is the meaning of life?'])
    assert.match(textOf(replyTo(['user', prompt(words)])), /scripted demo model.*`run: ls -la`/s)
})

test('"run:" runs a command and shows what it says', () => {
  const call = replyTo(['user', prompt('@Andy run: ls -la')])
  assert.equal(call.type === 'answer' && call.blocks[0]?.type === 'tool_use' && call.blocks[0].input.command, 'ls -la')
  assert.match(textOf(replyTo(['user', prompt('run: ls -la')], ...toolStep('total 0'))), /```\ntotal 0\n```/)
})

test('"remember" writes to CLAUDE.md, whatever the words', () => {
  const call = replyTo(['user', "remember that it's $HOME"])
  const command = call.type === 'answer' && call.blocks[0]?.type === 'tool_use' && call.blocks[0].input.command
  assert.equal(command, `printf '%s\\n' '- it'\\''s $HOME' >> CLAUDE.md`)
  assert.match(textOf(replyTo(['user', 'remember tea'], ...toolStep(''))), /Noted in CLAUDE.md: tea/)
})

test('"what did I say before?" repeats the session', () => {
  const words = textOf(replyTo(['user', prompt('I like tea')], ['assistant', 'ok'], ['user', prompt('what did I say before?')]))
  assert.match(words, /- I like tea/)
  assert.doesNotMatch(words, /what did I say/)
  assert.match(textOf(replyTo(['user', 'what did I say before?'])), /just begun/)
})

test('"browse" opens a page and closes the browser, whatever the address', () => {
  const call = replyTo(['user', "browse https://example.com/it's"])
  const command = call.type === 'answer' && call.blocks[0]?.type === 'tool_use' && call.blocks[0].input.command
  assert.equal(command, `agent-browser open 'https://example.com/it'\\''s' && agent-browser snapshot; agent-browser close`)
  assert.match(
    textOf(replyTo(['user', 'browse https://a.test'], ...toolStep('a page'))),
    /at https:\/\/a\.test:\n```\na page\n```/,
  )
  assert.match(textOf(replyTo(['user', 'browse the web'])), /^You wrote: browse the web/)
})

test('"what do you remember?" reads CLAUDE.md, and says so when there is nothing', () => {
  const call = replyTo(['user', 'What do you know about me?'])
  assert.equal(call.type === 'answer' && call.blocks[0]?.type === 'tool_use' && call.blocks[0].input.command, 'cat CLAUDE.md')
  assert.match(textOf(replyTo(['user', 'what do you remember?'], ...toolStep(''))), /My CLAUDE\.md says:\n```\n\(nothing\)\n```/)
})

test('a note that could not be written is told as that', () => {
  assert.match(textOf(replyTo(['user', 'remember tea'], ...toolStep('read-only'))), /^That did not work:\n```\nread-only\n```/)
})

test('long words and long output are shown with their beginning', () => {
  const wrote = (length: number) => textOf(replyTo(['user', 'w'.repeat(length)])).split('\n')[0]
  assert.equal(wrote(200), `You wrote: ${'w'.repeat(200)}`)
  assert.equal(wrote(201), `You wrote: ${'w'.repeat(200)}…`)
  const shown = (length: number) => textOf(replyTo(['user', 'run: x'], ...toolStep('o'.repeat(length))))
  assert.ok(shown(3_000).endsWith(`\n${'o'.repeat(3_000)}\n\`\`\``))
  assert.ok(shown(3_001).endsWith(`\n${'o'.repeat(3_000)}\n[...]\n\`\`\``))
})

test('a command that lacks what it needs is explained', () => {
  for (const [command, usage] of [
    ['!slow 0 1', '!slow PIECES GAP_MS'],
    ['!slow 1', '!slow PIECES GAP_MS'],
    ['!slow 1.5 1', '!slow PIECES GAP_MS'],
    ['!tools []', '!tools'],
    ['!tools [["A"]]', '!tools'],
    ['!tool A []', '!tool NAME'],
    ['!big x', '!big INPUT_TOKENS'],
    ['!error 1.5', '!error STATUS'],
    ['!error 429 after=soon', '!error STATUS'],
  ] as const) {
    const words = textOf(replyTo(['user', command]))
    assert.ok(words.startsWith(`I could not read ${command}: `) && words.includes(`\nIt should look like: ${usage}`), words)
  }
  assert.deepEqual(replyTo(['user', '!slow 1 0']), {
    type: 'answer',
    blocks: [{ type: 'text', text: 'w0 ' }],
    pace: { pieces: 1, gapMs: 0 },
  })
  assert.deepEqual(replyTo(['user', '!tool A']), { type: 'answer', blocks: [{ type: 'tool_use', name: 'A', input: {} }] })
})

test('the result of a tool is told as text, also if it consists of blocks or pictures', () => {
  const brought = (content: unknown) => {
    const result = { type: 'tool_result', tool_use_id: 't1', content }
    return textOf(replyTo(['user', '!tool Bash {}'], ['assistant', [{ type: 'tool_use' }]], ['user', [result]]))
  }
  assert.equal(brought([{ type: 'text', text: 'one' }, { type: 'image' }]), 'RESULT:one\n[image]')
  assert.equal(brought(undefined), 'RESULT:')
  assert.equal(brought({ odd: true }), 'RESULT:')
  assert.equal(brought(' padded <system-reminder>x</system-reminder> '), 'RESULT:padded')
})

test('an answer repeats what is escaped in the prompt as it was written', () => {
  assert.equal(textOf(replyTo(['user', prompt('!echo <a> & "b" \'c\'')])), '<a> & "b" \'c\'')
  assert.equal(
    textOf(replyTo(['user', '<message>!echo &lt;&gt;&quot;&apos;&#39;&amp;lt; &nbsp;</message>'])),
    "<>\"''&lt; &nbsp;",
  )
})
