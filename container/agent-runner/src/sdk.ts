// The SDK's small entry: the runner spawns `claude` itself and needs none of the bundled extras.
export { createSdkMcpServer, query, startup, tool } from '@anthropic-ai/claude-agent-sdk/core'
