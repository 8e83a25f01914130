import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeBody } from './model-request.ts'

const OPEN = { webSearch: true }
const plain = { model: 'claude-x', max_tokens: 10, messages: [{ role: 'user', content: 'hi' }] }

function judged(body: unknown, rules = OPEN): string {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  const judgement = judgeBody(bytes, rules)
  return judgement.type === 'accepted' ? 'accepted' : judgement.why
}

/** A request whose one message has this content. */
const saying = (...content: unknown[]) => ({ ...plain, messages: [{ role: 'user', content }] })
const withTool = (type: unknown) => ({ ...plain, tools: [{ type, name: 'x', input_schema: { type: 'object' } }] })
const text = (inner: string) => `{"model":"m","messages":[],${inner}}`

const NO_BOUND = 'its "max_tokens" is no whole number from 1 to 1000000'

test('what Claude Code sends is accepted, with its model and its bound', () => {
  const everything = {
    ...plain,
    system: [{ type: 'text', text: 'You are', cache_control: { type: 'ephemeral' } }],
    ...{
      stream: true,
      metadata: { user_id: 'u' },
      temperature: 1,
      thinking: { type: 'adaptive' },
      tool_choice: { type: 'auto' },
    },
    ...{ context_management: { edits: [] }, output_config: { effort: 'high' } },
    tools: [{ name: 'Bash', input_schema: { type: 'object', properties: { url: { type: 'string' } } } }],
  }
  assert.deepEqual(judgeBody(Buffer.from(JSON.stringify(everything)), OPEN), {
    type: 'accepted',
    model: 'claude-x',
    maxTokens: 10,
    streamed: true,
  })
})

test('content is passed on that carries its data with it', () => {
  const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } }
  const document = { type: 'document', title: 'T', source: { type: 'content', content: [{ type: 'text', text: 'x' }, image] } }
  const found = { type: 'search_result', source: 'https://example.com', title: 'E', content: [{ type: 'text', text: 'x' }] }
  const use = { type: 'tool_use', id: 't', name: 'x', input: { type: 'url', Source: { type: 'url', url: 'http://a' } } }
  const result = { type: 'tool_result', tool_use_id: 't', content: [image, { type: 'tool_reference', tool_name: 'x' }] }
  assert.equal(
    judged(saying(image, document, found, use, result, { type: 'document', source: { type: 'text', data: 'x' } })),
    'accepted',
  )
})

