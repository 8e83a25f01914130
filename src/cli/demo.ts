import path from 'node:path'
import { loadConfig } from '../config.ts'
import { startDemoModel } from '../demo/server.ts'
import { type ChatOptions, chat } from './chat.ts'
import type { ExitCode } from './exit.ts'
import type { Environment } from './host.ts'

/** `demo`: everything real but the model, in a root of its own beside the real one. */
export async function demo({ env, options }: { env: Environment; options: ChatOptions }): Promise<ExitCode> {
  const { root } = loadConfig(env)
  const model = await startDemoModel({})
  const settings = {
    ...env,
    NANOCLAW_HOME: path.join(root, 'demo'),
    ANTHROPIC_BASE_URL: model.url,
    ANTHROPIC_API_KEY: 'sk-ant-demo-needs-no-key',
    CLAUDE_CODE_OAUTH_TOKEN: '',
  }
  try {
    return await chat({ config: loadConfig(settings), env: settings, options: { ...options, demo: true } })
  } finally {
    await model.close()
  }
}
