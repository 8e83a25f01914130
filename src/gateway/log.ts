/** What the gateway needs of a log; a pino logger is one. */
export interface GatewayLog {
  debug(fields: Record<string, unknown>, message: string): void
  warn(fields: Record<string, unknown>, message: string): void
}
