import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import type { Options } from '@anthropic-ai/claude-agent-sdk'
import { claudeArguments, SDK_VARIABLES } from './claude-process.ts'
import { HostRequests } from './host-requests.ts'
import { hostServer } from './host-server.ts'
import { type ClaudeOptions, claudeOptions } from './options.ts'
import * as sdk from './sdk.ts'

const input = {
  groupFolder: 'main',
  chatJid: 'local:main',
  isMain: true,
  isScheduledTask: false,
  assistantName: 'Andy',
  earlier: [],
  maxTranscriptBytes: 1,
  mounts: [],
  replyTimeoutMs: 1_000,
}

/** What the real SDK would start for these options. */
async function askedBySdk(
  options: ClaudeOptions,
): Promise<{ command: string; args: string[]; env: Record<string, string | undefined> }> {
  const asked = Promise.withResolvers<Parameters<NonNullable<Options['spawnClaudeCodeProcess']>>[0]>()
  const stop = new AbortController()
  const spawnClaudeCodeProcess: NonNullable<Options['spawnClaudeCodeProcess']> = (wanted) => {
    asked.resolve(wanted)
    return spawn('sleep', ['60'], { stdio: ['pipe', 'pipe', 'ignore'], signal: stop.signal }).on('error', () => {}) as never
  }
  const started = sdk.startup({ options: { ...options, cwd: process.cwd(), spawnClaudeCodeProcess } })
  const { command, args, env } = await asked.promise
  stop.abort()
  await assert.rejects(started)
  return { command, args, env }
}

test('claude is started early with exactly what the SDK will ask for, new and resumed, with every option', async () => {
  const variants = [
    input,
    { ...input, sessionId: '5f80022b-f946-4fb2-888a-fc71298e42d6' },
    {
      ...input,
      mcpServers: {
        files: { command: 'mcp-files', env: { TOKEN: 'secret' } },
        web: { type: 'http' as const, url: 'https://x.test' },
      },
    },
    { ...input, model: 'claude-sonnet-5', effort: 'low' as const, systemPrompt: 'Be brief.' },
  ]
  for (const variant of variants) {
    const options = claudeOptions({ input: variant, env: { PATH: '/bin', HOME: '/home/node' }, emit: () => {} })
    const withFolder = { ...options, additionalDirectories: ['/workspace/extra/a', '/workspace/extra/b'] }
    const nanoclaw = hostServer({ sdk, input: variant, requests: new HostRequests() })
    const asked = await askedBySdk({ ...withFolder, mcpServers: { ...withFolder.mcpServers, nanoclaw } })
    assert.deepEqual(asked.args, claudeArguments(withFolder))
    assert.deepEqual(asked.env, { ...options.env, ...SDK_VARIABLES })
    assert.equal(asked.command, options.pathToClaudeCodeExecutable)
  }
})
