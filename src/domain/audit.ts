/** A privileged decision or a refusal, as it is kept for the owner. */
export type AuditNote = {
  /** Whose wish it was: the owner's, by the command line or the dashboard; a group's agent's; a sender's; or the host's own rule. */
  by: 'owner' | 'agent' | 'sender' | 'host'
  /** The group it is about, null where it is about none. */
  folder: string | null
  /** What was done or refused, e.g. `mount`, `register-group`. */
  act: string
  /** What it was done to: a path, a chat, a sender. */
  subject: string
  outcome: 'done' | 'refused'
  detail: string
}
