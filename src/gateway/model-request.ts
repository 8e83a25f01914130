import { parseStrictly } from './json-shape.ts'

/** What the gateway knows of a request to the model before it lets it pass; `maxTokens` is 0 where it says nothing. */
export type ModelRequest = { model: string; maxTokens: number; streamed: boolean }
export type Judgement = ({ type: 'accepted' } & ModelRequest) | { type: 'refused'; why: string }

/** `webSearch`: the model may search the web for this group. It does so from elsewhere, past our rules for the network. */
export type BodyRules = { webSearch: boolean }

/**
 * What the model API may be told, and nothing else: everything here stays between one request and its answer. Left out, and so
 * refused, is what has the API reach out by itself (`mcp_servers`, addresses of files, its own fetching and containers), what
 * names something kept under the owner's account (`container`, `thread`, uploaded files), and what has a price of its own.
 */
const FIELDS = new Set([
  ...['model', 'messages', 'system', 'max_tokens', 'stream', 'metadata', 'stop_sequences', 'temperature', 'top_k', 'top_p'],
  ...['tools', 'tool_choice', 'thinking', 'cache_control', 'context_management', 'output_config', 'output_format'],
])

/** Tools that the container carries out itself, and those of the API that look at nothing but the request. */
const TOOLS = /^(custom|(bash|text_editor|computer|memory|tool_search_tool_regex|tool_search_tool_bm25)_\d{8})$/
const WEB_SEARCH = /^web_search_\d{8}$/

const CONTENT = new Set([
  ...['text', 'image', 'document', 'search_result', 'thinking', 'redacted_thinking', 'compaction'],
  ...['tool_use', 'tool_result', 'tool_reference', 'tool_definition', 'tool_addition', 'tool_removal'],
  ...['server_tool_use', 'web_search_tool_result', 'web_search_result', 'tool_search_tool_result'],
])
const OWN_RESULT = /^(web_search|tool_search)_tool_result$/
/** Where an image or a document may come from: the request itself. */
const SOURCES = new Set(['base64', 'text', 'content'])

/** The API's own words: Claude Code goes on without what an API does not know yet. */
const EXTRA = ': Extra inputs are not permitted'

const MESSAGE_FIELDS = new Set(['role', 'content', 'clear_at', 'output_config'])
/** More than any model says in one answer; budgets reserve what is asked for. */
const MOST_TOKENS = 1_000_000
/** Some readers take "Source" for "source". */
const PLAIN_NAME = /^[a-z][a-z0-9_]*$/

/** Decides about the body of one request. Pure: what is forwarded are exactly these bytes. */
export function judgeBody(bytes: Buffer, rules: BodyRules): Judgement {
  const parsed = parseStrictly(bytes)
  if (parsed.type === 'refused') return parsed
  const body = parsed.value
  if (!isObject(body)) return { type: 'refused', why: 'it is no JSON object' }
  const { model, max_tokens: maxTokens, stream } = body
  if (typeof model !== 'string' || model === '') return { type: 'refused', why: 'it names no model' }
  if (maxTokens !== undefined && !isTokenBound(maxTokens))
    return { type: 'refused', why: `its "max_tokens" is no whole number from 1 to ${MOST_TOKENS}` }
  const why = fieldProblem(body) ?? toolsProblem(body.tools, rules) ?? conversationProblem(body)
  if (why !== undefined) return { type: 'refused', why }
  return { type: 'accepted', model, maxTokens: maxTokens ?? 0, streamed: stream === true }
}

function isTokenBound(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= MOST_TOKENS
}

type Fields = Record<string, unknown>

function fieldProblem(body: Fields): string | undefined {
  const unknown = nameBut(body, (name) => FIELDS.has(name))
  return unknown === undefined ? undefined : `${unknown}${EXTRA}`
}

function toolsProblem(tools: unknown, { webSearch }: BodyRules): string | undefined {
  return firstProblem(tools, 'tools', (tool) => {
    const { type } = tool
    const strange = nameBut(tool, (name) => PLAIN_NAME.test(name))
    if (strange !== undefined) return `a tool with a "${strange}" is not passed on`
    if (type === undefined || type === null) return undefined
    if (typeof type !== 'string') return 'a tool has a "type" that is no text'
    if (WEB_SEARCH.test(type))
      return webSearch ? undefined : 'a search of the web goes past the rules of this group for the network'
    return TOOLS.test(type) ? undefined : `tools of type "${type.slice(0, 100)}" are not passed on`
  })
}

function conversationProblem({ messages, system }: Fields): string | undefined {
  return contentProblem(system, 'system') ?? firstProblem(messages, 'messages', messageProblem)
}

function messageProblem(message: Fields): string | undefined {
  const strange = nameBut(message, (name) => MESSAGE_FIELDS.has(name))
  return strange === undefined ? contentProblem(message.content, 'content') : `messages: ${strange}${EXTRA}`
}

/** Text, or a list of blocks, which may have content of their own. The depth is bounded already. */
function contentProblem(content: unknown, where: string): string | undefined {
  return typeof content === 'string' ? undefined : firstProblem(content, where, blockProblem)
}

function blockProblem(block: Fields): string | undefined {
  const { type, source, content } = block
  if (typeof type !== 'string' || !CONTENT.has(type)) return `content of type "${String(type).slice(0, 100)}" is not passed on`
  const strange = nameBut(block, (name) => PLAIN_NAME.test(name))
  if (strange !== undefined) return `content with a "${strange}" is not passed on`
  // What a search found names its source by a word for the reader; nobody goes there.
  const hasSource = source !== undefined && !(type === 'search_result' && typeof source === 'string')
  return (hasSource ? sourceProblem(source) : undefined) ?? innerProblem(type, content)
}

/** What the API's own tools gave back may be an object; it is nothing that the API looks into again. */
function innerProblem(type: string, content: unknown): string | undefined {
  if (content === undefined || content === null || (isObject(content) && OWN_RESULT.test(type))) return undefined
  return contentProblem(content, 'content')
}

function sourceProblem(source: unknown): string | undefined {
  if (!isObject(source)) return 'a "source" is no object'
  const { type, content } = source
  if (typeof type !== 'string' || !SOURCES.has(type))
    return `a source of type "${String(type).slice(0, 100)}" is not passed on; send the data itself`
  const strange = nameBut(source, (name) => PLAIN_NAME.test(name) && name !== 'url' && name !== 'file_id')
  if (strange !== undefined) return `a source with a "${strange}" is not passed on`
  return content === undefined ? undefined : contentProblem(content, 'content')
}

/** The first name that is not one of these, as it may be repeated to the client. */
function nameBut(fields: Fields, isOne: (name: string) => boolean): string | undefined {
  return Object.keys(fields)
    .find((name) => !isOne(name))
    ?.slice(0, 100)
}

/** The first problem of a list of objects; what is missing has none. */
function firstProblem(list: unknown, name: string, problemOf: (one: Fields) => string | undefined): string | undefined {
  if (list === undefined || list === null) return undefined
  if (!Array.isArray(list)) return `"${name}" is no list`
  for (const one of list) {
    const problem = isObject(one) ? problemOf(one) : `"${name}" has something that is no object`
    if (problem !== undefined) return problem
  }
  return undefined
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
