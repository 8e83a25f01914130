import type { McpServerStatus } from '@anthropic-ai/claude-agent-sdk'

/** The MCP servers of the group's own settings. One that does not work takes nothing down: the log names it, and the agent is told. */
export class GroupServers {
  readonly #told = new Set<string>()

  /** What there is to say below the next prompt: once for each server that failed. */
  news(statuses: readonly McpServerStatus[]): string {
    const failed = statuses.filter(({ name, status }) => BROKEN.has(status) && !this.#told.has(name))
    for (const { name, status, error } of failed) {
      this.#told.add(name)
      console.error(`runner: the MCP server "${name}" is missing in this run (${status}): ${error ?? 'it did not say why'}`)
    }
    if (failed.length === 0) return ''
    const names = failed.map(({ name }) => `"${name}"`).join(', ')
    return `\n<note>These MCP servers did not start, so you do not have their tools: ${names}. Say so if they are needed.</note>`
  }
}

const BROKEN: ReadonlySet<McpServerStatus['status']> = new Set(['failed', 'needs-auth'])