for (const [name, body, why] of [
  ['MCP servers', { ...plain, mcp_servers: [] }, 'mcp_servers: Extra inputs are not permitted'],
  ['a container of the API', { ...plain, container: 'c' }, 'container: Extra inputs are not permitted'],
  ['a conversation that is kept elsewhere', { ...plain, thread: {} }, 'thread: Extra inputs are not permitted'],
  ['a faster and dearer model', { ...plain, speed: 'fast' }, 'speed: Extra inputs are not permitted'],
  ['a name that differs by case', { ...plain, MCP_servers: [] }, 'MCP_servers: Extra inputs are not permitted'],
  ['a prototype', text('"__proto__":{}'), '__proto__: Extra inputs are not permitted'],
  ['an address of an image', saying({ type: 'image', source: { type: 'url', url: 'http://a' } }), 'a source of type "url"'],
  ['an uploaded file', saying({ type: 'document', source: { type: 'file', file_id: 'f' } }), 'a source of type "file"'],
  ['an address beside data', saying({ type: 'image', source: { type: 'base64', url: 'http://a' } }), 'a source with a "url"'],
  [
    'content that is no list',
    saying({ type: 'tool_result', content: { type: 'image', source: { type: 'url' } } }),
    '"content" is no list',
  ],
  ['a source in capitals', saying({ type: 'image', Source: { type: 'url' } }), 'content with a "Source"'],
  ['a type in capitals', saying({ type: 'image', source: { Type: 'url' } }), 'a source of type "undefined"'],
  ['a source that is text', saying({ type: 'image', source: 'http://a' }), 'a "source" is no object'],
  [
    'an address in the result of a tool',
    saying({ type: 'tool_result', content: [{ type: 'image', source: { type: 'url' } }] }),
    'a source of type "url"',
  ],
  [
    'an address within a document',
    saying({ type: 'document', source: { type: 'content', content: [{ type: 'image', source: { type: 'url' } }] } }),
    'a source of type "url"',
  ],
  [
    'an address in the system prompt',
    { ...plain, system: [{ type: 'image', source: { type: 'url' } }] },
    'a source of type "url"',
  ],
  [
    'a message with another name',
    { ...plain, messages: [{ role: 'user', Content: [] }] },
    'messages: Content: Extra inputs are not permitted',
  ],
  ['a tool whose type is in capitals', { ...plain, tools: [{ Type: 'web_fetch_20250910' }] }, 'a tool with a "Type"'],
  ['a file for a container', saying({ type: 'container_upload', file_id: 'f' }), 'content of type "container_upload"'],
  ['content without a type', saying({ text: 'x' }), 'content of type "undefined"'],
  ['fetching by the API', withTool('web_fetch_20250910'), 'tools of type "web_fetch_20250910"'],
  ['running code at the API', withTool('code_execution_20250825'), 'tools of type "code_execution_20250825"'],
  ['tools of an MCP server', withTool('mcp_toolset'), 'tools of type "mcp_toolset"'],
  ['a tool whose type is a list', withTool(['custom']), 'a tool has a "type" that is no text'],
  ['tools that are no list', { ...plain, tools: {} }, '"tools" is no list'],
  ['messages that are no list', { ...plain, messages: { 0: plain.messages[0] } }, '"messages" is no list'],
  ['a message that is no object', { ...plain, messages: [[]] }, '"messages" has something that is no object'],
  ['no model', { messages: [] }, 'it names no model'],
  ['a bound that is text', { ...plain, max_tokens: '10' }, NO_BOUND],
  ['a bound that is null', { ...plain, max_tokens: null }, NO_BOUND],
  ['a bound below one', { ...plain, max_tokens: 0 }, NO_BOUND],
  ['a bound that is no whole number', { ...plain, max_tokens: 1.5 }, NO_BOUND],
  ['a bound beyond any answer', { ...plain, max_tokens: 1_000_001 }, NO_BOUND],
  ['a bound beyond all numbers', text('"max_tokens":1e999'), NO_BOUND],
  ['a list', [plain], 'it is no JSON object'],
  ['nothing', '', 'it is not JSON'],
  ['half of it', '{"model":"m","messages":[', 'it is not JSON'],
  ['a byte order mark', `\ufeff${JSON.stringify(plain)}`, 'it is not JSON'],
  ['Latin-1', Buffer.from('{"model":"\xe9"}', 'latin1'), 'it is not UTF-8'],
  ['UTF-16', Buffer.from(JSON.stringify(plain), 'utf16le'), 'it is not JSON'],
  ['one name twice', text('"tools":[],"tools":null'), 'it says "tools" twice in one object'],
  ['one name in two spellings', text('"system":"a","s\\u0079stem" : []'), 'it says "system" twice in one object'],
  ['one name twice, deep within', text('"tools":[{"a":{"b":1,"\\u0062":2}}]'), 'it says "b" twice in one object'],
  ['more depth than bounds', text(`"tools":${'['.repeat(101)}`), 'it is more than 100 levels deep'],
  ['more parts than bounds', text(`"tools":[${'0,'.repeat(100_001)}0]`), 'it has more than 100000 parts'],
] as const) {
  test(`a request is refused for ${name}`, () => {
    assert.ok(judged(body).startsWith(why), judged(body))
  })
}

test('a bound may be missing, or as high as it gets', () => {
  for (const bound of [undefined, 1, 1_000_000]) assert.equal(judged({ ...plain, max_tokens: bound }), 'accepted')
})

test('what the tools of the API gave back is passed on', () => {
  const found = { type: 'tool_search_tool_result', content: { type: 'tool_search_tool_search_result', tool_references: [] } }
  const failed = { type: 'web_search_tool_result', content: { type: 'web_search_tool_result_error', error_code: 'x' } }
  assert.equal(judged(saying(found, failed)), 'accepted')
})

test('a search of the web is for groups that may go everywhere', () => {
  assert.equal(judged(withTool('web_search_20250305'), OPEN), 'accepted')
  assert.match(judged(withTool('web_search_20250305'), { webSearch: false }), /goes past the rules of this group/)
})

test('the same name in two objects, and as a value, is no repetition', () => {
  assert.equal(judged(text('"tools":[{"name":"name"},{"name":"a"}],"metadata":{"name":1}')), 'accepted')
  assert.equal(
    judged(saying({ type: 'text', text: '{"a": 1, "a": 2} \\' }, { type: 'text', text: '\\"a": 1, \\"a": 2' })),
    'accepted',
  )
  assert.equal(judged(saying({ type: 'text', text: 'x": 1' })), 'accepted')
})

test('a hostile size is refused before anything is built of it', () => {
  assert.match(judged(Buffer.alloc(32 * 1024 * 1024, '[')), /levels deep/)
  assert.match(judged(Buffer.from('{},'.repeat(10_000_000))), /parts/)
})

