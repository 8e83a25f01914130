import type { Instant } from './clock.ts'
import type { FailureClass } from './turn.ts'

/** What a person in the chat is told about a failure: what happened, what it means, what to do. */
export function failureText({
  reason,
  detail,
  retryAt,
  timeZone,
}: {
  reason: FailureClass
  detail: string
  retryAt?: Instant | undefined
  timeZone: string
}): string {
  const next = retryAt === undefined ? '' : ` I will try again at ${clockTime(retryAt, timeZone)}.`
  switch (reason) {
    case 'login':
      return `I cannot reach the model: the login is missing or not accepted (${detail}). Put ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN into .env and restart; your message is kept.`
    case 'setup':
      return `I cannot start: ${detail} Your message is kept, and the next one lets me try again.`
    case 'engine':
      return `The container engine does not answer, so I cannot work right now (${detail}).${next || ' I gave up on this message; please send it again later.'}`
    case 'oom':
      return `I ran out of memory while working on this.${next || ' I gave up after several tries; a smaller task, or a higher memory limit for this group, may help.'}`
    case 'rate-limit':
      return `The model's usage limit is reached.${next}`
    case 'budget':
      return `This group's budget is used up.${next}`
    case 'overload':
      return `The model could not be reached (${detail}). I gave up after several tries; please send it again later.`
    case 'crash':
      return `I crashed while working on this, several times (${detail}). Please try again; the run log in the group's folder has the details.`
    case 'session-lost':
      return `The conversation could not be continued, and starting a fresh one failed too (${detail}).`
    case 'too-large':
      return `This is too large for the model. Send less at once, or start over with /new.`
    case 'invalid-request':
      return `The model refused the request: ${detail}`
    case 'timeout':
      return `This took longer than allowed and was stopped.${retryAt === undefined ? ' I will not try it again.' : ' I am trying once more.'}`
  }
}

function clockTime(at: Instant, timeZone: string): string {
  return new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit' }).format(at)
}
