import { z } from 'zod'

/** The name of our own server, which no other may take. */
export const OWN_SERVER = 'nanoclaw'

const MAX_SERVERS = 16
const NAME_RULE = `a name is 1 to 64 of a-z, 0-9, "-" and "_", starts with a letter or digit, and is not "${OWN_SERVER}"`
const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,63}$/)
  .refine((text) => text !== OWN_SERVER)
const word = z.string().max(4_096)
const secret = z.string().max(16_384)

/** A program in the container that speaks MCP over its stdin and stdout. */
const stdioServer = z.strictObject({
  type: z.literal('stdio').exactOptional(),
  command: word.min(1),
  args: z.array(word).max(64).exactOptional(),
  env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/), secret).exactOptional(),
})

/** A server that is reached by HTTP, through the gateway like everything else. */
const httpServer = z.strictObject({
  type: z.literal('http').exactOptional(),
  url: z.url({ protocol: /^https?$/ }).max(2_048),
  headers: z
    .record(z.string().regex(/^[A-Za-z0-9-]{1,128}$/), secret.regex(/^[^\r\n\0]*$/, 'a header is one line'))
    .exactOptional(),
})

const server = z.union([httpServer, stdioServer], 'give {"command", "args", "env"} or {"url", "headers"}')

/** MCP servers by name, as `containerConfig` and the runner's input have them. */
export const mcpServers = z
  .record(name, server, { error: ({ code }) => (code === 'invalid_key' ? NAME_RULE : undefined) })
  .refine((servers) => Object.keys(servers).length <= MAX_SERVERS, `at most ${MAX_SERVERS} servers`)
export type McpServers = z.infer<typeof mcpServers>