test('every field of the Messages API that stays between a request and its answer is accepted', () => {
  const fields = [
    ...['system', 'max_tokens', 'stream', 'metadata', 'stop_sequences', 'temperature', 'top_k', 'top_p', 'tools', 'tool_choice'],
    ...['thinking', 'cache_control', 'context_management', 'output_config', 'output_format', 'messages'],
  ]
  const bare = { model: 'm' }
  for (const name of fields) assert.equal(judged({ ...bare, [name]: name === 'max_tokens' ? 1 : null }), 'accepted', name)
  for (const name of ['role', 'content', 'clear_at', 'output_config'])
    assert.equal(judged({ ...bare, messages: [{ [name]: null }] }), 'accepted', name)
})

test('only a field `stream` that is true makes an answer streamed, and a bound that is missing counts as 0', () => {
  const streamed = (stream: unknown) => {
    const judgement = judgeBody(Buffer.from(JSON.stringify({ model: 'm', stream })), OPEN)
    return judgement.type === 'accepted' ? [judgement.streamed, judgement.maxTokens] : judgement.why
  }
  assert.deepEqual([true, false, 'true', 1, null].map(streamed), [[true, 0], ...Array(4).fill([false, 0])])
})

test('every kind of content that carries its data with it is accepted', () => {
  const kinds = [
    ...['text', 'image', 'document', 'search_result', 'thinking', 'redacted_thinking', 'compaction', 'tool_use', 'tool_result'],
    ...['tool_reference', 'tool_definition', 'tool_addition', 'tool_removal', 'server_tool_use', 'web_search_tool_result'],
    ...['web_search_result', 'tool_search_tool_result'],
  ]
  for (const type of kinds) assert.equal(judged(saying({ type })), 'accepted', type)
  for (const type of ['', 'Text', 'texts', 'code_execution_tool_result', 'mcp_tool_use', 'toString', null, ['text']])
    assert.ok(judged(saying({ type })).startsWith('content of type'), String(type))
})

test('the tools that an agent carries out itself are accepted in each of their versions', () => {
  const own = ['bash', 'text_editor', 'computer', 'memory', 'tool_search_tool_regex', 'tool_search_tool_bm25']
  for (const type of ['custom', null, ...own.map((name) => `${name}_20250124`)]) assert.equal(judged(withTool(type)), 'accepted')
  const others = [...own, ...own.map((name) => `${name}_2025012`), ...own.map((name) => `${name}_202501241`), 'xbash_20250124']
  for (const type of [...others, 'custom_20250124', 'customs', 'web_search_2025030', 'web_search_202503051'])
    assert.equal(judged(withTool(type)), `tools of type "${type}" are not passed on`)
})

test('content in content is judged at every depth', () => {
  const fetched = { type: 'image', source: { type: 'url' } }
  const inDocument = { type: 'document', source: { type: 'content', content: [fetched] } }
  const inResult = { type: 'tool_result', content: [{ type: 'search_result', source: 'x', content: [inDocument] }] }
  assert.match(judged(saying(inResult)), /a source of type "url"/)
  assert.match(judged(saying({ type: 'text' }, inResult)), /a source of type "url"/)
  assert.match(
    judged({ ...plain, messages: [...plain.messages, { role: 'user', content: [fetched] }] }),
    /a source of type "url"/,
  )
  assert.match(judged({ ...plain, tools: [{ type: 'custom' }, { type: 'web_fetch_20250910' }] }), /tools of type/)
  assert.equal(judged(saying({ type: 'tool_result', content: null }, { type: 'tool_result', content: 'words' })), 'accepted')
  assert.equal(judged(saying({ type: 'document', source: { type: 'content', content: 'words' } })), 'accepted')
})

test('a source that is text is one of a search result alone, and a source has no address beside its data', () => {
  assert.equal(judged(saying({ type: 'search_result', source: 'https://example.com' })), 'accepted')
  assert.equal(
    judged(saying({ type: 'search_result', source: { type: 'url' } })),
    judged(saying({ type: 'image', source: { type: 'url' } })),
  )
  for (const name of ['url', 'file_id', 'Url'])
    assert.equal(
      judged(saying({ type: 'image', source: { type: 'base64', [name]: 'x' } })),
      `a source with a "${name}" is not passed on`,
    )
})

test('a refusal repeats at most 100 characters of what the client wrote', () => {
  for (const length of [100, 101]) {
    const [word, shown] = ['N'.repeat(length), 'N'.repeat(100)]
    assert.equal(judged({ ...plain, [word]: 1 }), `${shown}: Extra inputs are not permitted`)
    assert.equal(judged(withTool(word)), `tools of type "${shown}" are not passed on`)
    assert.equal(judged(saying({ type: word })), `content of type "${shown}" is not passed on`)
    assert.equal(
      judged(saying({ type: 'image', source: { type: word } })),
      `a source of type "${shown}" is not passed on; send the data itself`,
    )
    assert.equal(judged(saying({ type: 'image', [word]: 1 })), `content with a "${shown}" is not passed on`)
  }
})
