// The SDK's small entry: the runner spawns `claude` itself and needs none of the bundled extras.
export { query, startup } from '@anthropic-ai/claude-agent-sdk/core'
